//! A process that moves itself out of its unit's cgroup is killed at once, and told of.

use rustix::process::geteuid;

use super::ends::own_cgroup;
use super::left_overs::Ground;
use crate::harness::{Pk, poll};

/// Its parent ends when it has gone: so it comes back to pk.
const STRAYING: &str = "\
services:
  a:
    command: |
      (setsid sh -c 'echo 0 > \"$OUT\" && echo out && exec sleep 1000' &)
      exec sleep 2000
";

#[test]
fn one_that_moves_itself_out_is_killed_and_named() {
    let Some(own) = own_cgroup().filter(|_| geteuid().is_root()) else {
        return crate::contain::say("NOT RUN: only root can move itself to any cgroup");
    };
    let out = Ground(own.join(format!("pk-test-out-{}", std::process::id())));
    std::fs::create_dir(&out.0).unwrap();
    let procs = out.0.join("cgroup.procs");
    let up = Pk::stack(STRAYING, ["up", "--no-tui", "--containment", "cgroup"])
        .env("OUT", procs.to_str().unwrap())
        .start();
    up.wait_for("a  | out");
    up.wait_for("which had moved itself out of its group");
    poll("the end of the stray", || {
        let members = std::fs::read_to_string(&procs).unwrap();
        members.is_empty().then_some(())
    });
    let services = up.members();
    assert!(
        services
            .iter()
            .any(|(_, command)| command.contains("sleep 2000")),
        "the unit goes on: {services:?}"
    );
    up.pk(["down"]).assert_code(0);
    let ended = up.wait();
    ended.assert_code(0);
    let told = ended.stdout();
    let line = (told.lines()).find(|line| line.contains("moved itself out"));
    let line = line.unwrap();
    assert!(
        line.contains("killed sleep (pid ") || line.contains("killed sh (pid "),
        "{line}"
    );
}
