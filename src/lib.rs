//! `pk` turns one YAML file into a running local development stack.
//!
//! This crate is the whole of it: a library of floors, and the binary `pk` on top. A pure,
//! synchronous core decides; small async actors do; faces are clients. A floor may use only
//! the floors that are listed for it, and a test holds it to that.
//!
//! | floor | what it is | may use |
//! |---|---|---|
//! | [`domain`] | every decision, without IO, clock or randomness | nothing |
//! | [`config`] | text to a plan, or every diagnostic | domain |
//! | [`contain`] | the only one that spawns, signals or is `unsafe` | domain's names |
//! | [`logs`] | lines from pipes to readers | domain |
//! | [`probe`] | one file per kind of check | domain, contain, logs |
//! | [`watch`] | which files changed, told once and truly | domain, contain, logs |
//! | [`supervisor`] | the one event loop, one runner per run | domain, contain, logs, probe, watch |
//! | [`control`] | the port that every face uses, here and over a socket | domain, logs, supervisor |
//! | [`tui`] | the dashboard: model, update, view | domain, logs, control |
//! | [`cli`] | arguments, output, exit codes; puts all together | everything |
//!
//! # The processes
//!
//! `pk up` and `pk run` load and resolve the file, and then fork twice ([`contain::launch`]):
//!
//! ```text
//!  face          in the shell's job: terminal, Ctrl-C, Ctrl-Z, exit code; holds the lease
//!   └─ guard          own session, subreaper, no heap, named `stack-guard`
//!       └─ supervisor     own session: the event loop, the server, all units
//! ```
//!
//! The face sees and steers the stack through [`control::ControlPort`] alone, over socket
//! pairs that are there before the fork; another kind of face takes the same port. With the
//! end of the lease, by whatever means, the stack stops in order, unless it was given away
//! (`up -d`). The guard ends what a dead supervisor leaves; the supervisor stops the stack
//! when its guard is gone; the face is the last resort. `src/cli/launch` composes them.
//!
//! # A child exits
//!
//! The runner of its run sees it and puts a fact into the one inbox. The event loop steps
//! the set of units: *running* becomes *reaping*, and effects come out. The runner waits
//! until the group is empty, drains the pipes, releases the group and reports the run as
//! reaped. The restart policy decides between *backoff* and *exited*; dependents follow;
//! the publisher tells the faces.
//!
//! # A file is saved
//!
//! The one watcher hears of it, waits until the burst of changes is over, and compares what
//! the files hold with what they held. What differs goes as one event to the event loop. The
//! set decides: build first, restart, signal, hold; and dependents only where the file says
//! so.
//!
//! # A log line
//!
//! A runner's pump reads a chunk from the pipe, the splitter cuts it, the store keeps it
//! and wakes those who read. Faces pull what they show. Lines never enter the event loop; a
//! `log` probe is a tap on the store.

pub mod cli;
pub mod config;
pub mod contain;
pub mod control;
pub mod domain;
pub mod logs;
pub mod probe;
pub mod supervisor;
pub mod tui;
pub mod watch;
