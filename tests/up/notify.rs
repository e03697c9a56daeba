//! Units that say themselves how they are: `sd_notify(3)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::harness::{Pk, Running, poll};

/// Says each of its arguments; `wait FILE` waits for a file first, `sleep S` for so long.
const SAY: &str = r#"
use Socket;
$| = 1;
(my $name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
while (defined(my $word = shift @ARGV)) {
    if ($word eq 'wait') {
        my $file = shift @ARGV;
        select(undef, undef, undef, 0.01) until -e $file;
    } elsif ($word eq 'sleep') {
        select(undef, undef, undef, shift @ARGV);
    } else {
        defined send($socket, $word, 0, pack_sockaddr_un($name)) or die $!;
    }
}
"#;

fn stack(yaml: &str, args: &[&str]) -> Running {
    let pk = Pk::stack(yaml, ["up"].into_iter().chain(args.iter().copied()));
    pk.file("say.pl", SAY).start()
}

fn status(pk: &Running, unit: &str) -> String {
    let listed = pk.pk(["ps", unit, "--output", "json"]);
    listed.assert_code(0);
    let state: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    state["units"][0]["status"].as_str().unwrap().to_owned()
}

fn wait_for_status(pk: &Running, unit: &str, wanted: &str) {
    poll(&format!("{unit}: {wanted}"), || {
        (status(pk, unit) == wanted).then_some(())
    });
}

/// Says something from outside of the stack, at the address that a unit has written down.
fn say_as_a_stranger(pk: &Running, file: &str, text: &str) {
    let address = poll("an address", || {
        let text = std::fs::read_to_string(pk.folder().join(file)).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    });
    let address = SocketAddr::from_abstract_name(address.strip_prefix('@').unwrap()).unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to_addr(text.as_bytes(), &address).unwrap();
}

const WEB: &str = "\
services:
  web:
    command: >-
      echo $NOTIFY_SOCKET > address;
      exec perl say.pl 'STATUS=loading' wait go 'READY=1' 'STATUS=7 clients' sleep 1000
    readiness: {notify: true}
tasks:
  after: {command: echo served, depends_on: [web]}
";

fn a_unit_says_that_it_is_ready(args: &[&str]) {
    let pk = stack(WEB, args);
    pk.wait_for("web   > started");
    wait_for_status(&pk, "web", "not ready; says: loading");
    say_as_a_stranger(&pk, "address", "READY=1\nSTATUS=hacked");
    pk.wait_for("pk: a notification was ignored: pid");
    assert_eq!(status(&pk, "web"), "not ready; says: loading");
    std::fs::write(pk.folder().join("go"), "").unwrap();
    pk.wait_for("web   > ready");
    pk.wait_for("after | served");
    wait_for_status(&pk, "web", "ready; says: 7 clients");
    pk.pk(["explain", "web"])
        .assert_shows(&["web: ready; says: 7 clients"]);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn a_unit_says_that_it_is_ready_and_strangers_are_not_heard() {
    a_unit_says_that_it_is_ready(&[]);
}

#[test]
fn so_it_is_with_a_keeper() {
    a_unit_says_that_it_is_ready(&["--containment", "process-group"]);
}

#[test]
fn each_replica_speaks_for_itself_and_short_lived_programs_are_heard() {
    let yaml = "\
services:
  web:
    command: |
      if [ $PK_REPLICA = 2 ]; then (perl say.pl READY=1 &) fi
      exec sleep 1000
    replicas: 2
    readiness: {notify: true}
";
    let pk = stack(yaml, &[]);
    pk.wait_for("web-2 > ready");
    wait_for_status(&pk, "web-1", "not ready");
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn another_user_is_heard() {
    if !rustix::process::geteuid().is_root() {
        println!("not run: only root can run units as another user");
        return;
    }
    let yaml = "\
services:
  web:
    command: [perl, -e, \"$(SAY)\", 'READY=1', sleep, '1000']
    working_dir: /
    user: '65534:65534'
    readiness: {notify: true}
";
    let script = SAY
        .replace('$', "$$")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let script = script.replace("\\0", "\\\\0");
    let pk = stack(&yaml.replace("$(SAY)", &script), &[]);
    pk.wait_for("web > ready");
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn a_watchdog_that_falls_silent_fails_the_run() {
    let yaml = "\
services:
  web:
    command: >-
      echo limit $WATCHDOG_USEC for ${WATCHDOG_PID-anybody};
      exec perl say.pl WATCHDOG=1 sleep 0.1 WATCHDOG=1 sleep 0.1 WATCHDOG=1 sleep 1000
    liveness: {notify: true, interval: 300ms, failure_threshold: 2}
    restart: {policy: on-failure, backoff: 10ms, max_restarts: 1}
";
    let pk = stack(yaml, &[]);
    let ended = pk.wait();
    ended.assert_code(1).assert_shows(&[
        "web | limit 300000 for anybody",
        "restart 1/1",
        "it did not send WATCHDOG=1 within 300ms",
    ]);
}

#[test]
fn a_unit_can_ask_for_more_time_to_be_ready() {
    let yaml = "\
services:
  slow:
    command: [perl, say.pl, EXTEND_TIMEOUT_USEC=60000000, sleep, '4', READY=1, sleep, '1000']
    readiness: {notify: true}
    timeouts: {ready: 3s}
  hasty:
    command: [perl, say.pl, sleep, '1000']
    readiness: {notify: true}
    timeouts: {ready: 3s}
";
    let pk = stack(yaml, &[]);
    pk.wait_for("it did not say that it is");
    pk.wait_for("slow  > ready");
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(1);
}
