//! Stages joined by the kernel.

use crate::harness::Pk;

#[test]
fn stages_are_joined_and_their_exits_shown() {
    let yaml = "\
tasks:
  count:
    pipeline:
      - {name: make, command: printf 'b\\na\\nb\\n'}
      - [sort]
      - {name: pick, command: uniq -d; echo \"from $WHO\" >&2, environment: {WHO: the last}}
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&[
        "count | b\n",
        "count ! from the last\n",
        "count > stages ended: make 0 | 2 0 | pick 0\n",
        "count > completed in TIME\n",
    ]);
}

#[test]
fn the_leftmost_failure_counts() {
    let yaml = "\
tasks:
  bad:
    pipeline:
      - {name: read, command: echo one}
      - {name: check, command: cat; echo broken >&2; exit 4}
      - {name: write, command: cat >/dev/null; exit 5}
";
    Pk::stack(yaml, ["up"]).code(1).run().assert_shows(&[
        "bad > stages ended: read 0 | check 4 | write 5\n",
        "bad failed: stage check: exit code 4\n  stages ended: read 0 | check 4 | write 5\n  ! broken\n",
    ]);
}

#[test]
fn a_writer_whose_reader_left_has_not_failed() {
    let yaml = "\
tasks:
  some:
    pipeline:
      - {name: endless, command: ['yes']}
      - {name: few, command: [head, '-n2']}
";
    Pk::stack(yaml, ["up"]).run().assert_shows(&[
        "some | y\nsome | y\n",
        "some > stages ended: endless SIGPIPE | few 0\n",
        "some > completed",
    ]);
}

#[test]
fn a_timeout_ends_all_stages() {
    let yaml = "\
tasks:
  slow:
    pipeline: [[sleep, '1000'], [cat], [sleep, '1000']]
    timeouts: {run: 300ms}
";
    Pk::stack(yaml, ["up"])
        .code(1)
        .run()
        .assert_shows(&["slow failed: timed out after"]);
}
