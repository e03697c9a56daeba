//! Fifty units that crash, flood, escape, are scaled and edited at random for a while, with
//! readers and dashboards that come and go: nothing grows, nothing is left, and what is told
//! holds together.
//!
//! `PK_SOAK_SECONDS=3600` for an hour; without it a few seconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::properties::{Must, Need, Told};
use super::protocol::{ask, socket};
use super::storm::Random;
use crate::harness::{Pk, Running, poll};

/// What the supervisor may have more at the end than after it was warm, in bytes: what its
/// history keeps of the latest, and the pieces of a heap that many have used.
const MORE: u64 = 32 << 20;

/// Descriptors of clients that have just left, and of units that were killed and are down.
const FEW: u64 = 60;

const NINE: u64 = 9;

/// Nine units of each of five kinds and five more; `edited` says how often each of those that
/// are edited was.
fn file(edited: &[u64; 9]) -> String {
    let mut text = "name: soak\nservices:\n".to_owned();
    for (unit, edition) in edited.iter().enumerate() {
        let nap = 2 + unit;
        let _ = write!(
            text,
            "  crashes-{unit}: {{command: 'echo up; sleep 0.{nap}; exit 7', restart: {{policy: always, backoff: 50ms..200ms, max_restarts: unlimited}}}}
  floods-{unit}: {{command: 'while seq 1 200; do sleep 0.2; done'}}
  escapes-{unit}: {{command: 'setsid sleep 1000 & setsid -f sleep 1000; exec sleep 1000', shutdown: {{timeout: 300ms}}}}
  scaled-{unit}: {{command: 'echo one more; exec sleep 1000', replicas: 1}}
  edited-{unit}: {{command: 'echo edition {edition}; exec sleep 1000', readiness: {{log: edition}}, depends_on: [scaled-{unit}]}}
",
        );
    }
    for unit in 0..4 {
        let _ = writeln!(
            text,
            "  after-{unit}: {{command: 'exec sleep 1000', depends_on: [edited-{unit}]}}"
        );
    }
    text + "  gives-up: {command: 'exit 3', restart: {policy: on-failure, backoff: 10ms..20ms, max_restarts: 2, window: 1m}}\n"
}

fn needs() -> Vec<Need> {
    let pair = |who: &str, on: &str, must: Must, unit: u64| {
        (format!("{who}-{unit}"), format!("{on}-{unit}"), must)
    };
    let first = (0..NINE).map(|unit| pair("edited", "scaled", Must::Start, unit));
    let second = (0..4).map(|unit| pair("after", "edited", Must::BeReady, unit));
    first.chain(second).collect()
}

