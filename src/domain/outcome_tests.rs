//! How ends are told.

use super::*;
use crate::domain::spec::{Command, Stage, UnitKind};

fn pipeline(stages: usize) -> UnitSpec {
    let stages = (0..stages)
        .map(|n| Stage {
            name: ["read", "sort", "write"][n].into(),
            command: Command::Exec(vec!["true".into()]),
            environment: Default::default(),
            working_dir: None,
        })
        .collect();
    UnitSpec::new(
        "p".into(),
        UnitKind::Task,
        Program::Pipeline(stages),
        "/".into(),
    )
}

#[test]
fn a_brief_reason_keeps_its_stage() {
    let spawn = |text: &str| Failure::Spawn(text.to_owned()).brief();
    assert_eq!(
        spawn("stage sort: command not found: `sorty` is in no folder"),
        "stage sort: command not found"
    );
    assert_eq!(spawn("command not found: `x`"), "command not found");
    let stage = Failure::Stage {
        name: "1".into(),
        status: ExitStatus::Code(3),
    };
    assert_eq!(stage.brief(), "stage 1: exit code 3");
    let killed = Failure::Exit(ExitStatus::Signal(Signal::KILL));
    let starved = killed.for_want_of_memory(Some(64 << 20));
    assert_eq!(starved.to_string(), "out of memory (limit 64MiB): SIGKILL");
    assert_eq!(starved.brief(), "out of memory");
    let starved = stage.for_want_of_memory(None);
    assert_eq!(starved.to_string(), "stage 1: out of memory: exit code 3");
    assert_eq!(starved.brief(), "stage 1: out of memory");
}

#[test]
fn the_leftmost_failed_stage_decides() {
    let spec = pipeline(3);
    let (ok, one, two) = (
        ExitStatus::SUCCESS,
        ExitStatus::Code(1),
        ExitStatus::Code(2),
    );
    let pipe = ExitStatus::Signal(Signal::PIPE);
    let failure = |stages: [ExitStatus; 3]| {
        RunStatus(stages.to_vec())
            .failure(&spec)
            .map(|f| f.to_string())
    };
    assert_eq!(failure([ok, ok, ok]), None);
    assert_eq!(
        failure([ok, one, two]),
        Some("stage sort: exit code 1".into())
    );
    assert_eq!(failure([pipe, ExitStatus::Code(141), ok]), None);
    assert_eq!(
        failure([pipe, ok, two]),
        Some("stage write: exit code 2".into())
    );
    assert_eq!(failure([ok, ok, pipe]), Some("stage write: SIGPIPE".into()));
}

#[test]
fn further_codes_and_signals_count_as_success() {
    let mut spec = pipeline(1);
    spec.success_exit_codes = SuccessCodes {
        codes: vec![3],
        signals: vec![Signal::TERM],
    };
    assert_eq!(RunStatus::of(ExitStatus::Code(3)).failure(&spec), None);
    assert_eq!(
        RunStatus::of(ExitStatus::Signal(Signal::TERM)).failure(&spec),
        None
    );
    assert!(
        RunStatus::of(ExitStatus::Signal(Signal::INT))
            .failure(&spec)
            .is_some()
    );
}

#[test]
fn a_port_that_is_taken_keeps_how_the_run_ended() {
    let why = "port 80 is taken by nginx (pid 7): stop that".to_owned();
    let ended = Failure::Exit(ExitStatus::Code(98)).for_a_port_that_is_taken(why.clone());
    assert_eq!(ended.brief(), "port taken");
    assert_eq!(ended.status(), Some(ExitStatus::Code(98)));
    assert!(ended.is_exit());
    let refused = Failure::Spawn("x".to_owned()).for_a_port_that_is_taken(why);
    assert_eq!(refused.status(), None);
    assert!(!refused.is_exit());
    // Where memory is the cause the port is not.
    assert_eq!(ended.clone().for_want_of_memory(None), ended);
}
