//! What the file lets a unit be and use, as the unit itself sees it.

use crate::harness::Pk;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn umask_nice_and_open_files_are_what_the_file_says() {
    let yaml = "\
tasks:
  t:
    command: 'echo \"$(umask) $(nice) $(ulimit -Sn) $(ulimit -Hn)\"'
    umask: '027'
    nice: 7
    limits: {nofile: 123}
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&["t  | 0027 7 123 123\n"]);
}

#[test]
fn a_unit_and_its_helpers_run_as_its_user() {
    if !is_root() {
        println!("NOT RUN: a_unit_and_its_helpers_run_as_its_user: only root can be another user");
        return;
    }
    let yaml = "\
services:
  s:
    command: 'id -u; id -g; sleep 1000'
    working_dir: /
    user: '65534:65533'
    readiness: {exec: 'test $(id -u) = 65534'}
    shutdown: {command: 'echo stopped by $(id -u); kill 0'}
tasks:
  t: {command: 'true', depends_on: [s]}
";
    let ended = Pk::stack(yaml, ["up", "--exit-code-from", "t"]).run();
    ended.assert_shows(&["s  | 65534\n", "s  | 65533\n", "s  | stopped by 65534\n"]);
}

#[test]
fn a_user_that_is_not_there_is_named() {
    let yaml = "tasks:\n  t: {command: 'true', user: no-such-user}\n";
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    ended.assert_shows(&["there is no user `no-such-user`"]);
}

const LIMITED: &str = "\
tasks:
  t:
    command: echo it ran
    limits: {memory: 64MiB}
";

#[test]
fn a_limit_that_cannot_be_enforced_is_an_error_with_the_true_cause() {
    let ended = Pk::stack(LIMITED, ["up", "--containment", "process-group"])
        .code(1)
        .run();
    ended.assert_shows(&[
        "limits.memory cannot be enforced: a limit on memory takes cgroups, and there are none",
    ]);
    assert!(!ended.stdout().contains("it ran"), "{ended}");
}

#[test]
fn or_a_warning_where_the_file_lets_it_be() {
    let yaml = LIMITED.replace("64MiB", "64MiB, best_effort: true");
    let ended = Pk::stack(&yaml, ["up", "--containment", "process-group"]).run();
    ended.assert_shows(&[
        "t  ! pk: warning: limits.memory is not enforced: a limit on memory takes cgroups",
        "t  | it ran\n",
    ]);
}

#[test]
fn more_open_files_than_are_permitted_are_refused_or_fewer() {
    let yaml = "tasks:\n  t: {command: 'ulimit -n', limits: {nofile: 4294967295}}\n";
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    ended.assert_shows(&["limits.nofile cannot be 4294967295: more than "]);
    let yaml = yaml.replace("4294967295", "4294967295, best_effort: true");
    let ended = Pk::stack(&yaml, ["up"]).run();
    ended.assert_shows(&[" instead of 4294967295: more is not permitted here\n"]);
}

/// What the machine can do the test finds out: where a limit cannot be enforced, that is what
/// must be said.
#[test]
fn a_limit_is_enforced_or_refused() {
    let yaml = "\
tasks:
  t:
    command: 'sleep 0.1 & sleep 0.1 & sleep 0.1 & sleep 0.1 & sleep 0.1 & wait; echo all forked'
    limits: {pids: 4}
";
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    let shown = ended.stdout();
    let refused = shown.contains("limits.pids cannot be enforced: ");
    let enforced = shown.contains("Resource temporarily unavailable") || shown.contains("fork");
    assert!(refused || enforced, "{ended}");
}
