//! Restarts, ends, watching, limits, schedules, logs.

use std::sync::Arc;
use std::time::Duration;

use super::probe::positive;
use super::{command, paths, pattern};
use crate::config::context::Cx;
use crate::config::decode::{Field, Leaf as _, OneOrMany, Spanned, Text};
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::policy::{
    RawAction, RawLifetime, RawLogs, RawOverlap, RawPolicy, RawRestart, RawSchedule, RawShutdown,
    RawWatch, RestartRecord, SuccessCode,
};
use crate::config::raw::scalar::Span as RawDuration;
use crate::config::raw::unit::RawUnit;
use crate::config::raw::unlimited::Unlimited;
use crate::config::snippet::quoted;
use crate::domain::spec::{
    Backoff, Lifetime, Limits, LogSpec, Overlap, Restart, RestartPolicy, Schedule, Shutdown,
    SuccessCodes, Timeouts, Watch, WatchAction, When,
};

pub(super) fn restart(raw: &Field<RawRestart>, cx: &mut Cx<'_>) -> Restart {
    let policy = |raw: RawPolicy| match raw {
        RawPolicy::No => RestartPolicy::No,
        RawPolicy::OnFailure => RestartPolicy::OnFailure,
        RawPolicy::Always => RestartPolicy::Always,
    };
    let mut restart = Restart::default();
    match &raw.value {
        RawRestart::Policy(word) => restart.policy = policy(*word),
        RawRestart::Record(record) => {
            restart.policy = record
                .policy
                .as_ref()
                .map_or_else(RestartPolicy::default, |word| policy(word.value));
            restart.backoff = backoff(record, cx);
            if let Some(count) = &record.max_restarts {
                restart.max_restarts = match &count.value {
                    Unlimited::Limit(count) => u32::try_from(count.0).ok(),
                    Unlimited::None => None,
                };
            }
            if let Some(window) = &record.window {
                restart.window = match &window.value {
                    Unlimited::Limit(limit) => {
                        let limit = Field {
                            key: window.key,
                            span: window.span,
                            value: *limit,
                        };
                        Some(positive(Some(&limit), "window", limit.0, cx))
                    }
                    Unlimited::None => None,
                };
            }
            if let Some(after) = &record.reset_after {
                restart.reset_after = after.0;
            }
        }
    }
    restart
}

fn backoff(record: &RestartRecord, cx: &mut Cx<'_>) -> Backoff {
    let mut backoff = Backoff::default();
    if let Some(text) = &record.backoff {
        let (initial, max) = match text.split_once("..") {
            Some((initial, max)) => (initial, Some(max)),
            None => (&***text, None),
        };
        let initial = backoff_end(initial, text, cx);
        let max = max.map(|max| backoff_end(max, text, cx));
        match (initial, max) {
            (Some(initial), None) => {
                backoff.initial = initial;
                backoff.max = backoff.max.max(initial);
            }
            (Some(initial), Some(Some(max))) if initial <= max => {
                backoff.initial = initial;
                backoff.max = max;
            }
            (Some(_), Some(Some(_))) => cx.say(
                Diagnostic::meaning(
                    text.span,
                    "the backoff starts with a longer wait than it ends with",
                )
                .label("expected the shorter wait first"),
            ),
            _ => {}
        }
    }
    if let Some(factor) = &record.factor {
        if factor.0 >= 1.0 {
            backoff.factor = factor.0;
        } else {
            cx.say(
                Diagnostic::meaning(factor.span, "`factor` must be at least 1")
                    .label("expected at least 1"),
            );
        }
    }
    if let Some(jitter) = &record.jitter {
        if (0.0..=1.0).contains(&jitter.0) {
            backoff.jitter = jitter.0;
        } else {
            cx.say(
                Diagnostic::meaning(jitter.span, "`jitter` must be a number from 0 to 1")
                    .label("expected a number from 0 to 1"),
            );
        }
    }
    backoff
}

fn backoff_end(part: &str, whole: &Field<Text>, cx: &mut Cx<'_>) -> Option<Duration> {
    match RawDuration::read(&Arc::from(part.trim()), false) {
        Ok(duration) => Some(duration.0),
        Err(refusal) => {
            cx.say(
                Diagnostic::meaning(whole.span, format!("{} is not a duration", quoted(part)))
                    .label("expected a range of waits such as `200ms..30s`")
                    .maybe_help(refusal.help),
            );
            None
        }
    }
}

pub(super) fn success_codes(raw: &[Spanned<SuccessCode>]) -> SuccessCodes {
    let mut codes = SuccessCodes::default();
    for code in raw {
        match code.value {
            SuccessCode::Code(code) => codes.codes.push(code),
            SuccessCode::Signal(signal) => codes.signals.push(signal),
        }
    }
    codes
}

