//! How long a large file takes from text to plan, as a ratio to parsing its YAML alone.
//!
//! Run with `cargo bench --bench plan`. The goal is at most 3.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people"
)]

mod shapes;

use std::time::{Duration, Instant};

use pk::config::{Request, load};

const ROUNDS: usize = 15;

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn main() {
    for (name, text) in shapes::shapes(10_000) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pk.yaml"), &text).unwrap();
        let request = Request {
            folder: folder.path().to_owned(),
            files: Vec::new(),
            environment: std::env::vars().collect(),
        };
        let parse = median(|| {
            let events = saphyr_parser::Parser::new_from_str(&text).filter(Result::is_ok);
            assert!(events.count() > 10_000);
        });
        let whole = median(|| {
            assert_eq!(load(&request).unwrap().plan.units().len(), 10_000);
        });
        println!(
            "{name:8} {:>7} KB: parse {parse:>9.2?}  whole {whole:>9.2?}  ratio {:.2}",
            text.len() / 1024,
            whole.as_secs_f64() / parse.as_secs_f64()
        );
    }
}
