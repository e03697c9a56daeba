//! A machine that lets its user have only so many processes.

use std::process::Stdio;

use super::Place;
use crate::harness::poll;

/// Of nobody else: what others run as the same user counts too.
fn nobody() -> u32 {
    61_000 + std::process::id() % 4000
}

/// 60 units where there is room for some of them: pk's own threads and the keepers of those that
/// are being tried take it as well.
fn stack() -> String {
    use std::fmt::Write as _;
    let mut yaml = "name: few\nservices:\n".to_owned();
    for number in 0..60 {
        let name = format!("s{number}");
        writeln!(
            yaml,
            "  {name}: {{command: [sleep, '1000'], restart: {{policy: on-failure, \
             backoff: 50ms, jitter: 0.5, max_restarts: 5}}}}"
        )
        .unwrap();
    }
    yaml
}

#[test]
fn those_that_come_too_late_fail_by_name_after_their_retries_and_the_rest_goes_on() {
    let is_root = rustix::process::geteuid().is_root();
    // A limit does not hold for root, and counts what the user runs elsewhere: a user of its
    // own, be it in a namespace.
    let place = if is_root {
        Place::of(nobody())
    } else {
        Place::new("")
    };
    std::fs::write(place.path().join("pk.yaml"), stack()).unwrap();
    let up = place.command(&["up", "--no-tui", "--containment", "process-group"]);
    let wrapped = |limit: &str, program: &std::process::Command| {
        let mut command = std::process::Command::new(if is_root { "prlimit" } else { "unshare" });
        if !is_root {
            command.args(["--user", "--map-root-user", "prlimit"]);
        }
        command
            .arg(format!("--nproc={limit}"))
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(place.path())
            .envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        command
    };
    let can = wrapped("50", &std::process::Command::new("true")).output();
    if !can.is_ok_and(|output| output.status.success()) {
        return crate::contain::say("NOT RUN: few processes: no user of its own can be had here");
    }
    let path = place.path().join("said");
    let said = || std::fs::read_to_string(&path).unwrap_or_default();
    let mut up = wrapped("80", &up)
        .stdout(std::fs::File::create(&path).unwrap())
        .stderr(std::fs::File::create(place.path().join("errors")).unwrap())
        .spawn()
        .unwrap();
    let of = |words: &str| said().matches(words).count();
    let running = || {
        let all = place.members().into_iter();
        all.filter(|(_, line)| line.starts_with("sleep")).count()
    };
    poll("all to be judged", || {
        assert!(up.try_wait().unwrap().is_none(), "{}", said());
        (running() + of("> failed") == 60).then_some(())
    });
    let text = said();
    let (started, failed) = (running(), of("> failed"));
    crate::contain::say(&format!("of 60 units {started} run, {failed} have failed"));
    assert!(started > 0 && failed > 0, "{text}");
    for line in text.lines().filter(|line| line.contains("> failed")) {
        assert!(line.contains("no further process is allowed"), "{line}");
        assert!(line.contains("gave up after 5 restarts"), "{line}");
    }
    // Those that run are unharmed, and pk answers.
    assert_eq!(of("it ended"), 0, "{text}");
    let told = place.command(&["ps"]).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    assert_eq!(running(), started);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&up),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let status = poll("the end of pk", || up.try_wait().unwrap());
    assert_eq!(status.code(), Some(143), "{}", said());
    assert_eq!(of("> stopped"), started, "{}", said());
    poll("nobody left", || place.members().is_empty().then_some(()));
}
