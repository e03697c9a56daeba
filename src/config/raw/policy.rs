//! What else a unit may say: dependencies, restarts, ends, watching, limits, schedules.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::command::RawCommand;
use super::probe::any_of;
use super::scalar::{Flag, Int, Number, SignalName, Size, Span, reference, whole};
use super::unlimited::Unlimited;
use crate::config::context::Cx;
use crate::config::decode::{
    Decode, Leaf, NonEmpty, OneOrMany, Refusal, Spanned, Table, Text, decode_leaf, mismatch,
    not_a_choice,
};
use crate::config::meant::as_list;
use crate::config::record::{choice, record};
use crate::config::tree::{Node, Value, parse_bool};
use crate::domain::signal::Signal;

choice! {
    /// What must hold of a dependency.
    RawCondition, "a condition", {
        Started = "started", Ready = "ready", Completed = "completed",
        Succeeded = "succeeded", LogReady = "log_ready",
    }
}

record! {
    /// A dependency and how strict it is.
    DependencyRecord, "a dependency", {
        /// What must hold. Default: `succeeded` for a task, `ready` for a service with a readiness
        /// or startup probe, else `started`.
        condition: RawCondition,
        /// Stop this unit when the dependency's run ends, and start it again after it.
        restart: Flag,
        /// Without it the dependency is neither started nor waited for in vain. Default: `true`.
        required: Flag,
    }
}

/// What stands behind the name of a dependency.
#[derive(Clone, Debug)]
pub(in crate::config) enum RawDependency {
    Default,
    Condition(Spanned<RawCondition>),
    Record(DependencyRecord),
}

impl Decode for RawDependency {
    const NULLABLE: bool = true;

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => Some(Self::Default),
            Value::Scalar(_) => Decode::decode(node, cx).map(Self::Condition),
            Value::Map(_) => Decode::decode(node, cx).map(Self::Record),
            Value::Seq(_) => {
                cx.say(mismatch(
                    node,
                    "a condition, or a map with `condition`, `restart` and `required`",
                ));
                None
            }
        }
    }
}

impl JsonSchema for RawDependency {
    fn schema_name() -> Cow<'static, str> {
        "Dependency".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        any_of(&[
            generator.subschema_for::<RawCondition>(),
            generator.subschema_for::<DependencyRecord>(),
            json_schema!({"type": "null"}),
        ])
    }
}

#[derive(Clone, Debug)]
pub(in crate::config) enum DependsOn {
    Names(Vec<Spanned<Text>>),
    Map(Table<RawDependency>),
}

impl Decode for DependsOn {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Seq(_) => Decode::decode(node, cx).map(Self::Names),
            Value::Map(_) => Decode::decode(node, cx).map(Self::Map),
            Value::Scalar(_) => {
                cx.say(
                    mismatch(node, "a list of names, or a map from name to condition")
                        .maybe_help(as_list(node)),
                );
                None
            }
        }
    }
}

impl JsonSchema for DependsOn {
    fn schema_name() -> Cow<'static, str> {
        "DependsOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        any_of(&[
            generator.subschema_for::<Vec<Text>>(),
            generator.subschema_for::<Table<RawDependency>>(),
        ])
    }
}

choice! {
    /// Which ends of a run are followed by another one.
    RawPolicy, "a restart policy", { No = "no", OnFailure = "on-failure", Always = "always" }
}

record! {
    /// The restart policy with its budget.
    RestartRecord, "`restart`", {
        /// Default: `no`.
        policy: RawPolicy,
        /// The wait before a restart, from first to longest: `200ms..30s`.
        backoff: Text,
        /// By which the wait grows each time, at least 1. Default: 2.
        factor: Number,
        /// The share, 0 to 1, by which a wait varies. Default: 0.1.
        jitter: Number,
        /// Automatic restarts allowed per window, or `unlimited`. Default: 5.
        max_restarts: Unlimited<Int<0, 4_294_967_295>>,
        /// `unlimited`: the whole life of the stack. Default: 60s.
        window: Unlimited<Span>,
        /// Health of this length sets the wait back to its start. Default: 10s.
        reset_after: Span,
    }
}

