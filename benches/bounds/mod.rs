//! What is measured against what was promised.
//!
//! `PK_BENCH_SLACK=3` makes every bound three times as wide: for a machine on which other
//! things run.

use std::process::ExitCode;

/// Figures and their bounds; the bench fails if one is not kept.
pub struct Bounds {
    slack: f64,
    broken: Vec<String>,
}

impl Bounds {
    pub fn new() -> Self {
        let slack = std::env::var("PK_BENCH_SLACK").ok();
        let slack = slack.and_then(|text| text.parse().ok()).unwrap_or(1.0);
        Self {
            slack,
            broken: Vec::new(),
        }
    }

    /// Prints `text` with the bound, and notes whether it is kept.
    pub fn hold(&mut self, text: &str, value: f64, bound: f64) {
        println!("{text} (at most {bound})");
        if value > bound * self.slack {
            let slack = self.slack;
            self.broken.push(format!("{text}: over {bound} x {slack}"));
        }
    }

    /// What the bench exits with.
    pub fn end(self) -> ExitCode {
        for broken in &self.broken {
            println!("not kept: {broken}");
        }
        ExitCode::from(u8::from(!self.broken.is_empty()))
    }
}
