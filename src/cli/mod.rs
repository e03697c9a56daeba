//! The command line: arguments in, text and an exit code out.
//!
//! This floor owns what a person types and reads in a plain terminal, and puts the others
//! together. It must not decide anything of a stack: it loads a plan, starts a supervisor,
//! and from then on sees and steers it through [`ControlPort`](crate::control::ControlPort)
//! alone.
//!
//! ```text
//!  args (as typed) ─► resolve (what is meant) ─► live (start, signals, wait) ─► exit (code)
//!                                                  └─► plain (lines, words, colours)
//! ```

pub mod args;
pub mod exit;
pub mod plain;
pub mod style;

mod explain;
mod graph;
mod inspect;
mod live;
mod output;
mod resolve;
mod stack;
mod words;
mod wrap;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ContextKind;

use args::{Cli, Command};
use exit::End;
use output::Output;

/// Does what the arguments say.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let output = Output::detect();
    let args: Vec<OsString> = args.into_iter().collect();
    let end = match Cli::try_parse_from(&args) {
        Ok(cli) => run(&cli, &output),
        Err(mut error) => {
            if !args.iter().any(|arg| arg == "run") {
                // "to pass it as a value, use `--`": no unit has such a name.
                error.remove(ContextKind::Suggested);
            }
            // Help goes to stdout and is fine, all else goes to stderr and is not.
            let _ = error.print();
            if error.use_stderr() {
                End::Usage
            } else {
                End::Fine
            }
        }
    };
    ExitCode::from(end.code())
}

fn run(cli: &Cli, output: &Output) -> End {
    let place = &cli.place;
    match &cli.command {
        Command::Up(up) => live::up(place, up, output),
        Command::Run(run) => live::run(place, run, output),
        Command::Check => inspect::check(place, output),
        Command::Config(config) => inspect::config(place, config.output, output),
        Command::Explain(explain) => explain::explain(place, explain.unit.as_deref(), output),
        Command::Graph(graph) => graph::graph(place, graph.format, output),
        Command::Schema => inspect::schema(output),
    }
}
