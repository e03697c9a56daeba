//! How soon the stack is ready: from pk's own file, from process-compose's, and by that
//! program itself where `PROCESS_COMPOSE` names it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::visits::{Place, SERVERS, ask, missing};
use crate::harness::{Marker, Pk, poll};

const NATIVE: [&str; 2] = ["up", "--no-tui"];
const FOREIGN: [&str; 4] = ["up", "--no-tui", "-f", "process-compose.yaml"];

/// Until nginx hands on that the application is ready.
fn until_ready(place: &Place, start: Instant) -> Duration {
    poll("an answer through nginx", || {
        let (status, _) = ask(place.http, "GET", "/ready", "")?;
        (status == 200).then_some(())
    });
    start.elapsed()
}

fn by_pk(place: &Place, args: &[&str]) -> Duration {
    let pk = place.pk(args.iter().copied());
    let start = Instant::now();
    let pk = pk.start();
    let took = until_ready(place, start);
    pk.wait_for("nginx    > ready");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_shows(&[
        "completed  initdb, migrate",
        "app      > stopped",
        "postgres > stopped",
    ]);
    took
}

/// Kills what may be left of it, also where the test fails.
struct Strays(Pk);

impl Drop for Strays {
    fn drop(&mut self) {
        self.0.kill_members();
    }
}

fn by_the_original(place: &Place, program: &str) -> Duration {
    let strays = Strays(place.pk([]));
    let log = strays.0.path("own.log");
    let folder = log.parent().unwrap();
    let mut command = Command::new(program);
    command
        .args(["--no-server", "-t=false", "up"])
        .current_dir(folder)
        .envs(place.env())
        .env(Marker::NAME, folder)
        .env("PC_LOG_FILE", &log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let took = until_ready(place, start);
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    poll("the end of process-compose", || child.try_wait().unwrap());
    took
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut took = [run(), run(), run()];
    took.sort_unstable();
    took[1]
}

#[test]
fn the_file_of_process_compose_brings_the_same_stack_to_ready() {
    if missing("the time to ready", SERVERS) {
        return;
    }
    let place = Place::new();
    // The first start makes the database; the others are measured.
    by_pk(&place, &FOREIGN);
    let native = median(|| by_pk(&place, &NATIVE));
    let foreign = median(|| by_pk(&place, &FOREIGN));
    println!("ready: pk.yaml {native:.0?}, process-compose.yaml {foreign:.0?}");
    let Ok(program) = std::env::var("PROCESS_COMPOSE") else {
        eprintln!("not compared: `PROCESS_COMPOSE` names no process-compose");
        return;
    };
    let original = median(|| by_the_original(&place, &program));
    println!("ready: process-compose itself {original:.0?}");
}
