//! pk beside the tools that its users have today, at the same work:
//! `cargo bench --bench compare -- --install`.
//!
//! Each tool runs the same static C program as its services, as the foreground command of a
//! terminal of its own, in a cgroup by which all that it leaves is found. They take turns.
//! What comes out are `results.json`, `table.md`, `summary.md` and `chart.svg` in `--to`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod arena;
mod chart;
mod peers;
mod results;
mod rows;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use arena::Arena;
use peers::{FLOOR, Peer};
use results::Results;
use rows::{Measuring, WORK};

/// Measures pk beside other tools.
#[derive(Parser)]
struct Arguments {
    /// Installs the tools that are missing, from the registries they are published in.
    #[arg(long)]
    install: bool,
    /// Only this work: 10, 100, 500, ready, idle, logs, save, left.
    #[arg(long, value_delimiter = ',')]
    work: Vec<String>,
    /// Only these tools.
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// How often each work is done, if it is not too long for that.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where the results are written, and those that are there already are completed.
    #[arg(long, default_value = "target/compare")]
    to: PathBuf,
    /// Forgets what is there.
    #[arg(long)]
    anew: bool,
    /// Writes the tables and the chart of what is there, and measures nothing.
    #[arg(long)]
    show: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !arguments.bench {
        return ExitCode::SUCCESS;
    }
    match compare(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("compare: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = package.join("target/peers");
    if arguments.install {
        let script = package.join("benches/compare/install.sh");
        let installed = Command::new("bash").arg(script).arg(&tools).status();
        if !installed.is_ok_and(|status| status.success()) {
            return Err("the tools could not be installed".to_owned());
        }
    }
    let to = package.join(&arguments.to);
    std::fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    let file = to.join("results.json");
    let mut results = match arguments.anew {
        true => Results::default(),
        false => Results::read(&file).unwrap_or_default(),
    };
    if !arguments.show {
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        let arena = Arena::new(work.path(), &tools)?;
        results.machine = rows::machine();
        measure(arguments, &arena, &mut results, &to)?;
    }
    write(&results, &to)?;
    println!("{}", results.summary());
    println!("written to {}", to.display());
    Ok(())
}

fn write(results: &Results, to: &Path) -> Result<(), String> {
    let files = [
        ("results.json", results.json()),
        ("table.md", results.markdown()),
        ("summary.md", results.summary()),
        ("chart.svg", chart::chart(results)),
    ];
    for (name, text) in files {
        let path = to.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// What was measured is written after each work: all of it takes an hour.
fn measure(
    arguments: &Arguments,
    arena: &Arena,
    results: &mut Results,
    to: &Path,
) -> Result<(), String> {
    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|of| of == name);
    let mut peers = peers::peers();
    peers.push(peers::floor());
    peers.retain(|peer| wanted(&arguments.tools, peer.name));
    for peer in &peers {
        if let Some(version) = version(peer, &arena.tools) {
            results.versions.insert(peer.name.to_owned(), version);
        }
    }
    for work in WORK
        .iter()
        .filter(|work| wanted(&arguments.work, work.name))
    {
        for peer in &peers {
            results.forget(work.rows, peer.name);
        }
        for run in 0..arguments.runs.min(work.most) {
            eprintln!("{}, run {}", work.name, run + 1);
            for peer in &peers {
                if run == 0 || !results.is_hopeless(work.rows, peer.name) {
                    work.measure(&mut Measuring {
                        arena,
                        peer,
                        results,
                    });
                }
            }
        }
        write(results, to)?;
    }
    Ok(())
}

/// What it says of itself, or Debian of its package.
fn version(peer: &Peer, tools: &Path) -> Option<String> {
    if peer.name == FLOOR {
        return None;
    }
    let program = peer.find(tools)?;
    let output = match peer.version {
        [] => Command::new("dpkg-query")
            .args(["-W", "-f", "${Version}", peer.name])
            .output(),
        words => Command::new(program).args(words).output(),
    };
    let output = output.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let mut words = text.split_ascii_whitespace();
    words.find(number).map(str::to_owned)
}
