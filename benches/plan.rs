//! How long a large file takes from text to plan, as a ratio to parsing its YAML alone.
//!
//! Run with `cargo bench --bench plan`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people"
)]

mod bounds;
mod shapes;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pk::config::{Request, load};

const ROUNDS: usize = 21;
const RATIO: f64 = 3.0;

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let mut bounds = bounds::Bounds::new();
    for (name, text) in shapes::shapes(10_000) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pk.yaml"), &text).unwrap();
        let request = Request {
            folder: folder.path().to_owned(),
            files: Vec::new(),
            unreadable: Default::default(),
            environment: std::env::vars().collect(),
        };
        // In turn, so that what else the machine does falls on both.
        let rounds = (0..ROUNDS).map(|_| {
            let parse = timed(|| {
                let events = saphyr_parser::Parser::new_from_str(&text).filter(Result::is_ok);
                assert!(events.count() > 10_000);
            });
            let whole = timed(|| {
                assert_eq!(load(&request).unwrap().plan.units().len(), 10_000);
            });
            (parse, whole)
        });
        let (parses, wholes): (Vec<_>, Vec<_>) = rounds.unzip();
        let ratios = parses.iter().zip(&wholes);
        let ratio = median(
            ratios
                .map(|(p, w)| w.as_secs_f64() / p.as_secs_f64())
                .collect(),
        );
        let (parse, whole) = (median(parses), median(wholes));
        let text = format!(
            "{name:8} {:>7} KB: parse {parse:>9.2?}  whole {whole:>9.2?}  ratio {ratio:.2}",
            text.len() / 1024
        );
        bounds.hold(&text, ratio, RATIO);
    }
    bounds.end()
}
