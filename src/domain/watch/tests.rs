use std::time::Duration;

use super::{ChangedFiles, FileChange, Reaction, Step, Watching};
use crate::domain::spec::{Command, Watch, WatchAction};
use crate::domain::time::Instant;

fn spec(builds: bool) -> Watch {
    Watch {
        paths: vec!["/w".into()],
        ignore: Vec::new(),
        debounce: Duration::ZERO,
        run: builds.then(|| Command::Exec(vec!["make".into()])),
        action: WatchAction::Restart,
        cascade: false,
        gitignore: true,
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn files(path: &str) -> FileChange {
    FileChange {
        path: path.into(),
        others: 0,
    }
}

/// A change that is told at that time, and what is done is noted as the set would.
fn save(watching: &mut Watching, path: &str, now: u64, spawned: Option<u64>) -> Vec<Step> {
    let steps = watching.changed(at(now), ChangedFiles::one(path), spawned.map(at));
    note(watching, &steps, now);
    steps
}

fn note(watching: &mut Watching, steps: &[Step], now: u64) {
    for step in steps {
        match step {
            Step::Act(files) => watching.note(files.clone(), at(now), Reaction::Restart),
            Step::Build { files, .. } => watching.note(files.clone(), at(now), Reaction::Build),
            Step::CancelBuild { .. }
            | Step::Hold { .. }
            | Step::Held(_)
            | Step::Read(_)
            | Step::BuildFailed { .. }
            | Step::Muted(_) => {}
        }
    }
}

fn build(number: u64, path: &str, anew: bool) -> Step {
    Step::Build {
        number,
        files: files(path),
        anew,
    }
}

#[test]
fn a_failed_build_keeps_what_runs_and_the_next_one_is_tried() {
    let mut watching = Watching::new(spec(true));
    assert_eq!(save(&mut watching, "a", 0, None), [build(1, "a", false)]);
    let steps = watching.built(at(10), 1, Err("exit code 1".into()));
    assert!(
        matches!(&steps[..], [Step::BuildFailed { .. }]),
        "{steps:?}"
    );
    assert!(watching.failure().is_some());
    assert_eq!(save(&mut watching, "a", 5000, None), [build(2, "a", false)]);
    assert_eq!(watching.built(at(5010), 2, Ok(())), [Step::Act(files("a"))]);
    assert_eq!(watching.failure(), None);
}

#[test]
fn a_save_during_a_build_cancels_it_and_builds_once_more() {
    let mut watching = Watching::new(spec(true));
    save(&mut watching, "a", 0, None);
    assert_eq!(
        save(&mut watching, "b", 10, None),
        [Step::CancelBuild { number: 1 }]
    );
    assert_eq!(save(&mut watching, "c", 11, None), []);
    // Whatever came of the one that was cancelled counts no more.
    let steps = watching.built(at(12), 1, Ok(()));
    let all = FileChange {
        path: "a".into(),
        others: 2,
    };
    assert!(
        matches!(&steps[..], [Step::Build { number: 2, files, anew: true }] if *files == all),
        "{steps:?}"
    );
    assert_eq!(watching.built(at(13), 1, Ok(())), [], "stale");
    assert_eq!(watching.built(at(20), 2, Ok(())), [Step::Act(all)]);
}

#[test]
fn what_changes_while_paused_counts_once_afterwards() {
    let mut watching = Watching::new(spec(false));
    assert!(watching.pause());
    assert!(!watching.pause());
    assert_eq!(save(&mut watching, "a", 0, None), [Step::Held(files("a"))]);
    save(&mut watching, "a", 10, None);
    assert_eq!(watching.resume(), Some(vec![Step::Act(files("a"))]));
    assert_eq!(watching.resume(), None);
}

#[test]
fn a_unit_that_writes_what_it_watches_is_recognised_and_the_file_named() {
    let mut watching = Watching::new(spec(false));
    let (mut now, mut restarts) = (0, 0);
    let mut steps = save(&mut watching, "out", now, None);
    let muted = loop {
        match &steps[..] {
            [Step::Act(_)] => {
                restarts += 1;
                assert!(restarts < 20, "for ever");
                // Each start writes the file anew, 100 ms after it.
                now += 100;
                steps = save(&mut watching, "out", now, Some(now - 100));
            }
            [Step::Hold { number, limit, .. }] => {
                now += u64::try_from(limit.as_millis()).unwrap();
                steps = watching.hold_over(*number);
                note(&mut watching, &steps, now);
            }
            [Step::Muted(path)] => break path.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(muted, "out");
    assert_eq!(watching.muted().collect::<Vec<_>>(), ["out"]);
    assert_eq!(save(&mut watching, "out", now + 1, Some(now)), []);
    // All else still counts, and resuming forgets.
    assert_eq!(
        save(&mut watching, "src", now + 2, Some(now)),
        [Step::Act(files("src"))]
    );
    assert_eq!(watching.resume(), Some(Vec::new()));
    assert_eq!(
        save(&mut watching, "out", now + 9000, Some(now)),
        [Step::Act(files("out"))]
    );
}

/// A start counts once, however many reports follow it.
#[test]
fn many_saves_between_two_starts_are_one_answer_to_a_start() {
    let mut watching = Watching::new(spec(false));
    for now in (0..2000).step_by(50) {
        let steps = save(&mut watching, "a", now, Some(0));
        assert_eq!(steps, [Step::Act(files("a"))], "{now}");
    }
}

/// As somebody who saves as soon as what was saved before runs, but not always the same.
#[test]
fn saves_that_differ_are_no_loop() {
    let mut watching = Watching::new(spec(false));
    let mut spawned = 0;
    for round in 0..1000 {
        let mut now = spawned + 100;
        let mut steps = save(&mut watching, "a", now, Some(spawned));
        if round % 4 == 3 {
            steps.extend(save(&mut watching, "a", now + 50, Some(spawned)));
        }
        for step in steps {
            match step {
                Step::Act(_) => {}
                Step::Hold { number, limit, .. } => {
                    now += u64::try_from(limit.as_millis()).unwrap();
                    let steps = watching.hold_over(number);
                    note(&mut watching, &steps, now);
                }
                other @ (Step::Build { .. }
                | Step::CancelBuild { .. }
                | Step::Held(_)
                | Step::Read(_)
                | Step::BuildFailed { .. }
                | Step::Muted(_)) => panic!("{other:?}"),
            }
        }
        spawned = now + 5;
    }
}

/// What waits to see who writes it goes along with what does not.
#[test]
fn another_file_is_not_held_back_with_the_one_that_is_suspected() {
    let mut watching = Watching::new(spec(false));
    let mut spawned = 0;
    let hold = loop {
        let steps = save(&mut watching, "out", spawned + 10, Some(spawned));
        match &steps[..] {
            [Step::Act(_)] => spawned += 20,
            [Step::Hold { number, .. }] => break *number,
            other => panic!("{other:?}"),
        }
    };
    let both = FileChange {
        path: "out".into(),
        others: 1,
    };
    let steps = save(&mut watching, "src", spawned + 30, Some(spawned));
    assert_eq!(steps, [Step::Act(both)]);
    assert_eq!(watching.hold_over(hold), [], "stale");
}

#[test]
fn whoever_saves_while_nothing_was_done_is_no_loop() {
    let mut watching = Watching::new(spec(false));
    let (mut now, mut acts, mut spawned) = (0, 0, 0);
    let mut hold = None;
    for _ in 0..2000 {
        now += 40;
        if let Some((number, due)) = hold
            && due <= now
        {
            let steps = watching.hold_over(number);
            note(&mut watching, &steps, now);
            acts += steps.len();
            spawned = now + 5;
            hold = None;
        }
        for step in save(&mut watching, "a", now, Some(spawned)) {
            match step {
                Step::Act(_) => {
                    acts += 1;
                    spawned = now + 5;
                }
                Step::Hold { number, limit, .. } => {
                    hold = Some((number, now + u64::try_from(limit.as_millis()).unwrap()));
                }
                other @ (Step::Build { .. }
                | Step::CancelBuild { .. }
                | Step::Held(_)
                | Step::Read(_)
                | Step::BuildFailed { .. }
                | Step::Muted(_)) => panic!("{other:?}"),
            }
        }
    }
    assert!(acts > 100, "{acts}");
    assert_eq!(watching.muted().count(), 0);
}

#[test]
fn a_build_that_writes_what_is_watched_comes_to_its_end() {
    let mut watching = Watching::new(spec(true));
    let mut now = 0;
    let mut steps = save(&mut watching, "gen.rs", now, None);
    let mut builds = 0;
    let mut acts = 0;
    for _ in 0..100 {
        let mut next = Vec::new();
        for step in steps {
            match step {
                Step::Build { number, .. } => {
                    builds += 1;
                    now += 100;
                    let mut more = save(&mut watching, "gen.rs", now, None);
                    if more.is_empty() {
                        more = watching.built(at(now + 5), number, Ok(()));
                    }
                    next.extend(more);
                }
                Step::CancelBuild { number } => {
                    next.extend(watching.built(at(now + 1), number, Err("cancelled".into())));
                }
                Step::Hold { number, limit, .. } => {
                    now += u64::try_from(limit.as_millis()).unwrap();
                    next.extend(watching.hold_over(number));
                }
                Step::Act(files) => {
                    acts += 1;
                    watching.note(files, at(now), Reaction::Restart);
                }
                Step::Muted(path) => {
                    assert_eq!(path, "gen.rs");
                    assert!(acts > 0, "it was never let to its end");
                    return;
                }
                other @ (Step::Held(_) | Step::Read(_) | Step::BuildFailed { .. }) => {
                    panic!("{other:?}")
                }
            }
        }
        steps = next;
    }
    panic!("{builds} builds and no end");
}

#[test]
fn standing_down_forgets_and_ends_the_build() {
    let mut watching = Watching::new(spec(true));
    save(&mut watching, "a", 0, None);
    assert_eq!(watching.stand_down(), Some(Step::CancelBuild { number: 1 }));
    assert_eq!(watching.stand_down(), None);
    assert_eq!(watching.built(at(5), 1, Ok(())), []);
    assert!(!watching.is_building());
}

#[test]
fn standing_down_forgets_the_build_that_another_was_to_make_way_for() {
    let mut watching = Watching::new(spec(true));
    save(&mut watching, "a", 0, None);
    assert_eq!(
        save(&mut watching, "b", 1, None),
        [Step::CancelBuild { number: 1 }]
    );
    assert!(!watching.is_idle());
    assert_eq!(watching.stand_down(), None);
    assert!(watching.is_idle());
    assert_eq!(watching.built(at(5), 1, Err("cancelled".into())), []);
    assert!(!watching.is_building());
}
