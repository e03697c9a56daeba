//! The work that each tool is given, and what is measured of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::arena::{Arena, End, Run, now, save};
use crate::peers::{PK, Peer, Service, Task};
use crate::results::Results;

/// What is measured in one go.
pub struct Work {
    pub name: &'static str,
    pub rows: &'static [Row],
    /// How many times at most: what is long is done less often.
    pub most: usize,
    measure: fn(&mut Measuring<'_>),
}

pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
}

const fn row(id: &'static str, title: &'static str, unit: &'static str) -> Row {
    Row { id, title, unit }
}

/// The row of what is left running.
pub const LEFT: &str = "left";

/// The ways to get away that services try.
pub const ESCAPES: [&str; 8] = [
    "ignores",
    "child-ignores",
    "blocks-all",
    "stopped",
    "new-session",
    "daemon",
    "fork-chain",
    "moves-itself",
];

pub const ENDS: [(End, &str); 4] = [
    (End::Polite, "stopped"),
    (End::Term, "SIGTERM"),
    (End::Kill, "SIGKILL"),
    (End::Closed, "terminal closed"),
];

/// Start, stop, and what it costs, by the number of services.
macro_rules! scale_work {
    ($count:literal, $number:literal, $most:literal) => {
        Work {
            name: $count,
            rows: &[
                row(
                    concat!("start-", $count),
                    concat!("start of ", $count, " services, to all running"),
                    "ms",
                ),
                row(
                    concat!("stop-", $count),
                    concat!("stop of ", $count, " services, to all gone"),
                    "ms",
                ),
                row(
                    concat!("memory-", $count),
                    concat!("resident memory with ", $count, " services"),
                    "MiB",
                ),
                row(
                    concat!("cpu-", $count),
                    concat!("processor time to start one of ", $count, " services"),
                    "ms",
                ),
            ],
            most: $most,
            measure: |m| {
                let rows = ["start-", "stop-", "memory-", "cpu-"];
                scale(m, $number, &rows.map(|row| format!("{row}{}", $count)));
            },
        }
    };
}

pub const WORK: [Work; 8] = [
    scale_work!("10", 10, 9),
    scale_work!("100", 100, 9),
    scale_work!("500", 500, 5),
    Work {
        name: "ready",
        rows: &[row(
            "ready-20",
            "20 services, each after the one before is ready, to the last one running",
            "ms",
        )],
        most: 9,
        measure: chain,
    },
    Work {
        name: "idle",
        rows: &[
            row("idle-200", "idle with 200 services", "% of a core"),
            row(
                "sampled-200",
                "idle with 200 services, what each uses known once a second",
                "% of a core",
            ),
        ],
        most: 3,
        measure: idle,
    },
    Work {
        name: "logs",
        rows: &[
            row(
                "log-time",
                "1 GiB of log lines, to the last one in a file",
                "s",
            ),
            row(
                "log-memory",
                "1 GiB of log lines, most memory resident",
                "MiB",
            ),
            row("log-lost", "1 GiB of log lines, lost", "lines"),
        ],
        most: 3,
        measure: logs,
    },
    Work {
        name: "save",
        rows: &[
            row(
                "save",
                "save of a file to the new run's first instruction, by default",
                "ms",
            ),
            row(
                "save-soon",
                "save of a file to the new run's first instruction, with the shortest debounce",
                "ms",
            ),
        ],
        most: 9,
        measure: saves,
    },
    Work {
        name: "left",
        rows: &[row(LEFT, "left running: 8 escapes × 4 ends", "of 32")],
        most: 1,
        measure: left,
    },
];

/// One tool at one work.
pub struct Measuring<'a> {
    pub arena: &'a Arena,
    pub peer: &'a Peer,
    pub results: &'a mut Results,
}

impl Measuring<'_> {
    fn add(&mut self, row: &str, value: f64) {
        eprintln!("  {row:12} {:16} {value:.3}", self.peer.name);
        self.results.add(row, self.peer.name, value);
    }

    fn cannot(&mut self, rows: &[&str], why: &str) {
        for row in rows {
            eprintln!("  {row:12} {:16} {why}", self.peer.name);
            self.results.cannot(row, self.peer.name, why);
        }
    }

    fn services(&self, count: usize, shape: &str, argument: &str) -> Vec<Service> {
        (0..count)
            .map(|number| self.arena.service(number, shape, argument))
            .collect()
    }
}

impl Work {
    pub fn measure(&self, measuring: &mut Measuring<'_>) {
        quiet();
        (self.measure)(measuring);
    }
}

/// Waits a little for a machine on which nothing else runs.
fn quiet() {
    let busy = || {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let times: Vec<f64> = line
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let idle = times.get(3).unwrap_or(&0.0) + times.get(4).unwrap_or(&0.0);
        let all: f64 = times.iter().sum();
        (all - idle, all)
    };
    for _ in 0..30 {
        let (before, then) = busy();
        sleep(Duration::from_millis(300));
        let (after, now) = busy();
        if (after - before) / (now - then).max(1.0) < 0.1 {
            break;
        }
    }
}

fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

