//! What is said of a stack before its start and after its end.

use super::escape::Sanitizer;
use crate::cli::style::Painter;
use crate::domain::id::Attempt;
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::text::short_duration;
use crate::logs::{LogLine, Stream};

/// How many lines of a failed unit are shown again.
pub const TAIL: usize = 10;

/// Names in one line are wrapped here.
const WIDTH: usize = 79;

/// How the whole ended: what failed and why, with the end of its log from `tail` and, of a
/// pipeline, how its stages ended; what was failing when it was stopped; what was skipped and why; then who is where. Text for people, so escape sequences that units wrote
/// are shown as text.
#[must_use]
pub fn render(
    snapshot: &Snapshot,
    painter: Painter,
    tail: impl Fn(&UnitView) -> Vec<LogLine>,
    stages: impl Fn(&UnitView) -> Option<String>,
) -> String {
    let mut out = String::new();
    let (mut failed, mut failing, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let (mut completed, mut stopped, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for unit in &snapshot.units {
        match &unit.outcome {
            Some(Outcome::Failed(reason)) => {
                failed.push(unit.name.as_str());
                let head = format!("{} failed: {reason}", unit.name);
                out.push_str(&format!("\n{}\n", painter.bad(&safe(&head))));
                if let Some(stages) = stages(unit) {
                    out.push_str(&format!("  {}\n", painter.dim(&safe(&stages))));
                }
                append_tail(&tail(unit), has_run(&reason.failure), painter, &mut out);
            }
            Some(Outcome::Skipped(_)) => skipped.push(unit),
            Some(Outcome::Completed) => completed.push(unit.name.as_str()),
            Some(Outcome::Stopped) if unit.attempt == Attempt::default() => {
                idle.push(unit.name.as_str());
            }
            Some(Outcome::Stopped) => match &unit.last_failure {
                Some(failure) => {
                    failing.push(unit.name.as_str());
                    let head = format!("{} was failing: {failure}", unit.name);
                    out.push_str(&format!("\n{}\n", painter.bad(&safe(&head))));
                    append_tail(&tail(unit), has_run(failure), painter, &mut out);
                }
                None => stopped.push(unit.name.as_str()),
            },
            None => {}
        }
    }
    for unit in &skipped {
        let head = format!("{} was {}", unit.name, unit.status);
        out.push_str(&format!("\n{}\n", painter.warning(&safe(&head))));
    }
    let skipped: Vec<&str> = skipped.iter().map(|unit| unit.name.as_str()).collect();
    let took = short_duration(snapshot.at.since_start());
    let head = format!("{} ended after {took}", snapshot.name);
    out.push_str(&format!("\n{}\n", painter.bold(&head)));
    append_names("failed", &failed, |text| painter.bad(text), &mut out);
    append_names("failing", &failing, |text| painter.bad(text), &mut out);
    append_names("skipped", &skipped, |text| painter.warning(text), &mut out);
    append_names("completed", &completed, |text| painter.good(text), &mut out);
    append_names("stopped", &stopped, str::to_owned, &mut out);
    append_names("not begun", &idle, str::to_owned, &mut out);
    out
}

/// Whether there was a process that could have written something.
fn has_run(failure: &Failure) -> bool {
    match failure {
        Failure::Spawn(_) | Failure::SpawnTimeout(_) => false,
        Failure::PortTaken { status, .. } => status.is_some(),
        Failure::Exit(_)
        | Failure::Stage { .. }
        | Failure::OutOfMemory { .. }
        | Failure::TimedOut(_)
        | Failure::NotReady { .. }
        | Failure::Startup(_)
        | Failure::Unhealthy(_)
        | Failure::Unready(_)
        | Failure::Stuck(_)
        | Failure::Lost => true,
    }
}

fn append_tail(lines: &[LogLine], has_run: bool, painter: Painter, out: &mut String) {
    if lines.is_empty() && has_run {
        out.push_str(&format!("  {}\n", painter.dim("(it wrote nothing)")));
    }
    for line in lines {
        let mark = match line.origin.stream {
            Stream::Stdout => painter.dim("|"),
            Stream::Stderr => painter.bad("!"),
            Stream::Build => painter.dim("#"),
        };
        let text = Sanitizer::default().line(&line.bytes, false);
        out.push_str(&format!("  {mark} {text}\n"));
    }
}

fn append_names(word: &str, names: &[&str], paint: impl Fn(&str) -> String, out: &mut String) {
    const INDENT: usize = 13;
    const MAX_NAMES: usize = 40;
    let Some((first, rest)) = names.split_first() else {
        return;
    };
    let word = paint(&format!("{word:<9}"));
    out.push_str(&format!("  {word}  {first}"));
    let mut column = INDENT + first.len();
    let more = names.len().saturating_sub(MAX_NAMES);
    for name in &rest[..rest.len() - more.min(rest.len())] {
        out.push(',');
        if column + 2 + name.len() > WIDTH {
            out.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        } else {
            out.push(' ');
            column += 2;
        }
        out.push_str(name);
        column += name.len();
    }
    if more > 0 {
        out.push_str(&format!(" and {more} more"));
    }
    out.push('\n');
}

fn safe(text: &str) -> String {
    Sanitizer::default().line(text.as_bytes(), false)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::exit::ExitStatus;
    use crate::domain::health::Readiness;
    use crate::domain::id::{InstanceId, RunId};
    use crate::domain::outcome::{Failed, Skip};
    use crate::domain::phase::{Desired, PhaseName};
    use crate::domain::spec::UnitKind;
    use crate::domain::time::Instant;
    use crate::logs::{Cut, Origin};

    fn view(name: &str, outcome: Option<Outcome>) -> Arc<UnitView> {
        let mut view = UnitView {
            id: InstanceId(0),
            name: name.into(),
            unit: name.into(),
            kind: UnitKind::Service,
            description: None,
            profiles: Vec::new(),
            desired: Desired::Down,
            phase: match outcome {
                Some(_) => PhaseName::Exited,
                None => PhaseName::Idle,
            },
            since: Instant::START,
            readiness: Readiness::Unprobed,
            attempt: Attempt(1),
            restarts: 0,
            pid: None,
            spawned_at: None,
            ready_after: None,
            outcome,
            last_failure: None,
            exit: None,
            up_to_date: None,
            said: None,
            schedule: None,
            watch: None,
            wait: None,
            tty: crate::domain::spec::Tty::No,
            foreground: false,
            takes_input: false,
            status: String::new(),
        };
        view.status = crate::domain::explain::status(&view);
        Arc::new(view)
    }

    fn log(text: &'static str) -> LogLine {
        LogLine {
            seq: 0,
            origin: Origin {
                run: RunId {
                    instance: InstanceId(0),
                    attempt: Attempt(1),
                },
                stage: 0,
                stream: Stream::Stderr,
            },
            time: jiff::Timestamp::UNIX_EPOCH,
            bytes: text.into(),
            cut: Cut::Newline,
        }
    }

    fn snapshot(units: Vec<Arc<UnitView>>) -> Snapshot {
        Snapshot {
            name: "shop".into(),
            at: Instant::from_millis(3210),
            units,
            ..Snapshot::default()
        }
    }

    #[test]
    fn failures_come_with_reason_and_log() {
        let failed = Outcome::Failed(Failed {
            failure: Failure::Exit(ExitStatus::Code(3)),
            gave_up_after: None,
        });
        let skipped = Outcome::Skipped(Skip::Dependency {
            on: InstanceId(0),
            name: "api".into(),
            reason: "failed (exit code 3)".into(),
            because: None,
        });
        let snapshot = snapshot(vec![
            view("db", Some(Outcome::Stopped)),
            view("migrate", Some(Outcome::Completed)),
            view("api", Some(failed)),
            view("web", Some(skipped)),
            view("debug", None),
        ]);
        let tail = |_: &UnitView| vec![log("panic: no database"), log("\x1b[2Jbye")];
        let text = render(&snapshot, Painter::new(false), tail, |_| None);
        assert_eq!(
            text,
            "\n\
             api failed: exit code 3\n\
             \x20 ! panic: no database\n\
             \x20 ! ␛[2Jbye\n\
             \n\
             web was skipped: api failed (exit code 3)\n\
             \n\
             shop ended after 3.2s\n\
             \x20 failed     api\n\
             \x20 skipped    web\n\
             \x20 completed  migrate\n\
             \x20 stopped    db\n"
        );
    }

    #[test]
    fn what_was_failing_when_it_was_stopped_is_told() {
        let stopped = view("back", Some(Outcome::Stopped));
        let failing = UnitView {
            last_failure: Some(Failure::Exit(ExitStatus::Code(1))),
            ..(*stopped).clone()
        };
        let units = vec![Arc::new(failing), view("db", Some(Outcome::Stopped))];
        let stages = |_: &UnitView| None;
        let text = render(
            &snapshot(units),
            Painter::new(false),
            |_| Vec::new(),
            stages,
        );
        assert_eq!(
            text,
            "\n\
             back was failing: exit code 1\n\
             \x20 (it wrote nothing)\n\
             \n\
             shop ended after 3.2s\n\
             \x20 failing    back\n\
             \x20 stopped    db\n"
        );
    }

    #[test]
    fn names_are_wrapped_and_counted() {
        let names: Vec<String> = (0..60).map(|n| format!("service-{n}")).collect();
        let units = names
            .iter()
            .map(|name| view(name, Some(Outcome::Stopped)))
            .collect();
        let text = render(
            &snapshot(units),
            Painter::new(false),
            |_| Vec::new(),
            |_| None,
        );
        assert!(text.lines().all(|line| line.len() <= 95), "{text}");
        assert!(
            text.trim_end().ends_with("service-39 and 20 more"),
            "{text}"
        );
    }
}
