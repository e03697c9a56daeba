//! Restarts, ends and schedules of a process.

use std::time::Duration;

use super::fields::{Block, Fields, integer};
use super::process::{Around, default_shutdown, seconds};
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::snippet::quoted;
use crate::config::suggest::{did_you_mean, one_of};
use crate::config::tree::{Entry, Value};
use crate::domain::keys;
use crate::domain::signal::Signal;
use crate::domain::spec::{
    Backoff, Command, Essential, Overlap, Restart, RestartPolicy, Schedule, Shutdown, SuccessCodes,
    Tty, UnitSpec, When,
};
use crate::domain::text::parse_duration;

pub(super) struct Restarts {
    pub restart: Restart,
    pub essential: Essential,
}

const POLICIES: [&str; 4] = ["no", "always", "on_failure", "exit_on_failure"];

/// A constant wait, and a count that nothing sets back.
pub(super) fn restart(process: &Fields<'_>, cx: &mut Cx<'_>) -> Restarts {
    let mut restart = Restart {
        max_restarts: None,
        window: None,
        ..Restart::default()
    };
    let mut essential = Essential::No;
    let wait = |seconds: u64| {
        let wait = Duration::from_secs(seconds.max(1));
        Backoff {
            initial: wait,
            max: wait,
            factor: 1.0,
            jitter: 0.0,
        }
    };
    restart.backoff = wait(1);
    let Some((_, fields)) = process.block("availability", Block::Availability, cx) else {
        return Restarts {
            restart: Restart::default(),
            essential,
        };
    };
    let mut ends_on_failure = false;
    if let Some(word) = fields.text("restart", cx) {
        let text = word.value.to_ascii_lowercase().replace('-', "_");
        match text.as_str() {
            "" | "no" | "false" | "off" | "never" => {}
            "always" | "true" | "yes" | "on" => restart.policy = RestartPolicy::Always,
            "on_failure" => restart.policy = RestartPolicy::OnFailure,
            "exit_on_failure" => ends_on_failure = true,
            _ => {
                let help = did_you_mean(&text, POLICIES);
                cx.say(
                    Diagnostic::meaning(
                        word.span,
                        format!("{} is not a restart policy", quoted(&word.value)),
                    )
                    .label(format!("expected {}", one_of(POLICIES)))
                    .maybe_help(help),
                );
            }
        }
        let exact = POLICIES.contains(&&*word.value);
        let tolerated = matches!(&*text, "false" | "true" | "yes" | "on" | "off" | "never");
        if !exact && (tolerated || word.value.contains('-')) {
            let meant = match restart.policy {
                RestartPolicy::No if ends_on_failure => "exit_on_failure",
                RestartPolicy::No => "no",
                RestartPolicy::Always => "always",
                RestartPolicy::OnFailure => "on_failure",
            };
            if &*text != "false" {
                cx.say(
                    Diagnostic::warning(
                        word.span,
                        format!("{} is read as `{meant}`", quoted(&word.value)),
                    )
                    .label(format!("the word is `{meant}`")),
                );
            }
        }
    }
    let delay = fields.int("backoff_seconds", cx).map(|given| given.value);
    restart.backoff = wait(delay.and_then(|n| u64::try_from(n).ok()).unwrap_or(1));
    restart.max_restarts = fields.count("max_restarts", cx);
    if restart.policy == RestartPolicy::No {
        restart = Restart::default();
    }
    let on_skipped = fields.is("exit_on_skipped", cx);
    essential = match (fields.is("exit_on_end", cx), ends_on_failure, on_skipped) {
        (true, _, _) => Essential::Any,
        (false, true, true) => Essential::FailureOrSkipped,
        (false, true, false) => Essential::Failure,
        (false, false, true) => Essential::Skipped,
        (false, false, false) => essential,
    };
    Restarts { restart, essential }
}

pub(super) fn success_codes(entry: &Entry, out: &mut SuccessCodes, cx: &mut Cx<'_>) {
    let items = match &entry.value.value {
        Value::Seq(items) => &items[..],
        Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(&entry.value),
    };
    for item in items {
        let Some(code) = integer(entry, item, cx) else {
            continue;
        };
        match i32::try_from(code)
            .ok()
            .filter(|code| (0..=255).contains(code))
        {
            Some(code) => out.codes.push(code),
            None => cx.say(
                Diagnostic::meaning(item.span, format!("{code} is not an exit code"))
                    .label("expected a number from 0 to 255"),
            ),
        }
        // As a shell reports it, and as the file means it: the program died of it.
        if let Ok(number) = i32::try_from(code - 128)
            && let Some(signal) = Signal::from_number(number)
            && signal.has_name()
            && code > 128
        {
            out.signals.push(signal);
        }
    }
}