const ENOUGH: Duration = Duration::from_secs(60);

fn scale(m: &mut Measuring<'_>, count: usize, rows: &[String; 4]) {
    let services = m.services(count, "plain", "");
    let rows = rows.each_ref().map(String::as_str);
    let [start, stop, memory, cpu] = rows;
    let mut run = match m.arena.run(m.peer, services, Task::Run) {
        Ok(run) => run,
        Err(why) => return m.cannot(&rows, &why),
    };
    match run.until_running(ENOUGH) {
        Ok(at) => m.add(start, milliseconds(run.began, at)),
        Err(why) => return m.cannot(&rows, &why),
    }
    m.add(cpu, run.usage() * 1e3 / count as f64);
    // What a tool does after the start is not part of the stop, nor of what it keeps.
    if m.results.median(memory, m.peer.name).is_some() {
        sleep(Duration::from_millis(1500));
    } else {
        sleep(Duration::from_secs(8));
        m.add(memory, run.resident());
    }
    match run.ended_after(m.peer, End::Polite, ENOUGH) {
        Some(took) => m.add(stop, took.as_secs_f64() * 1e3),
        None => m.cannot(&[stop], "not within 60 s"),
    }
}

fn chain(m: &mut Measuring<'_>) {
    // Held together for a moment, that none is given twice.
    let held: Vec<TcpListener> = (0..20)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports: Vec<u16> = (held.iter())
        .map(|port| port.local_addr().unwrap().port())
        .collect();
    drop(held);
    let mut services: Vec<Service> = (ports.iter().enumerate())
        .map(|(number, port)| Service {
            port: Some(*port),
            ..m.arena.service(number, "listens", &port.to_string())
        })
        .collect();
    // It notes that the last of them was ready.
    services.push(m.arena.service(20, "plain", ""));
    match m.arena.run(m.peer, services, Task::Chain) {
        Ok(run) => match run.until_running(Duration::from_secs(120)) {
            Ok(at) => m.add("ready-20", milliseconds(run.began, at)),
            Err(why) => m.cannot(&["ready-20"], &why),
        },
        Err(why) => m.cannot(&["ready-20"], &why),
    }
}

fn idle(m: &mut Measuring<'_>) {
    for (row, task) in [("idle-200", Task::Run), ("sampled-200", Task::Sample)] {
        let services = m.services(200, "plain", "");
        let run = match m.arena.run(m.peer, services, task) {
            Ok(run) => run,
            Err(why) => {
                m.cannot(&[row], &why);
                continue;
            }
        };
        if let Err(why) = run.until_running(ENOUGH) {
            m.cannot(&[row], &why);
            continue;
        }
        let looking = (m.peer.name == PK && task == Task::Sample).then(|| look_at(&run));
        sleep(Duration::from_secs(8));
        let (before, began) = (run.usage(), Instant::now());
        sleep(Duration::from_secs(20));
        let used = (run.usage() - before) / began.elapsed().as_secs_f64();
        m.add(row, used * 100.0);
        drop(looking);
    }
}

/// pk samples while somebody looks: one who asks for the figures over its socket.
fn look_at(run: &Run) -> UnixStream {
    let folder = run.folder().join("run/pk");
    let socket: PathBuf = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "sock"))
        .expect("the socket of the stack");
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .write_all(b"GET /v1/stats/stream HTTP/1.1\r\nHost: pk\r\n\r\n")
        .unwrap();
    let reading = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(reading).lines() {
            if line.is_err() {
                break;
            }
        }
    });
    stream
}

/// 1 GiB in lines of a hundred bytes.
const LINES: usize = (1 << 30) / 100;

fn logs(m: &mut Measuring<'_>) {
    let rows = ["log-time", "log-memory", "log-lost"];
    let services = m.services(1, "floods", &LINES.to_string());
    let mut run = match m.arena.run(m.peer, services, Task::Keep) {
        Ok(run) => run,
        Err(why) => return m.cannot(&rows, &why),
    };
    let Some(began) = run.until_noted(1, "start", ENOUGH) else {
        return m.cannot(&rows, "not started");
    };
    let (mut size, mut grew, mut peak): (u64, u64, f64) = (0, began, 0.0);
    let mut looked = Instant::now();
    loop {
        let kept = run.kept();
        let sizes = kept.iter().filter_map(|file| file.metadata().ok());
        let is: u64 = sizes.map(|data| data.len()).sum();
        if is != size {
            (size, grew) = (is, now());
        }
        if looked.elapsed() > Duration::from_millis(250) {
            peak = peak.max(run.peak());
            looked = Instant::now();
        }
        let written = !run.noted("end").is_empty();
        if written && now() - grew > 2_000_000_000 {
            break;
        }
        if now() - began > 90_000_000_000 && !written {
            let part = found(&run.kept(), LINES) as f64 / LINES as f64 * 100.0;
            let why = format!("{part:.0} % of the lines after 90 s");
            m.add("log-memory", peak);
            return m.cannot(&["log-time", "log-lost"], &why);
        }
        sleep(Duration::from_millis(5));
    }
    m.add("log-time", milliseconds(began, grew) / 1e3);
    m.add("log-memory", peak.max(run.peak()));
    // What a tool holds back it may write at its end.
    run.ended_after(m.peer, End::Polite, Duration::from_secs(15));
    m.add("log-lost", (LINES - found(&run.kept(), LINES)) as f64);
}

