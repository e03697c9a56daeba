//! The command line: arguments in, text and an exit code out.
//!
//! This floor owns what a person types and reads in a plain terminal, and puts the others
//! together. It must not decide anything of a stack: it loads a plan, starts a supervisor,
//! and from then on sees and steers it through [`ControlPort`](crate::control::ControlPort)
//! alone.
//!
//! ```text
//!  args (as typed) ─► resolve (what is meant) ─► live ─► launch (face, guard, supervisor)
//!                                                            └─► plain (lines, words, colours)
//!  exit (code) ◄─────────────────────────────────────────────────┘
//! ```

pub mod args;
pub mod exit;
pub mod plain;
pub mod style;

mod compat;
mod convert;
mod dashboard;
mod doctor;
mod explain;
mod face_config;
mod foreign;
mod graph;
mod graph_text;
mod init;
mod inspect;
mod launch;
mod listen;
mod live;
mod log_store;
mod output;
mod process_compose;
mod resolve;
mod running;
mod saved;
mod signals;
mod stack;
mod words;
mod wrap;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command};
use exit::End;
use output::Output;
use running::act::Then;
use running::args::Awaited;
use running::{act, attach, events, exec, logs, mcp, reload, show, stats, timeline, wait, watch};

use crate::domain::event::Command as Ask;

/// Does what the arguments say.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Before there is another thread: all of them shall hear what is sent.
    crate::contain::unblock_signals();
    let output = Output::detect();
    let args: Vec<OsString> = args.into_iter().collect();
    if process_compose::is_called(args.first()) {
        return ExitCode::from(process_compose::main(&args, &output).code());
    }
    let end = match Cli::try_parse_from(&args) {
        Ok(cli) => run(&cli, &output),
        Err(mut error) => {
            if !args.iter().any(|arg| arg == "run" || arg == "exec") {
                // "to pass it as a value, use `--`": no unit has such a name.
                error.remove(ContextKind::Suggested);
            }
            // Help goes to stdout and is fine, all else goes to stderr and is not.
            match error.print() {
                _ if error.use_stderr() => End::Usage,
                Ok(()) => End::Fine,
                Err(unwritten) if unwritten.kind() == io::ErrorKind::BrokenPipe => End::Fine,
                Err(unwritten) => output.unwritten(&unwritten),
            }
        }
    };
    ExitCode::from(end.code())
}

fn run(cli: &Cli, output: &Output) -> End {
    let place = &cli.place;
    // These say it themselves, or are read by a program at each start of a shell.
    let silent = matches!(
        &cli.command,
        Command::Up(_)
            | Command::Run(_)
            | Command::Doctor(_)
            | Command::Completions(_)
            | Command::Schema
    );
    if !silent {
        for line in words::left_over(&crate::contain::clear_left_overs()) {
            output.note(&line);
        }
    }
    match &cli.command {
        Command::Up(up) => live::up(place, up, output),
        Command::Run(run) => live::run(place, run, output),
        Command::Init(args) => init::init(place, args, output),
        Command::Doctor(args) => doctor::doctor(place, args, output),
        Command::Check(args) => inspect::check(place, &args.foreign, output),
        Command::Convert(args) => convert::convert(place, args, output),
        Command::Config(config) => inspect::config(place, config.output, output),
        Command::Explain(args) => match running::find(place, output) {
            Ok(Some(found)) => show::explain(&found, args.unit.as_deref(), args.output, output),
            Ok(None) => explain::explain(place, args.unit.as_deref(), args.output, output),
            Err(end) => end,
        },
        Command::Down(args) => act::down(place, args, output),
        Command::Ps(args) => show::ps(place, args, output),
        Command::Attach(args) => attach::attach(place, args.unit.as_deref(), output),
        Command::Exec(args) => exec::exec(place, args, output),
        Command::Ls(args) => show::ls(args, output),
        Command::Logs(args) => logs::logs(place, args, output),
        Command::Events(args) => events::events(place, args, output),
        Command::Start(args) => act::act(place, &args.units, Ask::Start, args.wait.into(), output),
        Command::Stop(args) => {
            let then = Then::Wait(Awaited::Stopped, args.timeout);
            act::act(place, &args.units, Ask::Stop, then, output)
        }
        Command::Restart(args) => {
            act::act(place, &args.units, Ask::Restart, args.wait.into(), output)
        }
        Command::Kill(args) => {
            let then = Then::Wait(Awaited::Stopped, args.timeout);
            act::act(place, &args.units, Ask::Kill, then, output)
        }
        Command::Signal(args) => {
            let signal = args.signal;
            let ask = |names| Ask::Signal(names, signal);
            act::act(place, &args.units, ask, Then::Return, output)
        }
        Command::Enable(args) => act::act(place, &args.units, Ask::Enable, Then::Return, output),
        Command::Disable(args) => act::act(place, &args.units, Ask::Disable, Then::Return, output),
        Command::Scale(args) => act::scale(place, args, output),
        Command::Wait(args) => wait::wait(place, args, output),
        Command::Stats(args) => stats::stats(place, args, output),
        Command::Watch(args) => watch::watch(place, args, output),
        Command::Reload(args) => reload::ask(place, *args, output),
        Command::Mcp(args) => mcp::mcp(place, *args, output),
        Command::Timeline(args) => timeline::timeline(place, *args, output),
        Command::Completions(args) => {
            let mut text = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "pk", &mut text);
            output.print(&String::from_utf8_lossy(&text))
        }
        Command::Graph(graph) => graph::graph(place, graph.format, output),
        Command::Schema => inspect::schema(output),
    }
}
