//! Every line once, in order, with its own stream, however many follow.
//!
//! `PK_LOG_MIB=1024 cargo test --release --test tests -- stored::integrity --nocapture` writes
//! a GiB; without it a little is written.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use super::{another, logs};
use crate::harness::{Pk, poll};

/// Of which one never reads.
const FOLLOWERS: usize = 10;

/// Of a line with its newline.
const LINE: u64 = 100;

/// What is to come of each stream of each unit.
struct Expected {
    units: Vec<String>,
    lines: u64,
    /// What was seen so far: of each unit stdout and stderr.
    seen: Vec<[u64; 2]>,
    last: Vec<bool>,
}

impl Expected {
    fn new(units: &[String], lines: u64) -> Self {
        Self {
            units: units.to_vec(),
            lines,
            seen: vec![[0; 2]; units.len()],
            last: vec![false; units.len()],
        }
    }

    #[track_caller]
    fn line(&mut self, line: &str) {
        let (unit, rest) = line.split_at(2);
        let unit = self.units.iter().position(|one| one == unit).unwrap();
        let (mark, text) = rest.split_at(3);
        if text == "the end" {
            assert_eq!(mark, " | ");
            self.last[unit] = true;
            return;
        }
        let stream = match mark {
            " | " => 0,
            " ! " => 1,
            other => panic!("{other:?} in {line:?}"),
        };
        assert_eq!(text.len() as u64, LINE - 1, "{line:?}");
        let number: u64 = text.parse().unwrap();
        self.seen[unit][stream] += 1;
        assert_eq!(number, self.seen[unit][stream], "{line:?}");
    }

    #[track_caller]
    fn assert_all(&self) {
        assert!(
            self.seen.iter().all(|seen| *seen == [self.lines; 2]),
            "{:?}",
            self.seen
        );
        assert!(self.last.iter().all(|last| *last));
    }
}

/// So many units write so many MiB together, half of it to stderr.
fn write_and_follow(count: usize, mib: u64) {
    let units: Vec<String> = (1..=count).map(|unit| format!("u{unit}")).collect();
    let lines = (mib << 20) / LINE / 2 / count as u64;
    let mut file =
        "name: shop\ntasks:\n  go: {command: 'until [ -e go ]; do sleep 0.02; done'}\n".to_owned();
    for unit in &units {
        file.push_str(&format!(
            "  {unit}:\n    depends_on: [go]\n    command: >-\n      seq -f %099.0f 1 {lines} >&2 & seq -f %099.0f 1 {lines}; wait; printf 'the end'\n"
        ));
    }
    let pk = Pk::stack(&file, ["up", "--no-tui"]);
    let mut up = pk.command();
    let mut up = up.stdout(Stdio::null()).spawn().unwrap();
    poll("the stack", || {
        let ps = another(&pk, &["ps"]).output().unwrap();
        ps.status.success().then_some(())
    });
    let mut followers: Vec<Child> = (0..FOLLOWERS)
        .map(|_| {
            let mut follower = another(&pk, &["logs", "-f"]);
            follower.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    std::fs::write(pk.path("go"), "").unwrap();
    let mut deaf = followers.pop().unwrap();
    std::thread::scope(|scope| {
        for follower in &mut followers {
            let out = BufReader::new(follower.stdout.take().unwrap());
            let mut expected = Expected::new(&units, lines);
            scope.spawn(move || {
                for line in out.lines() {
                    expected.line(&line.unwrap());
                }
                expected.assert_all();
            });
        }
        assert_eq!(up.wait().unwrap().code(), Some(0));
    });
    for mut follower in followers {
        assert_eq!(follower.wait().unwrap().code(), Some(0));
    }
    deaf.kill().unwrap();
    deaf.wait().unwrap();
    let mut stored = another(&pk, &["logs"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut expected = Expected::new(&units, lines);
    for line in BufReader::new(stored.stdout.take().unwrap()).lines() {
        expected.line(&line.unwrap());
    }
    expected.assert_all();
    assert_eq!(stored.wait().unwrap().code(), Some(0));
}

fn mib() -> u64 {
    let mib = std::env::var("PK_LOG_MIB").ok();
    mib.and_then(|mib| mib.parse().ok()).unwrap_or(4)
}

#[test]
fn of_one_unit_with_ten_followers_every_line_is_there_once() {
    write_and_follow(1, mib());
}

#[test]
fn of_eight_units_with_ten_followers_every_line_is_there_once() {
    write_and_follow(8, mib());
}

#[test]
fn however_a_unit_ends_what_it_wrote_is_there() {
    let pk = Pk::stack(
        "name: shop
tasks:
  cut: {command: 'echo whole; printf half; kill -9 $$'}
  closed: {command: 'echo before; exec 1>&- 2>&-; sleep 0.1'}
  one: {command: 'exec 2>&-; echo still; sleep 0.1; echo there'}
services:
  daemon:
    lifetime: group
    command: 'echo early; (setsid sh -c \"sleep 0.3; echo late; printf later\" &) ; exit 0'
",
        ["up", "--no-tui"],
    );
    assert_eq!(pk.command().output().unwrap().status.code(), Some(1));
    assert_eq!(logs(&pk, &["cut"]), "cut | whole\ncut | half\n");
    assert_eq!(logs(&pk, &["closed"]), "closed | before\n");
    assert_eq!(logs(&pk, &["one"]), "one | still\none | there\n");
    let daemon = "daemon | early\ndaemon | late\ndaemon | later\n";
    assert_eq!(logs(&pk, &["daemon"]), daemon);
}
