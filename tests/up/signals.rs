//! What ends pk must end its stack first.

use rustix::process::Signal;

use crate::harness::Pk;

const ONE: &str = "services:\n  one: {command: [sleep, '1000']}\n";

#[test]
fn every_signal_that_could_end_pk_stops_the_stack() {
    for signal in [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::ALARM,
        Signal::TERM,
        Signal::USR1,
        Signal::USR2,
        Signal::XCPU,
    ] {
        let pk = Pk::stack(ONE, ["up"]).start();
        pk.wait_for("one > started");
        pk.signal(signal);
        pk.wait()
            .assert_code(128 + signal.as_raw())
            .assert_shows(&["one > stopped"]);
    }
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let pk = Pk::stack(ONE, ["up"]).through(&["nohup"]).start();
    pk.wait_for("one > started");
    pk.signal(Signal::HUP);
    // Signals of one process are taken in order: had the first been heard, its code would be
    // that of the end.
    pk.signal(Signal::TERM);
    pk.wait().assert_code(143).assert_shows(&["one > stopped"]);
}

#[test]
fn a_signal_that_was_blocked_is_heard() {
    let block = "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM)) or die; exec @ARGV";
    let pk = Pk::stack(ONE, ["up"])
        .through(&["perl", "-MPOSIX", "-e", block])
        .start();
    pk.wait_for("one > started");
    pk.signal(Signal::TERM);
    pk.wait().assert_code(143).assert_shows(&["one > stopped"]);
}

#[test]
fn what_leaves_its_session_ends_with_its_unit_in_a_cgroup() {
    if crate::contain::in_a_cgroup().is_none() {
        return;
    }
    let yaml = "services:\n  one:\n    command: |\n      setsid sleep 1000 &\n      (setsid sh -c 'sleep 1000' </dev/null >/dev/null 2>&1 &)\n      echo made\n      exec sleep 1000\n";
    let pk = Pk::stack(yaml, ["up", "--containment", "cgroup"]).start();
    pk.wait_for("one | made");
    pk.signal(Signal::INT);
    // The harness asserts that nothing is left.
    pk.wait().assert_code(130).assert_shows(&["one > stopped"]);
}