/// Declares a union of one type for a map and one for everything else.
macro_rules! union {
    ($(#[$meta:meta])* $name:ident, $schema_name:literal, $plain:ident($plain_type:ty), $record_type:ty) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(in crate::config) enum $name {
            $plain($plain_type),
            Record(Box<$record_type>),
        }

        impl Decode for $name {
            fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                match &node.value {
                    Value::Map(_) => Decode::decode(node, cx).map(|it| Self::Record(Box::new(it))),
                    Value::Scalar(_) | Value::Seq(_) => Decode::decode(node, cx).map(Self::$plain),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $schema_name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                any_of(&[
                    generator.subschema_for::<$plain_type>(),
                    generator.subschema_for::<$record_type>(),
                ])
            }
        }
    };
}

union! {
    RawRestart, "Restart", Policy(RawPolicy), RestartRecord
}

/// An exit code, or the name of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum SuccessCode {
    Code(i32),
    Signal(Signal),
}

impl Leaf for SuccessCode {
    const EXPECTED: &'static str = "an exit code from 0 to 255, or the name of a signal";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        if let Some(code) = whole(text, plain) {
            return match i32::try_from(code) {
                Ok(code) if (0..=255).contains(&code) => Ok(Self::Code(code)),
                _ => Err(Refusal::meaning("expected 0 to 255")),
            };
        }
        SignalName::read(text, false).map(|signal| Self::Signal(signal.0))
    }
}

impl Decode for SuccessCode {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

impl JsonSchema for SuccessCode {
    fn schema_name() -> Cow<'static, str> {
        "SuccessCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean"],
            "description": "An exit code from 0 to 255, or the name of a signal."
        })
    }
}

record! {
    /// None of them is limited by default.
    RawTimeouts, "`timeouts`", {
        /// For the dependencies; when it expires the unit is skipped.
        wait: Span,
        /// From the spawn until the unit is ready; then its run has failed.
        ready: Span,
        /// For the whole run; then it is stopped and has failed.
        run: Span,
    }
}

record! {
    /// How a run is asked to end. Afterwards its group is killed.
    RawShutdown, "`shutdown`", {
        /// Default: SIGTERM.
        signal: SignalName,
        /// Run instead of the signal.
        command: RawCommand,
        /// Keys typed instead of the signal, such as `C-c`, `Enter`, `Escape`; other text as
        /// it is. The unit needs `tty: true` or `stdin: true`.
        send_keys: OneOrMany<Text>,
        /// The grace period. Default: 10s.
        timeout: Span,
        /// Send the signal to the first process alone.
        leader_only: Flag,
    }
}

choice! {
    /// What a run lives as long as.
    RawLifetime, "`leader`, `group` or `launched`", {
        Leader = "leader", Group = "group", Launched = "launched",
    }
}

record! {
    /// What happens beside a restart.
    ActionRecord, "`action`", {
        /// The signal that the unit gets instead of a restart.
        signal: SignalName,
    }
}

choice! {
    /// What a change does.
    ActionWord, "`restart`, or a map with `signal`", { Restart = "restart" }
}

union! {
    RawAction, "WatchAction", Word(ActionWord), ActionRecord
}

record! {
    /// Files whose change restarts the unit.
    WatchRecord, "`watch`", {
        /// Paths and globs, relative to the file.
        paths: OneOrMany<Text>,
        /// Globs that are left out.
        ignore: OneOrMany<Text>,
        /// How long it must be quiet. Default: 30ms.
        debounce: Span,
        /// A command that must succeed first; the old run stays up until it has.
        run: RawCommand,
        /// `restart` (default), or `signal: SIGHUP`.
        action: RawAction,
        /// Also restart what depends on this unit.
        cascade: Flag,
        /// Whether ignore files count. Default: `true`.
        gitignore: Flag,
    }
}

union! {
    RawWatch, "Watch", Paths(NonEmpty<Text>), WatchRecord
}

record! {
    /// Bounds on what a run may use.
    RawLimits, "`limits`", {
        /// Such as `512MiB`.
        memory: Size,
        /// How many processors' worth of time, such as 1.5.
        cpus: Number,
        /// Processes and threads.
        pids: Int<1, 4_294_967_295>,
        /// Open files per process.
        nofile: Int<1, 4_294_967_295>,
        /// What cannot be enforced is a warning, not an error.
        best_effort: Flag,
    }
}

