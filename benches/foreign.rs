//! How long a large process-compose file takes from text to plan, as a ratio to a file of
//! pk's own that gives the same plan.
//!
//! Run with `cargo bench --bench foreign`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people"
)]

mod bounds;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pk::config::convert::to_native;
use pk::config::{Loaded, Request, load};

const PROCESSES: usize = 5_000;
const ROUNDS: usize = 15;
const RATIO: f64 = 4.0;

/// Layers of a hundred, each process waiting for two of the layer above.
fn file() -> String {
    let mut text = String::from(
        "version: \"0.5\"\nvars: {PORT: 80}\nenvironment:\n  - LEVEL=debug\nprocesses:\n",
    );
    for process in 0..PROCESSES {
        let _ = write!(
            text,
            "  unit-{process}:\n    command: exec ./bin/unit --number {process} --home ${{HOME}}\n    \
             environment:\n      - NUMBER={process}\n      - URL=http://localhost:{process}/\n    \
             availability:\n      restart: on_failure\n"
        );
        if process >= 100 {
            let (a, b) = (process - 100, process / 100 * 100 - 1);
            let _ = writeln!(text, "    depends_on:");
            for on in [a, b].iter().take(if a == b { 1 } else { 2 }) {
                let _ = writeln!(text, "      unit-{on}:\n        condition: process_started");
            }
        }
    }
    text
}

fn request(folder: &Path, name: &str) -> Request {
    Request {
        folder: folder.to_owned(),
        files: vec![name.into()],
        unreadable: Default::default(),
        environment: std::env::vars().collect(),
    }
}

fn timed(request: &Request) -> (Duration, Loaded) {
    let start = Instant::now();
    let loaded = load(request).unwrap();
    (start.elapsed(), loaded)
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("process-compose.yaml"), file()).unwrap();
    let foreign = request(folder.path(), "process-compose.yaml");
    let (_, loaded) = timed(&foreign);
    let text = to_native(&loaded.plan, folder.path(), &[]);
    std::fs::write(folder.path().join("pk.yaml"), text).unwrap();
    let native = request(folder.path(), "pk.yaml");
    assert_eq!(timed(&native).1.plan.units(), loaded.plan.units());
    // In turn, so that what else the machine does falls on both.
    let rounds = (0..ROUNDS).map(|_| (timed(&foreign).0, timed(&native).0));
    let (foreigns, natives): (Vec<_>, Vec<_>) = rounds.unzip();
    let ratios = foreigns.iter().zip(&natives);
    let ratio = median(
        ratios
            .map(|(foreign, native)| foreign.as_secs_f64() / native.as_secs_f64())
            .collect(),
    );
    let mut bounds = bounds::Bounds::new();
    bounds.hold(
        &format!(
            "{PROCESSES} processes: process-compose {:.2?}, pk.yaml {:.2?}, ratio {ratio:.2}",
            median(foreigns),
            median(natives)
        ),
        ratio,
        RATIO,
    );
    bounds.end()
}