/// What a person does next.
fn act(pk: &Running, random: &mut Random, edited: &mut [u64; 9]) {
    let number = usize::try_from(random.below(NINE)).unwrap();
    let unit = format!(
        "{}-{number}",
        ["crashes", "floods", "escapes", "scaled", "edited"]
            [usize::try_from(random.below(5)).unwrap()]
    );
    let ended = match random.below(10) {
        0 => pk.pk(["restart", &unit]),
        1 => pk.pk(["stop", &unit]),
        2 => pk.pk(["start", &unit]),
        3 => pk.pk(["kill", &unit]),
        4 | 5 => {
            let count = 1 + random.below(3);
            pk.pk(["scale", &format!("scaled-{number}={count}")])
        }
        6 => {
            edited[number] += 1;
            std::fs::write(pk.folder().join("pk.yaml"), file(edited)).unwrap();
            pk.pk(["reload"])
        }
        7 => pk.pk(["start", "gives-up"]),
        8 => return twice(pk, random, &unit),
        _ => {
            for (pid, line) in pk.members() {
                if line.contains("sleep") && random.below(20) == 0 {
                    let pid = rustix::process::Pid::from_raw(pid).unwrap();
                    // It may be gone by now.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            return;
        }
    };
    assert_done(&ended);
}

/// Denied (4): a kill of what does not run, for one.
fn assert_done(ended: &crate::harness::Ended) {
    let (code, said) = (ended.code, ended.stderr());
    assert!(matches!(code, Some(0 | 4)), "{code:?}\n{said}");
}

/// P8: what is said again changes nothing, or is denied.
fn twice(pk: &Running, random: &mut Random, unit: &str) {
    let command = ["stop", "disable"][usize::try_from(random.below(2)).unwrap()];
    assert_done(&pk.pk([command, unit]));
    // `disable` returns while they still end.
    let attempts = || {
        let state = state(&socket(pk), unit).into_iter();
        state
            .map(|(name, _, attempt)| (name, attempt))
            .collect::<Vec<_>>()
    };
    let before = attempts();
    assert_done(&pk.pk([command, unit]));
    assert_eq!(attempts(), before, "P8: {command} {unit}");
    assert_done(&pk.pk(["enable", unit]));
    assert_done(&pk.pk(["start", unit]));
}

/// Name, phase and attempt of each instance of the units whose names begin so.
fn state(socket: &std::path::Path, unit: &str) -> Vec<(String, String, u64)> {
    let (status, state) = ask(socket, "GET", "/v1/state", "");
    assert_eq!(status, 200, "{state}");
    let units = state["snapshot"]["units"].as_array().unwrap().iter();
    let of = |one: &Value, what: &str| one[what].as_str().unwrap().to_owned();
    units
        .filter(|one| one["unit"].as_str().unwrap().starts_with(unit))
        .map(|one| {
            let attempt = one["attempt"].as_u64().unwrap_or(0);
            (of(one, "name"), of(one, "phase"), attempt)
        })
        .collect()
}

/// One that follows something for a while, or a dashboard with somebody before it.
struct Reader {
    child: Child,
    /// Where its keys are typed.
    keys: Option<File>,
}

impl Reader {
    fn come(pk: &Running, random: &mut Random) -> Self {
        let args: &[&str] = match random.below(5) {
            0 => &["logs", "-f"],
            1 => &["events", "-f"],
            2 => &["stats"],
            _ => return Self::dashboard(pk, random),
        };
        let mut follower = pk.other(args.iter().copied());
        follower.stdout(Stdio::null()).stderr(Stdio::null());
        Self {
            child: follower.spawn().unwrap(),
            keys: None,
        }
    }

    fn dashboard(pk: &Running, random: &mut Random) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let side = openpt(flags).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let name = ptsname(&side, Vec::new()).unwrap();
        let other = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = rustix::termios::Winsize {
            ws_row: u16::try_from(5 + random.below(60)).unwrap(),
            ws_col: u16::try_from(20 + random.below(200)).unwrap(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&other, size).unwrap();
        let mut attach = pk.other(["attach"]);
        attach.env("TERM", "xterm-256color");
        let out = || other.try_clone().unwrap();
        attach.stdin(out()).stdout(out()).stderr(out());
        let child = attach.spawn().unwrap();
        drop((attach, other));
        let keys = File::from(side);
        let mut screen = keys.try_clone().unwrap();
        // What it draws is read until it has gone.
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while screen.read(&mut bytes).is_ok_and(|read| read > 0) {}
        });
        Self {
            child,
            keys: Some(keys),
        }
    }

    /// Looks here and there.
    fn look(&mut self, random: &mut Random) {
        const KEYS: [&str; 14] = [
            "j", "k", "g", "G", "1", "2", "3", "4", "o", "\t", "?", "\x1b", "\x1b[B", "|",
        ];
        if let Some(keys) = &mut self.keys {
            let key = KEYS[usize::try_from(random.below(14)).unwrap()];
            // It may not be there yet, or no more.
            let _ = keys.write_all(key.as_bytes());
        }
    }

    fn leave(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Hears all that is told, from the first event on.
struct Record {
    told: Arc<Mutex<Told>>,
    listening: std::thread::JoinHandle<()>,
    child: Child,
}

impl Record {
    fn begin(pk: &Running) -> Self {
        let mut events = pk.other(["events", "-f", "--output", "json"]);
        let mut child = events.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = Arc::new(Mutex::new(Told::new(needs())));
        let hearing = Arc::clone(&told);
        let listening = std::thread::spawn(move || {
            for line in lines {
                hearing.lock().unwrap().hear(&line.unwrap());
            }
        });
        Self {
            told,
            listening,
            child,
        }
    }

    /// P7: what the events make of the units is what the supervisor has of them.
    fn assert_agrees(&self, socket: &std::path::Path) {
        let state = || {
            let (_, state) = ask(socket, "GET", "/v1/state", "");
            let units = state["snapshot"]["units"].as_array().unwrap().clone();
            let living = units.iter().filter_map(|unit| {
                let name = unit["name"].as_str()?.to_owned();
                Some((name, (unit["attempt"].as_u64()?, unit["pid"].as_u64()?)))
            });
            living.collect::<BTreeMap<_, _>>()
        };
        let began = Instant::now();
        loop {
            let (told, is) = (self.told.lock().unwrap().living(), state());
            if told == is {
                return;
            }
            let waited = began.elapsed();
            assert!(waited < crate::harness::PATIENCE, "P7:\n{told:?}\n{is:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(mut self) {
        self.child.wait().unwrap();
        self.listening.join().unwrap();
        let mut told = self.told.lock().unwrap();
        told.end();
        assert!(told.starts >= 50, "{} starts", told.starts);
        let none: [String; 0] = [];
        assert_eq!(told.violations, none);
    }
}

/// P3: once each unit is there and those that cannot rest are stopped, nothing waits for ever.
fn come_to_rest(pk: &Running, socket: &std::path::Path) {
    pk.pk(["start", "*"]).assert_code(0);
    for unit in 0..NINE {
        pk.pk(["scale", &format!("scaled-{unit}=1")]).assert_code(0);
    }
    for kind in ["crashes-*", "gives-up"] {
        pk.pk(["stop", kind]).assert_code(0);
    }
    let began = Instant::now();
    loop {
        let mut moving = state(socket, "");
        moving.retain(|(name, phase, _)| {
            let is_stopped = name.starts_with("crashes") || name == "gives-up";
            phase != if is_stopped { "exited" } else { "running" }
        });
        if moving.is_empty() {
            // What it takes to sample a run is open once somebody has looked at it.
            pk.pk(["stats"]).assert_code(0);
            return;
        }
        assert!(began.elapsed() < crate::harness::PATIENCE, "P3: {moving:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_used_for_long_neither_grows_nor_leaves_anything() {
    let seconds = std::env::var("PK_SOAK_SECONDS").ok();
    let seconds: u64 = seconds.map_or(6, |text| text.parse().unwrap());
    let mut edited = [0; 9];
    let pk = Pk::stack(&file(&edited), ["up", "--no-tui"]).start();
    let socket = poll("the socket", || {
        (pk.pk(["ps"]).code == Some(0)).then(|| socket(&pk))
    });
    let record = Record::begin(&pk);
    let own = |name: &str| {
        let (status, own) = ask(&socket, "GET", "/v1/diagnostics", "");
        assert_eq!(status, 200, "{own}");
        own[name].as_u64().unwrap()
    };
    let mut random = Random(17);
    let mut readers: Vec<Reader> = Vec::new();
    let mut live = |time: Duration, edited: &mut [u64; 9]| {
        let until = Instant::now() + time;
        pk.pk(["start", "*"]).assert_code(0);
        while Instant::now() < until {
            act(&pk, &mut random, edited);
            for reader in &mut readers {
                reader.look(&mut random);
            }
            if readers.len() < 8 {
                readers.push(Reader::come(&pk, &mut random));
            } else if random.below(3) == 0 {
                readers.remove(0).leave();
            }
        }
        readers.drain(..).for_each(Reader::leave);
        come_to_rest(&pk, &socket);
    };
    // What is made once and kept is there before it is measured.
    live(Duration::from_secs(seconds / 3), &mut edited);
    let (descriptors, resident) = (own("descriptors"), own("resident"));
    for part in 1..=4 {
        live(Duration::from_secs(seconds) / 4, &mut edited);
        let began = Instant::now();
        while own("descriptors") > descriptors + FEW {
            let (now, waited) = (own("descriptors"), began.elapsed());
            assert!(
                waited < crate::harness::PATIENCE,
                "{descriptors}, then {now}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let grown = own("resident").saturating_sub(resident);
        eprintln!(
            "{part} of 4, {seconds} s in all: descriptors {descriptors}, now {}; resident \
             {resident}, {grown} more",
            own("descriptors")
        );
        assert!(grown < MORE, "{grown} bytes more than {resident}");
    }
    record.assert_agrees(&socket);
    let down = pk.other(["down"]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    // Units have failed.
    pk.wait().assert_code(1);
    record.end();
}
