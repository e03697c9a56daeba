//! What makes the load: `pgbench`, `redis-benchmark` and `wrk`, at the same time.

use std::fmt;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::harness::poll;
use crate::harness::visits::{Place, ask};

/// The name that wrk gives in a slice.
pub fn name(slice: usize) -> String {
    format!("wrk {slice}")
}

/// Makes pgbench's own database and tables.
pub fn prepare(place: &Place) {
    for (program, args) in [
        ("createdb", &["bench"][..]),
        ("pgbench", &["-i", "-q", "bench"]),
    ] {
        let output = place.client(program).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// One slice of it.
pub struct Load {
    pgbench: JoinHandle<Output>,
    redis: JoinHandle<Vec<Output>>,
    wrk: JoinHandle<Output>,
}

impl Load {
    /// Returns once all of it is under way.
    pub fn start(place: &Place, slice: usize, seconds: u64) -> Self {
        // None goes on where the test has failed and its servers are gone.
        let limit = (seconds + 60).to_string();
        let mut pgbench = place.client("timeout");
        pgbench.args([limit.as_str(), "pgbench"]);
        pgbench.args(["-n", "-c", "4", "-T", &seconds.to_string(), "bench"]);

        let script = place.data().join("post.lua");
        let text = format!("wrk.method = 'POST'\nwrk.body = '{}'\n", name(slice));
        std::fs::write(&script, text).unwrap();
        let mut wrk = Command::new("timeout");
        wrk.args([limit.as_str(), "wrk"]);
        wrk.args(["-t1", "-c8", "--latency", &format!("-d{seconds}s"), "-s"])
            .arg(script)
            .arg(format!("http://127.0.0.1:{}/visits", place.http));

        let port = place.redis_port();
        let until = Instant::now() + Duration::from_secs(seconds);
        let redis = std::thread::spawn(move || {
            let mut outputs = Vec::new();
            while outputs.is_empty() || Instant::now() < until {
                let mut redis = Command::new("timeout");
                redis.args([limit.as_str(), "redis-benchmark"]);
                redis.args(["-p", &port, "-t", "set,get", "-n", "20000", "-q", "--csv"]);
                outputs.push(redis.output().unwrap());
            }
            outputs
        });
        let load = Self {
            pgbench: in_background(pgbench),
            redis,
            wrk: in_background(wrk),
        };
        // It gives up if nginx is not there when it begins.
        let quoted = format!("\"{}\"", name(slice));
        poll("wrk's first visit", || {
            let (_, body) = ask(place.http, "GET", "/visits", "")?;
            body.contains(&quoted).then_some(())
        });
        load
    }

    pub fn is_over(&self) -> bool {
        self.pgbench.is_finished() && self.redis.is_finished() && self.wrk.is_finished()
    }

    /// What they told, when all have ended well.
    pub fn figures(self) -> Figures {
        let pgbench = told(&self.pgbench.join().unwrap());
        assert!(
            pgbench.contains("number of failed transactions: 0 "),
            "{pgbench}"
        );
        let redis = self.redis.join().unwrap().iter().map(told).collect();
        Figures {
            pgbench,
            redis,
            wrk: Wrk::new(&told(&self.wrk.join().unwrap())),
        }
    }
}

fn in_background(mut command: Command) -> JoinHandle<Output> {
    std::thread::spawn(move || command.output().unwrap())
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[derive(Debug)]
pub struct Wrk {
    /// The requests that were answered, and well.
    pub acknowledged: u64,
    text: String,
}

impl Wrk {
    fn new(text: &str) -> Self {
        static REQUESTS: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(\d+) requests in").unwrap());
        static REFUSED: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"Non-2xx or 3xx responses: (\d+)").unwrap());
        let number = |regex: &Regex| regex.captures(text)?[1].parse::<u64>().ok();
        let requests = number(&REQUESTS).unwrap();
        Self {
            acknowledged: requests - number(&REFUSED).unwrap_or(0),
            text: text.to_owned(),
        }
    }
}

/// What one slice came to.
#[derive(Debug)]
pub struct Figures {
    pgbench: String,
    redis: Vec<String>,
    pub wrk: Wrk,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = |text: &str, wanted: &[&str]| {
            let lines = text.lines().map(str::trim);
            let lines = lines.filter(|line| wanted.iter().any(|word| line.starts_with(word)));
            lines.collect::<Vec<_>>().join("; ")
        };
        let pgbench = chosen(
            &self.pgbench,
            &["number of transactions", "latency average", "tps"],
        );
        let wrk = chosen(
            &self.wrk.text,
            &["50%", "99%", "Socket", "Non-2xx", "Requests/sec"],
        );
        writeln!(f, "pgbench: {pgbench}")?;
        writeln!(f, "wrk: {} acknowledged; {wrk}", self.wrk.acknowledged)?;
        // Each run tells the names of its columns first.
        let last = self.redis.last().map_or("", |text| text.trim());
        write!(
            f,
            "redis-benchmark: {} runs, the last:\n{last}",
            self.redis.len()
        )
    }
}