pub(super) fn shutdown(
    process: &Fields<'_>,
    around: &Around<'_>,
    tty: Tty,
    cx: &mut Cx<'_>,
) -> Shutdown {
    let mut shutdown = default_shutdown(tty);
    let Some((_, fields)) = process.block("shutdown", Block::Shutdown, cx) else {
        return shutdown;
    };
    if let Some(number) = fields.int("signal", cx)
        && number.value != 0
    {
        match i32::try_from(number.value)
            .ok()
            .and_then(Signal::from_number)
            .filter(|signal| signal.has_name())
        {
            Some(signal) => shutdown.signal = signal,
            None => cx.say(
                Diagnostic::warning(number.span, format!("{} is not a signal", number.value))
                    .label("SIGTERM is sent instead"),
            ),
        }
    }
    if let Some(timeout) = seconds(fields.int("timeout_seconds", cx)) {
        shutdown.timeout = timeout;
    }
    shutdown.leader_only = fields.is("parent_only", cx);
    let command = fields
        .text("command", cx)
        .filter(|word| !word.value.is_empty());
    if let Some(word) = &command {
        shutdown.command = Some(Command::Shell {
            shell: around.shell.clone(),
            script: word.value.to_string(),
        });
    }
    if let Some(keys) = fields
        .text("send_keys", cx)
        .filter(|word| !word.value.is_empty())
    {
        if command.is_some() {
            cx.say(
                Diagnostic::warning(keys.key, "both `command` and `send_keys`")
                    .label("the keys have no effect"),
            );
        } else if tty == Tty::No {
            cx.say(
                Diagnostic::warning(keys.key, "`send_keys` for a process without a terminal")
                    .label("it has no effect")
                    .help("give the process `is_tty: true` or `is_interactive: true`"),
            );
        } else {
            shutdown.send_keys = vec![keys::unescaped(&keys.value)];
        }
    }
    shutdown
}

pub(super) fn schedule(process: &Fields<'_>, spec: &mut UnitSpec, cx: &mut Cx<'_>) {
    let Some((key, fields)) = process.block("schedule", Block::Schedule, cx) else {
        return;
    };
    let at_start = fields.is("run_on_start", cx);
    if let Some(count) = fields.int("max_concurrent", cx)
        && count.value > 1
    {
        cx.say(
            Diagnostic::warning(count.span, "only one run at a time is started")
                .label("by process-compose too"),
        );
    }
    let cron = fields
        .text("cron", cx)
        .filter(|word| !word.value.is_empty());
    let interval = fields
        .text("interval", cx)
        .filter(|word| !word.value.is_empty());
    let when = if let Some(cron) = cron {
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Disallowed)
            .build();
        let zone = fields
            .text("timezone", cx)
            .filter(|word| !word.value.is_empty());
        let unknown = zone
            .as_ref()
            .filter(|zone| jiff::tz::TimeZone::get(&zone.value).is_err());
        if let Some(zone) = unknown {
            cx.say(
                Diagnostic::warning(
                    zone.span,
                    format!("unknown time zone {}", quoted(&zone.value)),
                )
                .label("the machine's own is used"),
            );
        }
        match parser.parse(&cron.value) {
            Ok(_) => Some(When::Cron {
                expression: cron.value.to_string(),
                timezone: zone
                    .as_ref()
                    .filter(|_| unknown.is_none())
                    .map(|zone| zone.value.to_string()),
            }),
            Err(error) => {
                cx.say(
                    Diagnostic::warning(
                        cron.span,
                        format!("{} is not a cron expression", quoted(&cron.value)),
                    )
                    .label(error.to_string())
                    .help("the process is never started by it"),
                );
                None
            }
        }
    } else if let Some(interval) = interval {
        match parse_duration(&interval.value) {
            Ok(every) if !every.is_zero() => Some(When::Every(every)),
            _ => {
                cx.say(
                    Diagnostic::warning(
                        interval.span,
                        format!("{} is not a duration", quoted(&interval.value)),
                    )
                    .label("the process is never started by it"),
                );
                None
            }
        }
    } else {
        cx.say(
            Diagnostic::warning(key, "the schedule has no time")
                .label("expected `cron` or `interval` below it"),
        );
        None
    };
    match when {
        Some(when) => {
            spec.schedule = Some(Schedule {
                when,
                overlap: Overlap::Skip,
                at_start,
            });
        }
        None => spec.disabled = !at_start,
    }
}
