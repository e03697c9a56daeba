//! A service or a task as the file has it.

use super::command::{EnvFile, RawCommand, RawStage, Variables};
use super::policy::{
    DependsOn, RawEssential, RawHooks, RawLifetime, RawLimits, RawLogs, RawPort, RawRestart,
    RawSchedule, RawShutdown, RawTimeouts, RawTty, RawWatch, SuccessCode,
};
use super::probe::RawProbe;
use super::scalar::{Flag, Int, Span, Umask};
use crate::config::decode::{NonEmpty, OneOrMany, Spanned, Table, Text};
use crate::config::record::record;
use crate::domain::spec::MAX_REPLICAS;

record! {
    /// A service (runs until stopped) or a task (runs to completion).
    RawUnit, "a unit", {
        /// A string for the shell, or a list executed directly.
        command: RawCommand,
        /// Instead of `command`: stages joined by kernel pipes in one group.
        pipeline: NonEmpty<RawStage>,
        /// What it is, for people.
        description: Text,
        /// Relative to the file. Default: the folder of the file.
        working_dir: Text,
        /// Variables: a map, or a list of `NAME=value`.
        environment: Variables,
        /// Files of variables, relative to this file.
        env_file: OneOrMany<EnvFile>,
        /// What a command given as a string is handed to, such as `[bash, -c]`.
        shell: NonEmpty<Text>,
        /// The user, by name or number, that it runs as.
        user: Text,
        /// File mode bits that its files do not get, in octal.
        umask: Umask,
        /// Its priority: -20 (first) to 19 (last).
        nice: Int<-20, 19>,
        /// Names, or a map from name to condition.
        depends_on: DependsOn,
        /// Tells when it is ready, and when it no longer is.
        readiness: Box<RawProbe>,
        /// Restarts it when it no longer answers.
        liveness: Box<RawProbe>,
        /// Holds the other probes back until it has started.
        startup: Box<RawProbe>,
        /// `no` (default), `on-failure`, `always`, or a map.
        restart: RawRestart,
        /// Further exit codes, or signal names, that count as success.
        success_exit_codes: Vec<Spanned<SuccessCode>>,
        /// Limits on waiting, getting ready and running.
        timeouts: Box<RawTimeouts>,
        /// Of a task: short for `timeouts.run`.
        timeout: Span,
        /// How it is asked to end.
        shutdown: Box<RawShutdown>,
        /// `leader` (default): a run ends with its first process. `group`: with its last.
        /// `launched`: its first process starts what others hold, and it lives until stopped.
        lifetime: RawLifetime,
        /// Paths and globs whose change restarts it, or a map.
        watch: RawWatch,
        /// Bounds on what it may use.
        limits: Box<RawLimits>,
        /// Its ports by name: a number, or `auto`. It gets each as `PORT_<NAME>`.
        ports: Table<RawPort>,
        /// `true`: a pseudo-terminal. `output`: one for its output alone.
        tty: RawTty,
        /// Whether it accepts typed input.
        stdin: Flag,
        /// Of a task: paths and globs that it reads.
        inputs: OneOrMany<Text>,
        /// Of a task: paths and globs that it makes.
        outputs: OneOrMany<Text>,
        /// Of a task: a command that succeeds when there is nothing to do.
        status: RawCommand,
        /// How many instances it has: `web-1`, `web-2` and so on.
        replicas: Int<0, { MAX_REPLICAS as i64 }>,
        /// It is active only when one of these is chosen, or it is named or required.
        profiles: OneOrMany<Text>,
        /// Not started by itself.
        disabled: Flag,
        /// It gets the terminal that pk was started in.
        foreground: Flag,
        /// Of a task: starts it by the clock.
        schedule: Box<RawSchedule>,
        /// `true`: its end ends the stack. `failure`, `skipped`, `failure_or_skipped`: only
        /// such an end.
        essential: RawEssential,
        /// Commands run when something happens to it.
        on: Box<RawHooks>,
        /// Where else its output goes.
        logs: Box<RawLogs>,
    }
}
