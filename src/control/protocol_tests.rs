use std::fmt::Debug;
use std::time::Duration;

use super::*;
use crate::domain::change::{UnitChange, What};
use crate::domain::exit::ExitStatus;
use crate::domain::outcome::{Failed, Failure, Outcome, RunStatus, Skip};
use crate::domain::phase::Stop;

#[track_caller]
fn there_and_back<T: Serialize + serde::de::DeserializeOwned + Debug>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("{back:?}"), format!("{value:?}"), "{text}");
    text
}

fn unit(change: UnitChange) -> Change {
    Change {
        at: Instant::from_millis(61_250),
        what: What::Unit {
            instance: InstanceId(3),
            name: "api".into(),
            change,
        },
    }
}

#[test]
fn changes_come_back_as_they_were() {
    let failed = Outcome::Failed(Failed {
        failure: Failure::TimedOut(Duration::from_secs(90)),
        gave_up_after: Some(2),
    });
    let skipped = Outcome::Skipped(Skip::WaitTimeout {
        limit: Duration::from_secs(3),
        on: vec![(InstanceId(1), Attempt(2))],
        names: vec!["db".into()],
    });
    for change in [
        UnitChange::Waiting,
        UnitChange::Started {
            attempt: Attempt(1),
            pid: 7,
        },
        UnitChange::Ready {
            after: Duration::from_millis(20),
        },
        UnitChange::Stopping {
            stop: Box::new(Stop::Dependency(InstanceId(4))),
        },
        UnitChange::Killed,
        UnitChange::Exited {
            status: RunStatus(vec![ExitStatus::Code(1), ExitStatus::Signal(Signal::TERM)]),
        },
        UnitChange::Ended {
            outcome: Box::new(failed),
            ran_for: Some(Duration::from_secs(91)),
        },
        UnitChange::Ended {
            outcome: Box::new(skipped),
            ran_for: None,
        },
    ] {
        there_and_back(&unit(change));
    }
    for what in [What::Killing, What::ShuttingDown(ShutdownCause::Done)] {
        there_and_back(&Change {
            at: Instant::START,
            what,
        });
    }
    let text = there_and_back(&unit(UnitChange::Ready {
        after: Duration::from_millis(1_500),
    }));
    assert_eq!(
        text,
        r#"{"at":"1m1s250ms","unit":{"instance":3,"name":"api","change":{"ready":{"after":"1s500ms"}}}}"#
    );
}

#[test]
fn acts_read_as_they_are_meant() {
    let act = |text: &str| serde_json::from_str::<Act>(text);
    assert_eq!(
        act(r#"{"command":"start","units":["a"]}"#).unwrap(),
        Act::Start {
            units: vec!["a".into()]
        }
    );
    assert_eq!(
        act(r#"{"command":"shutdown"}"#).unwrap(),
        Act::Shutdown {
            how: Shutdown::Graceful,
            cause: ShutdownCause::Requested
        }
    );
    let signal = Act::Signal {
        units: vec!["a".into()],
        signal: Signal::from_number(40).unwrap(),
    };
    there_and_back(&signal);
    assert!(act(r#"{"command":"reload"}"#).is_err());
    assert!(act(r#"{"command":"start","unit":"a"}"#).is_err());
    assert!(act(r#"{"command":"signal","units":[],"signal":"SIGNOPE"}"#).is_err());
}

#[test]
fn a_line_that_is_no_text_comes_back_byte_for_byte() {
    for bytes in [&b"plain"[..], b"\xff\x00\xfe", "ü".as_bytes()] {
        let line = LogLine {
            seq: 4,
            origin: Origin {
                run: RunId {
                    instance: InstanceId(1),
                    attempt: Attempt(2),
                },
                stage: 1,
                stream: Stream::Stderr,
            },
            time: Timestamp::UNIX_EPOCH,
            bytes: bytes.into(),
            cut: Cut::Unterminated,
        };
        let wire = Line::new(&line, "api".into());
        there_and_back(&wire);
        assert_eq!(wire.log_line(), line);
    }
}