/// How many different numbered lines the files hold.
fn found(files: &[PathBuf], most: usize) -> usize {
    const HEAD: &[u8] = b"SEQ ";
    const DIGITS: usize = 12;
    let mut seen = vec![false; most];
    for file in files {
        let mut bytes = Vec::new();
        let mut reader = std::fs::File::open(file).map(std::io::BufReader::new);
        let Ok(reader) = reader.as_mut() else {
            continue;
        };
        // In blocks; what a head at the end of one is missing comes with the next.
        loop {
            let block = reader.fill_buf().unwrap();
            let length = block.len();
            if length == 0 {
                break;
            }
            bytes.extend_from_slice(block);
            reader.consume(length);
            if bytes.len() > 1 << 20 {
                count_in(&bytes, HEAD, DIGITS, &mut seen);
                bytes.drain(..bytes.len() - HEAD.len() - DIGITS);
            }
        }
        count_in(&bytes, HEAD, DIGITS, &mut seen);
    }
    seen.iter().filter(|seen| **seen).count()
}

fn count_in(bytes: &[u8], head: &[u8], digits: usize, seen: &mut [bool]) {
    for at in memchr::memmem::find_iter(bytes, head) {
        let from = at + head.len();
        let number = bytes.get(from..from + digits);
        let number = number.and_then(|number| std::str::from_utf8(number).ok());
        let number = number.and_then(|number| number.parse::<usize>().ok());
        if let Some(one) = number.and_then(|number| seen.get_mut(number)) {
            *one = true;
        }
    }
}

fn saves(m: &mut Measuring<'_>) {
    for (row, soon) in [("save", false), ("save-soon", true)] {
        if let Err(why) = saves_of(m, row, soon) {
            m.cannot(&[row], &why);
        }
    }
}

fn saves_of(m: &mut Measuring<'_>, row: &str, soon: bool) -> Result<(), String> {
    let services = m.services(1, "plain", "");
    let run = m.arena.run(m.peer, services, Task::Watch { soon })?;
    let file = run.folder().join("watched/file");
    save(&file, "0");
    run.until_running(ENOUGH)?;
    sleep(Duration::from_secs(3));
    let mut times = Vec::new();
    for number in 1..=7 {
        let before = run.noted("start").len();
        let began = now();
        save(&file, &number.to_string());
        let Some(at) = run.until_noted(before + 1, "start", Duration::from_secs(10)) else {
            return Err("a save was missed".to_owned());
        };
        // The last of those that it led to.
        times.push(milliseconds(began, at));
        sleep(Duration::from_millis(2200));
    }
    times.sort_by(f64::total_cmp);
    m.add(row, times[times.len() / 2]);
    Ok(())
}

fn left(m: &mut Measuring<'_>) {
    if m.peer.name == crate::peers::FLOOR {
        return m.cannot(&[LEFT], "is no tool");
    }
    let mut all = 0.0;
    for (end, name) in ENDS {
        let mut services: Vec<Service> = Vec::new();
        for (number, shape) in ESCAPES.into_iter().enumerate() {
            let flight = m.arena.flight();
            services.push(
                m.arena
                    .service(number, shape, &flight.display().to_string()),
            );
        }
        let mut run = match m.arena.run(m.peer, services, Task::Run) {
            Ok(run) => run,
            Err(why) => return m.cannot(&[LEFT], &why),
        };
        if let Err(why) = run.until_running(ENOUGH) {
            return m.cannot(&[LEFT], &why);
        }
        let children = ESCAPES.len() - 2;
        run.until_noted(children, "child", Duration::from_secs(10));
        sleep(Duration::from_millis(1500));
        run.end(m.peer, end);
        // Longer than the longest grace period.
        let limit = match end {
            End::Kill | End::Closed => Duration::from_secs(5),
            _ => Duration::from_secs(12),
        };
        let clean = crate::arena::wait(limit, || {
            let (services, own) = run.processes();
            (services.is_empty() && own.is_empty()).then_some(())
        });
        let mut shapes: Vec<String> = match clean {
            Some(()) => Vec::new(),
            None => (run.processes().0.into_iter())
                .map(|(_, shape)| shape)
                .collect(),
        };
        shapes.sort();
        shapes.dedup();
        all += shapes.len() as f64;
        m.results.left(m.peer.name, name, &shapes);
    }
    m.add(LEFT, all);
}

/// For the note beside a figure.
pub fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_default()
    };
    let kernel = std::fs::read_to_string(Path::new("/proc/sys/kernel/osrelease"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = first("/proc/meminfo", "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse().unwrap_or(0.0) / f64::from(1 << 20);
    format!(
        "{cores} cores of {}, {memory:.0} GiB of memory, Linux {}",
        first("/proc/cpuinfo", "model name"),
        kernel.unwrap_or_default().trim()
    )
}