pub(super) fn timeouts(raw: &RawUnit, cx: &mut Cx<'_>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    if let Some(table) = &raw.timeouts {
        let mut limit = |field: Option<&Field<RawDuration>>, key: &str| {
            field.map(|field| positive(Some(field), key, field.0, cx))
        };
        timeouts.wait = limit(table.wait.as_ref(), "wait");
        timeouts.ready = limit(table.ready.as_ref(), "ready");
        timeouts.run = limit(table.run.as_ref(), "run");
    }
    if let Some(short) = &raw.timeout {
        if let Some(run) = raw.timeouts.as_ref().and_then(|table| table.run.as_ref()) {
            cx.say(
                Diagnostic::meaning(short.key, "both `timeout` and `timeouts.run`")
                    .label("short for `timeouts.run`")
                    .and(run.key, "given here too")
                    .help("keep one of them"),
            );
        }
        timeouts.run = Some(positive(Some(short), "timeout", short.0, cx));
    }
    timeouts
}

pub(super) fn shutdown(
    raw: &Field<Box<RawShutdown>>,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Shutdown {
    if let (Some(command), Some(keys)) = (&raw.command, &raw.send_keys) {
        cx.say(
            Diagnostic::meaning(keys.key, "`shutdown` with both `command` and `send_keys`")
                .label("the keys")
                .and(command.key, "the command")
                .help("each stands in the place of the signal; keep one"),
        );
    }
    let mut shutdown = Shutdown {
        command: command::optional(raw.command.as_ref(), shell),
        send_keys: texts(raw.send_keys.as_ref()),
        ..Shutdown::default()
    };
    if let Some(signal) = &raw.signal {
        shutdown.signal = signal.0;
    }
    if let Some(timeout) = &raw.timeout {
        shutdown.timeout = timeout.0;
    }
    if let Some(flag) = &raw.leader_only {
        shutdown.leader_only = flag.0;
    }
    shutdown
}

pub(super) fn lifetime(raw: RawLifetime) -> Lifetime {
    match raw {
        RawLifetime::Leader => Lifetime::Leader,
        RawLifetime::Group => Lifetime::Group,
        RawLifetime::Launched => Lifetime::Launched,
    }
}

fn texts(raw: Option<&Field<OneOrMany<Text>>>) -> Vec<String> {
    raw.map_or_else(Vec::new, |list| {
        list.0.iter().map(|text| text.to_string()).collect()
    })
}

pub(super) fn path_texts(list: &[Spanned<Text>], cx: &Cx<'_>) -> Vec<String> {
    let paths = list.iter();
    paths
        .map(|path| paths::absolute_text(path, path.span, cx))
        .collect()
}

/// How long files must be quiet before a change counts.
const DEBOUNCE: Duration = Duration::from_millis(30);

pub(super) fn watch(
    raw: &Field<RawWatch>,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Option<Watch> {
    let record = match &raw.value {
        RawWatch::Paths(list) => {
            check_globs(&list.0, cx);
            return Some(Watch {
                paths: path_texts(&list.0, cx),
                ignore: Vec::new(),
                debounce: DEBOUNCE,
                run: None,
                action: WatchAction::Restart,
                cascade: false,
                gitignore: true,
            });
        }
        RawWatch::Record(record) => record,
    };
    let Some(list) = record.paths.as_ref().filter(|list| !list.0.is_empty()) else {
        cx.say(
            Diagnostic::meaning(raw.key, "this `watch` watches nothing")
                .label("expected `paths` below it"),
        );
        return None;
    };
    check_globs(&list.0, cx);
    if let Some(ignore) = &record.ignore {
        check_globs(&ignore.0, cx);
    }
    let action = match record.action.as_ref().map(|action| &action.value) {
        None | Some(RawAction::Word(_)) => WatchAction::Restart,
        Some(RawAction::Record(action)) => match &action.signal {
            Some(signal) => WatchAction::Signal(signal.0),
            None => WatchAction::Restart,
        },
    };
    Some(Watch {
        paths: path_texts(&list.0, cx),
        ignore: texts(record.ignore.as_ref()),
        debounce: record
            .debounce
            .as_ref()
            .map_or(DEBOUNCE, |debounce| debounce.0),
        run: command::optional(record.run.as_ref(), shell),
        action,
        cascade: record.cascade.as_ref().is_some_and(|flag| flag.0),
        gitignore: record.gitignore.as_ref().is_none_or(|flag| flag.0),
    })
}

pub(super) fn check_globs(list: &[Spanned<Text>], cx: &mut Cx<'_>) {
    for item in list {
        if let Err(error) = globset::Glob::new(item) {
            cx.say(
                Diagnostic::meaning(item.span, format!("{} is not a valid glob", quoted(item)))
                    .label(error.kind().to_string()),
            );
        }
    }
}

pub(super) fn limits(raw: &RawUnit, cx: &mut Cx<'_>) -> Option<Limits> {
    let raw = raw.limits.as_ref()?;
    if let Some(cpus) = raw.cpus.as_ref().filter(|cpus| cpus.0 <= 0.0) {
        cx.say(
            Diagnostic::meaning(cpus.span, "`cpus` must be more than 0")
                .label("expected more than 0"),
        );
    }
    if let Some(memory) = raw.memory.as_ref().filter(|memory| memory.0 == 0) {
        cx.say(
            Diagnostic::meaning(memory.span, "`memory` must be more than 0")
                .label("expected more than 0"),
        );
    }
    let count = |n: i64| u64::try_from(n).ok();
    Some(Limits {
        memory: raw.memory.as_ref().map(|memory| memory.0),
        cpus: raw.cpus.as_ref().map(|cpus| cpus.0),
        pids: raw.pids.as_ref().and_then(|pids| count(pids.0)),
        nofile: raw.nofile.as_ref().and_then(|nofile| count(nofile.0)),
        best_effort: raw.best_effort.as_ref().is_some_and(|flag| flag.0),
    })
}

pub(super) fn schedule(raw: &Field<Box<RawSchedule>>, cx: &mut Cx<'_>) -> Option<Schedule> {
    let overlap = match raw.overlap.as_ref().map(|overlap| overlap.value) {
        None | Some(RawOverlap::Skip) => Overlap::Skip,
        Some(RawOverlap::Queue) => Overlap::Queue,
        Some(RawOverlap::Restart) => Overlap::Restart,
    };
    let timezone = raw.timezone.as_ref();
    if let Some(zone) = timezone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        cx.say(
            Diagnostic::meaning(zone.span, format!("unknown time zone {}", quoted(zone)))
                .label("expected an IANA name such as `Europe/Berlin`"),
        );
    }
    let when = match (&raw.every, &raw.cron) {
        (Some(every), None) => {
            if let Some(zone) = timezone {
                cx.say(
                    Diagnostic::meaning(zone.key, "`timezone` without `cron`")
                        .label("`every` counts from the start, wherever that is"),
                );
            }
            When::Every(positive(Some(every), "every", every.0, cx))
        }
        (None, Some(cron)) => {
            let parser = croner::parser::CronParser::builder()
                .seconds(croner::parser::Seconds::Disallowed)
                .build();
            let parsed = parser.parse(cron);
            if let Ok(parsed) = &parsed {
                let once = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
                if parsed.find_next_occurrence(&once, false).is_err() {
                    cx.say(
                        Diagnostic::meaning(
                            cron.span,
                            format!("the time {} never comes", quoted(cron)),
                        )
                        .label("no day is like that")
                        .help("five fields: minute, hour, day of month, month, day of week"),
                    );
                }
            }
            if let Err(error) = parsed {
                cx.say(
                    Diagnostic::meaning(
                        cron.span,
                        format!("{} is not a valid cron expression", quoted(cron)),
                    )
                    .label(error.to_string())
                    .help("five fields: minute, hour, day of month, month, day of week"),
                );
            }
            When::Cron {
                expression: cron.to_string(),
                timezone: timezone.map(|zone| zone.to_string()),
            }
        }
        (Some(every), Some(cron)) => {
            cx.say(
                Diagnostic::meaning(cron.key, "the schedule has both `every` and `cron`")
                    .label("the second")
                    .and(every.key, "the first")
                    .help("keep one of them"),
            );
            return None;
        }
        (None, None) => {
            cx.say(
                Diagnostic::meaning(raw.key, "the schedule has no time")
                    .label("expected `every` or `cron` below it"),
            );
            return None;
        }
    };
    Some(Schedule {
        when,
        overlap,
        at_start: raw.at_start.as_ref().is_some_and(|flag| flag.0),
    })
}

pub(super) fn logs(raw: &RawLogs, cx: &mut Cx<'_>) -> LogSpec {
    let redact = raw.redact.as_ref().map_or_else(Vec::new, |list| {
        let patterns = list.0.iter();
        patterns
            .filter_map(|text| pattern(text, text.span, cx))
            .collect()
    });
    LogSpec {
        file: raw
            .file
            .as_ref()
            .map(|file| paths::absolute(file, file.span, cx)),
        max_size: raw.max_size.as_ref().map(|size| size.0),
        max_files: raw.max_files.as_ref().and_then(|n| u32::try_from(n.0).ok()),
        redact,
    }
}
