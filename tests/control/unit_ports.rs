//! The ports of units: picked by pk, told to the units, and in whose way somebody is.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::harness::{Pk, Running, free_port, package, poll};

/// The shop with no number in its file.
const SHOP: &str = "\
name: shop
environment:
  DB_PORT: ${db.ports.sql}
  API_PORT: ${api.ports.http}
  WEB_PORT: ${web.ports.http}
services:
  db:
    command: [perl, db.pl]
    ports: {sql: auto}
    readiness: {port: sql}
  api:
    command: [perl, api.pl]
    ports: {http: auto}
    depends_on: [db, migrate]
    readiness: {http: 'http://127.0.0.1:${api.ports.http}/ready'}
  web:
    command: 'echo open at $PORT and $PORT_HTTP; exec perl web.pl'
    ports: {http: auto}
    depends_on: [api]
    readiness: {tcp: '${web.ports.http}'}
tasks:
  migrate: {command: [bash, migrate.sh], depends_on: [db]}
";

/// Listens on `$PORT`, once the file is there if one is named.
const LISTEN: &str = r#"
use IO::Socket::INET;
$| = 1;
my ($address, $file) = @ARGV;
print "here\n";
select(undef, undef, undef, 0.01) until !$file or -e $file;
my $socket = IO::Socket::INET->new(
    LocalAddr => $address || '127.0.0.1', LocalPort => $ENV{PORT}, Listen => 5, ReuseAddr => 1,
) or die $!;
sleep 1000;
"#;

fn shop() -> Running {
    let mut pk = Pk::stack(SHOP, ["up"]);
    for entry in std::fs::read_dir(package().join("examples/shop")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "pk.yaml" {
            pk = pk.file(name, &std::fs::read_to_string(&path).unwrap());
        }
    }
    pk.start()
}

/// Where the front end says that it is.
fn web(pk: &Running) -> u16 {
    pk.wait_for("web     > ready");
    let shown = pk.so_far();
    let said = shown.split("open at ").nth(1).unwrap();
    let mut words = said.split_whitespace();
    let port = words.next().unwrap();
    assert_eq!(words.nth(1), Some(port), "{shown}");
    port.parse().unwrap()
}

fn get(port: u16) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(socket, "GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn two_copies_of_the_shop_run_side_by_side() {
    let (one, two) = (shop(), shop());
    let (first, second) = (web(&one), web(&two));
    assert_ne!(first, second);
    for port in [first, second] {
        assert!(get(port).contains("<li>tea: 100</li>"));
    }
    for command in ["ps", "stats"] {
        let shown = one.pk([command]).stdout();
        let row = shown.lines().find(|row| row.starts_with("web ")).unwrap();
        assert!(row.contains(&first.to_string()), "{shown}");
        let listed = one.pk([command, "--output", "json", "web"]).stdout();
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let rows = if command == "ps" { "units" } else { "runs" };
        let listening = &listed[rows][0]["listening"][0];
        assert_eq!(listening["port"].as_u64(), Some(first.into()), "{listed}");
    }
    // A reload that changes nothing picks nothing anew.
    one.pk(["reload"])
        .assert_code(0)
        .assert_shows(&["nothing changes"]);
    // A restart neither.
    one.pk(["restart", "web", "--wait"]).assert_code(0);
    assert!(get(first).contains("<li>tea: 100</li>"));
    for pk in [one, two] {
        pk.pk(["down"]).assert_code(0);
        pk.wait().assert_code(0);
    }
}

