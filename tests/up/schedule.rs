//! Tasks that start by the clock.

use crate::harness::{Pk, poll};

#[test]
fn a_task_runs_again_and_again_and_says_when_next() {
    let yaml = "\
tasks:
  often: {command: echo tick, schedule: {every: 300ms}}
  hourly: {command: echo never, schedule: {cron: '0 * * * *', timezone: Europe/Berlin}}
  after: {command: echo ticked once, depends_on: [often]}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("often  > its time has come");
    pk.wait_for_times("often  | tick", 3);
    pk.wait_for("after  | ticked once");
    // Nothing runs, and the stack goes on.
    let shown = poll("the next hour", || {
        let shown = pk.pk(["explain", "hourly"]).stdout();
        shown.contains("next run in ").then_some(shown)
    });
    assert!(shown.starts_with("hourly: scheduled for"), "{shown}");
    let ps = pk.pk(["ps", "hourly"]).stdout();
    assert!(ps.contains("scheduled; next run in "), "{ps}");
    pk.pk(["down"]).assert_code(0);
    let ended = pk.wait();
    ended.assert_code(0).assert_hides(&["never"]);
    assert_eq!(ended.stdout().matches("ticked once").count(), 1, "{ended}");
}

#[test]
fn a_stop_pauses_it_and_a_start_runs_it_at_once() {
    let yaml = "\
services:
  web: {command: sleep 1000}
tasks:
  rare: {command: echo ran, schedule: {every: 1h}}
  often: {command: echo tick, schedule: {every: 100ms, at_start: true}}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for_times("often | tick", 2);
    pk.pk(["stop", "often"]).assert_code(0);
    poll("the pause", || {
        let ps = pk.pk(["ps", "often"]).stdout();
        ps.contains("schedule paused").then_some(())
    });
    let ticks = pk.so_far().matches("often | tick").count();
    pk.pk(["start", "rare"]).assert_code(0);
    pk.wait_for("rare  | ran");
    pk.wait_for("rare  > completed");
    assert_eq!(pk.so_far().matches("often | tick").count(), ticks);
    pk.pk(["start", "often"]).assert_code(0);
    pk.wait_for_times("often | tick", ticks + 2);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn a_run_that_still_lives_is_told_of_or_replaced() {
    let yaml = "\
tasks:
  slow: {command: sleep 1000, schedule: {every: 200ms}}
  anew: {command: echo pid $$; exec sleep 1000, schedule: {every: 300ms, overlap: restart}}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("slow > its time has come, but its last run still lives: left out");
    pk.wait_for_times("anew | pid", 3);
    assert_eq!(pk.so_far().matches("slow > started").count(), 1);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn a_task_that_is_run_by_hand_waits_for_no_clock() {
    let yaml = "tasks: {nightly: {command: echo ran, schedule: {cron: '0 3 * * *'}}}\n";
    let ended = Pk::stack(yaml, ["run", "nightly"]).run();
    ended.assert_shows(&["ran"]);
}

#[test]
fn a_stack_is_up_though_its_schedule_waits() {
    let yaml = "\
services:
  web: {command: echo up; exec sleep 1000, readiness: {log: up}}
tasks:
  nightly: {command: 'true', schedule: {cron: '0 3 * * *'}}
";
    let pk = Pk::stack(yaml, ["up", "-d", "--wait"]);
    let up = pk.command().output().unwrap();
    assert_eq!(up.status.code(), Some(0), "{up:?}");
    let text = String::from_utf8(up.stdout).unwrap();
    assert!(text.contains("nightly: scheduled"), "{text}");
    let other = Pk::new(["down"]);
    let mut down = other.command();
    down.env("XDG_RUNTIME_DIR", pk.path("."));
    let ended = down.current_dir(pk.path(".")).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    poll("the end of all", || pk.members().is_empty().then_some(()));
}

#[test]
fn a_time_that_never_comes_is_a_mistake() {
    let yaml = "tasks: {never: {command: 'true', schedule: {cron: '0 0 30 2 *'}}}\n";
    let ended = Pk::stack(yaml, ["check"]).code(2).run();
    assert!(ended.stderr().contains("never comes"), "{ended}");
}
