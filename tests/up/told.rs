//! What is said of units that were in trouble.

use rustix::process::Signal;

use crate::harness::Pk;

#[test]
fn what_was_failing_when_the_stack_was_stopped_is_told() {
    let yaml = "\
services:
  back:
    command: echo no luck; exit 1
    restart: {policy: always, backoff: 100s..200s}
  fine: {command: sleep 1000}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("back > restart 1/5 in");
    pk.wait_for("fine > started");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_shows(&[
        "back > stopped (was failing: exit code 1)\n",
        "\nback was failing: exit code 1\n  | no luck\n",
        "\n  failing    back\n  stopped    fine\n",
    ]);
}

#[test]
fn a_stop_command_that_fails_is_followed_by_the_signal_at_once() {
    let yaml = "\
services:
  a: {command: sleep 1000, shutdown: {command: echo sorry; exit 3, timeout: 10m}}
  b: {command: sleep 1000, shutdown: {command: [./nowhere], timeout: 10m}}
tasks:
  t: {command: 'true', depends_on: [a, b]}
";
    let ended = Pk::stack(yaml, ["up", "--exit-code-from", "t"]).run();
    ended.assert_shows(&[
        "a  | sorry\n",
        "a  ! pk: shutdown.command: exit code 3\n",
        "b  ! pk: shutdown.command: ",
        "a  > stopped\n",
        "b  > stopped\n",
    ]);
}

#[test]
fn what_a_stop_command_says_is_in_the_log() {
    let yaml = "\
services:
  a: {command: 'exec sleep 1000 & echo $! > pid; wait', shutdown: {command: kill $(cat pid); echo bye}}
tasks:
  t: {command: 'until [ -s pid ]; do sleep 0.02; done', depends_on: [a]}
";
    Pk::stack(yaml, ["up", "--exit-code-from", "t"])
        .run()
        .assert_order(&["a  > stopping", "a  | bye\n", "a  > stopped"]);
}

#[test]
fn a_stage_that_cannot_start_goes_by_its_name() {
    let yaml = "\
tasks:
  first: {command: echo never, depends_on: [words]}
  words:
    pipeline:
      - {name: good, command: echo one}
      - {name: bad, command: [no-such-program]}
";
    Pk::stack(yaml, ["up"]).code(1).run().assert_shows(&[
        "words failed: stage bad: command not found: `no-such-program`",
        "first was skipped: words failed (stage bad: command not found)\n",
    ]);
}

#[test]
fn the_exits_of_all_stages_stand_in_the_final_words() {
    let yaml = "\
tasks:
  bad:
    pipeline:
      - {name: read, command: echo one}
      - {name: check, command: cat >/dev/null; exit 4}
";
    Pk::stack(yaml, ["up"]).code(1).run().assert_shows(&[
        "\nbad failed: stage check: exit code 4\n  stages ended: read 0 | check 4\n  (it wrote nothing)\n",
    ]);
}

#[test]
fn a_line_that_never_came_is_named() {
    let yaml = "\
services:
  s: {command: echo almost; sleep 1000, readiness: {log: x+}, timeouts: {ready: 200ms}}
";
    Pk::stack(yaml, ["up"])
        .code(1)
        .run()
        .assert_shows(&["s failed: not ready within 200ms (no line matched `x+`)\n"]);
}

#[test]
fn an_essential_unit_that_was_skipped_has_not_ended() {
    let yaml = "\
services:
  a: {command: exit 1}
  b: {command: sleep 1000, depends_on: {a: succeeded}, essential: skipped}
  c: {command: sleep 1000}
";
    Pk::stack(yaml, ["up"])
        .code(1)
        .run()
        .assert_shows(&["stopping: b was skipped, and it is essential\n"]);
}

#[test]
fn a_service_without_a_probe_is_started_not_ready() {
    let yaml = "services:\n  a: {command: sleep 1000}\n";
    Pk::stack(yaml, ["up", "--ci"])
        .run()
        .assert_shows(&["stopping: all services started\n"])
        .assert_hides(&["services ready"]);
}