#[test]
fn a_checkout_keeps_its_ports_from_run_to_run() {
    let yaml = "tasks:\n  t: {command: 'echo port $PORT_A $PORT_B', ports: {a: auto, b: auto}}\n";
    let pk = Pk::stack(yaml, ["up"]);
    let said = || {
        let ended = pk.command().output().unwrap();
        let text = String::from_utf8(ended.stdout).unwrap();
        text.split("port ")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    let first = said();
    assert_eq!(said(), first);
    // One that is taken meanwhile is not given.
    let number: u16 = first.split(' ').next().unwrap().parse().unwrap();
    let held = TcpListener::bind(("127.0.0.1", number)).unwrap();
    assert_ne!(said(), first);
    drop(held);
    assert_eq!(said(), first);
}

#[test]
fn each_replica_has_a_port_of_its_own() {
    let yaml = "\
services:
  web:
    command: echo mine is $PORT of $PORT_HTTP; exec sleep 1000
    ports: {http: auto}
    readiness: {log: mine is}
    replicas: 3
tasks:
  end: {command: 'true', depends_on: [web], essential: true}
";
    let ended = Pk::stack(yaml, ["up"]).run();
    let shown = ended.stdout();
    let ports: BTreeMap<&str, &str> = shown
        .lines()
        .filter_map(|line| {
            let (name, said) = line.split_once(" | mine is ")?;
            let (one, all) = said.split_once(" of ")?;
            assert_eq!(one, all, "{ended}");
            Some((name, one))
        })
        .collect();
    let mut numbers: Vec<&&str> = ports.values().collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 3, "{ended}");
}

#[test]
fn who_holds_a_port_is_named_before_the_unit_starts() {
    let port = free_port();
    let yaml = |name: &str| {
        format!(
            "name: {name}\nservices:\n  db: {{command: [perl, listen.pl], ports: {{sql: {port}}}, readiness: {{port: sql}}}}\n"
        )
    };
    let start = |name: &str| Pk::stack(&yaml(name), ["up"]).file("listen.pl", LISTEN);
    let first = start("one").start();
    first.wait_for("> ready");
    let second = start("two").code(1).run();
    second.assert_shows(&[
        &format!("port {port} (`sql`) is taken by `perl listen.pl` (pid "),
        ", `db` of the pk stack `one`); stop that (`kill ",
        "`), or choose another port, such as `sql: auto`",
    ]);
    // What a unit's tree really listens on is shown.
    let shown = first.pk(["ps"]);
    shown.assert_code(0).assert_shows(&[&format!("{port} ")]);
    let listed = first.pk(["ps", "--output", "json"]).stdout();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        listed["units"][0]["listening"],
        serde_json::json!([{"port": port, "address": "127.0.0.1"}])
    );
    first.pk(["restart", "db", "--wait"]).assert_code(0);
    first.pk(["down"]).assert_code(0);
    first.wait();
}

#[test]
fn a_stranger_on_the_port_is_not_the_unit() {
    let stranger = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    // It listens somewhere else on that port, only once it is told.
    let yaml = format!(
        "services:\n  api:\n    command: [perl, listen.pl, 127.0.0.3, go]\n    ports: {{http: {port}}}\n    readiness: {{port: http}}\n"
    );
    let stack = Pk::stack(&yaml, ["up"]).file("listen.pl", LISTEN);
    let pk = stack.start();
    pk.wait_for("| here");
    poll("its probe", || {
        let said = pk.pk(["explain", "api"]).stdout();
        said.contains("which is no process of this unit")
            .then_some(())
    });
    std::fs::write(pk.folder().join("go"), "").unwrap();
    pk.wait_for("> ready");
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}

#[test]
fn who_has_come_in_the_way_of_a_unit_is_named_and_it_is_not_tried_again() {
    let port = free_port();
    let yaml = format!(
        "services:\n  api:\n    command: [perl, listen.pl, 127.0.0.1, go]\n    ports: {{http: {port}}}\n    restart: {{policy: on-failure, backoff: 10ms}}\n"
    );
    let pk = Pk::stack(&yaml, ["up"]).file("listen.pl", LISTEN).start();
    pk.wait_for("| here");
    let stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::fs::write(pk.folder().join("go"), "").unwrap();
    let ended = pk.wait();
    ended.assert_code(1).assert_shows(&[
        "! Address already in use",
        &format!("failed: port {port} (`http`) is taken by `"),
    ]);
    let own = std::process::id();
    let help = format!(
        "(pid {own}); stop that (`kill {own}`), or choose another port, such as `http: auto`"
    );
    assert!(ended.stdout().contains(&help), "{ended}");
    let starts = ended.stdout().matches("api > started").count();
    assert_eq!(starts, 1, "{ended}");
    drop(stranger);
}