/// A number, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum RawPort {
    Auto,
    Fixed(u16),
}

impl Leaf for RawPort {
    const EXPECTED: &'static str = "a port from 1 to 65535, or `auto`";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        if &**text == "auto" {
            return Ok(Self::Auto);
        }
        match whole(text, plain).map(u16::try_from) {
            Some(Ok(port)) if port > 0 => Ok(Self::Fixed(port)),
            Some(Ok(_)) => Err(Refusal::help(Some("`auto` picks a free port".to_owned()))),
            Some(Err(_)) => Err(Refusal::default()),
            None if whole(text, true).is_some() => Err(Refusal::help(Some(
                "remove the quotes: in quotes it is a string".to_owned(),
            ))),
            None => Err(not_a_choice(text, plain, &["auto"])),
        }
    }
}

impl Decode for RawPort {
    fn table_help(node: &Node) -> Option<String> {
        let first = match &node.value {
            Value::Seq(items) => items.first(),
            Value::Scalar(_) | Value::Map(_) => Some(node),
        };
        // Of `8080:80` the first is the one outside.
        let port = match first.map(|node| &node.value) {
            Some(Value::Scalar(scalar)) => scalar.text.split(':').next()?.parse::<u16>().ok(),
            _ => None,
        };
        let port = port.filter(|&port| port > 0).unwrap_or(8080);
        Some(format!("give each port a name: `ports: {{http: {port}}}`"))
    }

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

impl JsonSchema for RawPort {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"const": "auto"},
            reference(),
        ]})
    }
}

/// Declares a truth value or one of a few words.
macro_rules! flag_or_word {
    ($(#[$meta:meta])* $name:ident, $what:literal, { true => $yes:ident, false => $no:ident, $( $variant:ident = $word:literal ),* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::config) enum $name { $yes, $no, $($variant),* }

        impl Leaf for $name {
            const EXPECTED: &'static str = $what;

            fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
                match parse_bool(text).filter(|_| plain) {
                    Some(true) => return Ok(Self::$yes),
                    Some(false) => return Ok(Self::$no),
                    None => {}
                }
                match &**text {
                    $( $word => Ok(Self::$variant), )*
                    other => Err(not_a_choice(other, false, &["true", "false", $($word),*])),
                }
            }
        }

        impl Decode for $name {
            fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                decode_leaf(node, cx)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"anyOf": [{"enum": [true, false, $($word),*]}, reference()]})
            }
        }
    };
}

flag_or_word! {
    /// A terminal, or one for the output alone.
    RawTty, "`true`, `false` or `output`", { true => Full, false => No, Output = "output" }
}

flag_or_word! {
    /// Which end of the unit ends the stack.
    RawEssential, "`true`, `false`, `failure`, `skipped` or `failure_or_skipped`", {
        true => Any, false => No, Failure = "failure", Skipped = "skipped",
        FailureOrSkipped = "failure_or_skipped"
    }
}

choice! {
    /// What a scheduled start does while the run before it lives.
    RawOverlap, "`skip`, `queue` or `restart`", {
        Skip = "skip", Queue = "queue", Restart = "restart",
    }
}

record! {
    /// Starts the task by the clock: `every`, or `cron` with `timezone`.
    RawSchedule, "`schedule`", {
        /// The time from one start to the next.
        every: Span,
        /// Five fields, as in `crontab(5)`.
        cron: Text,
        /// An IANA name such as `Europe/Berlin`. Default: the machine's own.
        timezone: Text,
        /// What happens while the run before still lives. Default: `skip`.
        overlap: RawOverlap,
        /// Start it with the stack too.
        at_start: Flag,
    }
}

record! {
    /// Commands run when something happens to the unit.
    RawHooks, "`on`", {
        /// It became ready.
        ready: RawCommand,
        /// A run ended.
        exit: RawCommand,
        /// It failed for good.
        failed: RawCommand,
    }
}

record! {
    /// Where else the output goes, and what is masked in it.
    RawLogs, "`logs`", {
        /// A file, relative to this one.
        file: Text,
        /// At which the file is rotated.
        max_size: Size,
        /// How many rotated files are kept.
        max_files: Int<0, 4_294_967_295>,
        /// Regular expressions whose matches are masked.
        redact: OneOrMany<Text>,
    }
}
