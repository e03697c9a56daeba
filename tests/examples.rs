//! Every example does what it says.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::harness::visits::{Place, SERVERS, ask, missing};
use crate::harness::{Pk, free_port, package};

fn example(name: &str, args: &[&str]) -> Pk {
    let folder = package().join("examples").join(name);
    Pk::new(args.iter().copied()).cwd(folder)
}

#[test]
fn no_example_is_forgotten() {
    let mut names: Vec<String> = std::fs::read_dir(package().join("examples"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["hello", "pipeline", "shop", "visits"]);
    for name in names {
        example(&name, &["check"]).stderr("").run();
    }
}

#[test]
fn hello() {
    let pk = example("hello", &["up"]).start();
    pk.wait_for("greet > completed");
    pk.wait_for("clock | it is");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "clock | it is",
        "clock > ready",
        "greet | hello, the clock is ticking",
        "clock > stopped",
    ]);
}

#[test]
fn pipeline() {
    example("pipeline", &["up"]).run().assert_shows(&[
        "words > stages ended: read 0 | split 0 | sort 0 | count 0 | rank 0 | top 0",
        "first > stages ended: endless SIGPIPE | three 0",
        "completed  words, first",
    ]);
}

/// The shop on ports of its own, and the port of its front end.
fn shop(args: &[&str]) -> (Pk, u16) {
    let web = free_port();
    let pk = example("shop", args)
        .env("SHOP_DB_PORT", &free_port().to_string())
        .env("SHOP_API_PORT", &free_port().to_string())
        .env("SHOP_WEB_PORT", &web.to_string());
    (pk, web)
}

fn get(port: u16, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_shop_opens_and_closes_in_order() {
    let (pk, web) = shop(&["up"]);
    let pk = pk.start();
    pk.wait_for("web     > ready");
    assert!(get(web, "/").contains("<li>tea: 100</li>"));
    pk.signal(Signal::INT);
    let ended = pk.wait();
    ended.assert_code(130).assert_order(&[
        "db      > ready",
        "migrate > completed",
        "api     > ready",
        "web     > ready",
        "web     > stopped",
        "api     > stopped",
        "db      > stopping",
        "db      | written to disk",
        "db      > stopped",
        "completed  migrate",
        "stopped    db, api, worker, web",
    ]);
    ended.assert_order(&["worker  > stopped", "db      > stopping"]);
}

#[test]
fn the_shop_takes_an_order() {
    let (pk, _) = shop(&["run", "order", "--", "tea"]);
    pk.run()
        .of_stderr()
        .assert_order(&["api     | order 1: tea", "stopping: order ended"]);
    let (pk, _) = shop(&["run", "order", "--", "gold"]);
    pk.code(1).run().assert_order(&["we have no gold"]);
}

#[test]
fn visits() {
    if missing("the example `visits`", SERVERS) {
        return;
    }
    let place = Place::new();
    let pk = place.pk(["up"]).start();
    pk.wait_for("nginx    > ready");
    let stored = "{\"id\": 1, \"name\": \"Ada\", \"count\": 1}\n";
    let answer = ask(place.http, "POST", "/visits", "Ada");
    assert_eq!(answer, Some((201, stored.to_owned())));
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "initdb   > completed",
        "postgres > ready",
        "migrate  > completed",
        "app      > ready",
        "nginx    > ready",
        "app      | visit 1: Ada",
        "nginx    > stopped",
        "app      | good night",
        "app      > stopped",
        "postgres > stopped",
        "completed  initdb, migrate",
        "stopped    postgres, redis, app, nginx",
    ]);
}
