//! Numbers of processes that are given again at once: in a namespace that has some hundred of
//! them, units start and stop beside strangers that come and go, and no stranger may feel a
//! signal of pk's.

use crate::harness::Pk;

/// Starts strangers, lets `$@` run beside them, restarts all that it runs `$TURNS` times, and
/// ends it. A stranger that did not end by itself is told of as `felt STATUS`.
macro_rules! beside_strangers {
    () => {
        r#"
stranger() {
  n=0
  while [ ! -e over ]; do
    pids=
    for i in 1 2 3 4 5 6; do sleep 0.01 & pids="$pids $!"; done
    for pid in $pids; do
      wait $pid; status=$?
      [ $status = 0 ] || echo "a stranger felt $status"
      n=$((n+1))
    done
  done
  echo "strangers: $n"
}
rm -f over
stranger & one=$!
stranger & other=$!
"$@" & pk=$!
until "$1" ps >/dev/null 2>&1; do sleep 0.05; done
turn=0
while [ $turn -lt $TURNS ]; do
  "$1" restart s --wait >/dev/null || { echo "a restart failed"; break; }
  turn=$((turn+1))
done
kill -TERM $pk
wait $pk; code=$?
touch over
wait $one $other
echo "numbers go to $(cat /proc/sys/kernel/pid_max)"
"#
    };
}
pub(crate) use beside_strangers;

/// Eight runs, each of which leaves numbers free all the time.
pub const STACK: &str = "\
name: reuse
defaults:
  services: {restart: {policy: always, backoff: 10ms, factor: 1, max_restarts: unlimited}}
services:
  s: {command: '(sleep 0.02 &); sleep 0.01 & sleep 1000', replicas: 6}
  ends: {command: 'sleep 0.05', replicas: 2}
";

/// Since Linux 6.14 each pid namespace has a limit of its own; before, it is the machine's.
fn has_limits_of_their_own() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|at: char| !at.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (next(), next()) >= (Some(6), Some(14))
}

/// Each turn is some six stops and starts, of three processes each; `PK_REUSE=17000` makes
/// 100 000.
#[test]
fn where_numbers_are_few_no_stranger_feels_a_signal() {
    if !has_limits_of_their_own() {
        return crate::contain::say(
            "NOT RUN: few numbers: this kernel has one limit for the whole machine",
        );
    }
    let turns = std::env::var("PK_REUSE").unwrap_or_else(|_| "30".to_owned());
    let own_user: &[&str] = if rustix::process::geteuid().is_root() {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let own = ["--pid", "--fork", "--mount-proc", "--", "sh", "-c"];
    let limit = "echo 400 >/proc/sys/kernel/pid_max || exit 99";
    let can = std::process::Command::new("unshare")
        .args(own_user)
        .args(own)
        .arg(limit)
        .output()
        .unwrap();
    if !can.status.success() {
        let why = String::from_utf8_lossy(&can.stderr).into_owned();
        return crate::contain::say(&format!("NOT RUN: few numbers: {}", why.trim()));
    }
    let script = format!("{limit}; {} exit $code", beside_strangers!());
    for mechanism in super::mechanisms() {
        let through = [&["unshare"], own_user, &own, &[script.as_str(), "sh"]].concat();
        let ended = Pk::stack(STACK, ["up", "--no-tui", "--containment", mechanism])
            .env("TURNS", &turns)
            .through(&through)
            .start()
            .wait();
        ended.assert_code(143);
        let text = ended.stdout();
        assert_untouched(&text);
        let starts = text.matches(" > started").count();
        crate::contain::say(&format!("{mechanism}: {starts} starts among few numbers"));
        assert!(starts > 150, "{ended}");
    }
}

/// What [`beside_strangers`] has said.
#[track_caller]
pub fn assert_untouched(text: &str) {
    for bad in ["felt", "a restart failed", " failed"] {
        assert!(!text.contains(bad), "{bad:?} in\n{text}");
    }
    assert!(text.contains("numbers go to 400\n"), "{text}");
    let strangers: u32 = text
        .lines()
        .filter_map(|line| line.strip_prefix("strangers: "))
        .map(|count| count.parse::<u32>().unwrap())
        .sum();
    assert!(strangers > 100, "{strangers} in\n{text}");
}
