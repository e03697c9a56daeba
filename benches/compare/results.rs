//! What was measured, and the files that say it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::peers::{FLOOR, PK};
use crate::rows::{ENDS, ESCAPES, LEFT, Row, WORK};

#[derive(Default, Clone)]
pub struct Cell {
    samples: Vec<f64>,
    cannot: Option<String>,
}

impl Cell {
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => Some(f64::midpoint(
                *sorted.get(half.checked_sub(1)?)?,
                sorted[half],
            )),
            _ => Some(sorted[half]),
        }
    }

    fn spread(&self) -> (f64, f64) {
        let fold = |with: fn(f64, f64) -> f64| self.samples.iter().copied().reduce(with);
        (
            fold(f64::min).unwrap_or(f64::NAN),
            fold(f64::max).unwrap_or(f64::NAN),
        )
    }
}

#[derive(Default)]
pub struct Results {
    /// By row and tool.
    cells: BTreeMap<(String, String), Cell>,
    /// By tool and end: the escapes that were left.
    left: BTreeMap<(String, String), Vec<String>>,
    pub versions: BTreeMap<String, String>,
    pub machine: String,
}

impl Results {
    pub fn add(&mut self, row: &str, tool: &str, value: f64) {
        self.cell(row, tool).samples.push(value);
    }

    pub fn cannot(&mut self, row: &str, tool: &str, why: &str) {
        self.cell(row, tool).cannot = Some(why.to_owned());
    }

    fn cell(&mut self, row: &str, tool: &str) -> &mut Cell {
        let key = (row.to_owned(), tool.to_owned());
        self.cells.entry(key).or_default()
    }

    pub fn left(&mut self, tool: &str, end: &str, escapes: &[String]) {
        let key = (tool.to_owned(), end.to_owned());
        self.left.insert(key, escapes.to_vec());
    }

    /// Whether it makes no sense to try this again.
    pub fn is_hopeless(&self, rows: &[Row], tool: &str) -> bool {
        rows.iter().any(|row| {
            let cell = self.cells.get(&(row.id.to_owned(), tool.to_owned()));
            cell.is_some_and(|cell| cell.cannot.is_some())
        }) && rows.iter().all(|row| {
            let cell = self.cells.get(&(row.id.to_owned(), tool.to_owned()));
            cell.is_none_or(|cell| cell.cannot.is_some() || cell.samples.len() == 1)
        })
    }

    /// Takes the place of what was measured of this before.
    pub fn forget(&mut self, rows: &[Row], tool: &str) {
        for row in rows {
            self.cells.remove(&(row.id.to_owned(), tool.to_owned()));
            if row.id == LEFT {
                self.left.retain(|(of, _), _| of != tool);
            }
        }
    }

    /// The tools that have something in this row, best first, then those that cannot.
    pub fn ranked(&self, row: &str) -> Vec<(&str, &Cell)> {
        let mut ranked: Vec<(&str, &Cell)> = (self.cells.iter())
            .filter(|((of, _), _)| of == row)
            .map(|((_, tool), cell)| (tool.as_str(), cell))
            .collect();
        ranked.sort_by(|a, b| {
            let key = |cell: &Cell| cell.median().unwrap_or(f64::INFINITY);
            key(a.1).total_cmp(&key(b.1)).then(a.0.cmp(b.0))
        });
        ranked
    }

    pub fn median(&self, row: &str, tool: &str) -> Option<f64> {
        (self.cells.get(&(row.to_owned(), tool.to_owned()))).and_then(Cell::median)
    }

    fn tools(&self) -> Vec<&str> {
        let mut tools: Vec<&str> = self.cells.keys().map(|(_, tool)| tool.as_str()).collect();
        tools.sort_unstable();
        tools.dedup();
        tools
    }

    pub fn read(file: &Path) -> Option<Self> {
        let value: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        let mut results = Self {
            machine: value["machine"].as_str()?.to_owned(),
            ..Self::default()
        };
        for cell in value["cells"].as_array()? {
            let (row, tool) = (cell["row"].as_str()?, cell["tool"].as_str()?);
            let samples = cell["samples"].as_array()?;
            *results.cell(row, tool) = Cell {
                samples: samples.iter().filter_map(Value::as_f64).collect(),
                cannot: cell["cannot"].as_str().map(str::to_owned),
            };
        }
        for left in value["left"].as_array()? {
            let escapes = left["escapes"].as_array()?.iter();
            let escapes: Vec<String> = escapes
                .filter_map(|escape| escape.as_str().map(str::to_owned))
                .collect();
            results.left(left["tool"].as_str()?, left["end"].as_str()?, &escapes);
        }
        for (tool, version) in value["versions"].as_object()? {
            let version = version.as_str()?.to_owned();
            results.versions.insert(tool.clone(), version);
        }
        Some(results)
    }

    pub fn json(&self) -> String {
        let cells = self.cells.iter().map(|((row, tool), cell)| {
            let (least, most) = cell.spread();
            let to_pk = cell.median().zip(self.median(row, PK));
            json!({
                "row": row, "tool": tool, "unit": unit(row), "samples": cell.samples,
                "median": cell.median(), "least": least, "most": most,
                "ratio_to_pk": to_pk.map(|(this, pk)| this / pk), "cannot": cell.cannot,
            })
        });
        let left = (self.left.iter())
            .map(|((tool, end), escapes)| json!({"tool": tool, "end": end, "escapes": escapes}));
        let value = json!({
            "machine": self.machine, "versions": self.versions,
            "cells": cells.collect::<Vec<_>>(), "left": left.collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }

    /// Every row with every tool.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# pk beside other tools\n\n\
             Medians, with the least and the most in brackets, and how many times pk's figure \
             that is. `floor` is no tool: a C program that makes only the system calls which \
             the work needs (`benches/compare/part.c`). The tools took turns at each work, on \
             {}. Made by:\n\n```sh\ncargo bench --bench compare -- --install --to docs/compare\n```\n\n",
            self.machine
        );
        text.push_str("Versions: ");
        let versions: Vec<String> = (self.versions.iter())
            .map(|(tool, version)| format!("{tool} {version}"))
            .collect();
        let _ = writeln!(text, "{}.", versions.join(", "));
        for row in WORK.iter().flat_map(|work| work.rows) {
            let ranked = self.ranked(row.id);
            if ranked.is_empty() {
                continue;
            }
            let _ = write!(
                text,
                "\n## {}\n\n| tool | {} | × pk |\n|---|---:|---:|\n",
                capital(row.title),
                row.unit
            );
            let pk = self.median(row.id, PK);
            let mut cannot: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (tool, cell) in ranked {
                let Some(median) = cell.median() else {
                    let why = cell.cannot.as_deref().unwrap_or("not measured");
                    cannot.entry(why).or_default().push(tool);
                    continue;
                };
                let (least, most) = cell.spread();
                let spread = if cell.samples.len() > 1 {
                    format!(" ({} to {})", figure(least), figure(most))
                } else {
                    String::new()
                };
                let ratio = pk
                    .filter(|pk| *pk > 0.0)
                    .map_or_else(String::new, |pk| figure(median / pk));
                let name = if tool == PK { "**pk**" } else { tool };
                let _ = writeln!(text, "| {name} | {}{spread} | {ratio} |", figure(median));
            }
            if !cannot.is_empty() {
                text.push('\n');
            }
            for (why, tools) in cannot {
                let _ = writeln!(text, "- {}: {why}", tools.join(", "));
            }
        }
        text + &self.matrix()
    }

    /// What was left, by tool and end.
    fn matrix(&self) -> String {
        let mut text = format!(
            "\n## What is left running\n\nEight services run side by side, each of which tries \
             another way to get away: {}. They are stopped by Ctrl-C (mprocs, s6 and runit in \
             the way of their manuals), by SIGTERM to the tool, by SIGKILL, or their terminal is \
             closed. Named are those that had processes left 12 s after the first two and 5 s after \
             the others.\n\n| tool |",
            ESCAPES.map(|escape| format!("`{escape}`")).join(", ")
        );
        for (_, end) in ENDS {
            let _ = write!(text, " {end} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(ENDS.len()));
        for tool in self.tools() {
            let key = |end: &str| (tool.to_owned(), end.to_owned());
            if !self.left.contains_key(&key(ENDS[0].1)) {
                continue;
            }
            let _ = write!(text, "| {tool} |");
            for (_, end) in ENDS {
                let _ = match self.left.get(&key(end)) {
                    Some(left) if left.is_empty() => write!(text, " nothing |"),
                    Some(left) if left.len() == ESCAPES.len() => write!(text, " all 8 |"),
                    Some(left) => write!(text, " {}: {} |", left.len(), left.join(", ")),
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
        text
    }

    /// The first screen's table: some rows, the tools that can do most of them.
    pub fn summary(&self) -> String {
        const SHOWN: [(&str, &str); 7] = [
            ("start-100", "start 100, ms"),
            ("stop-100", "stop 100, ms"),
            ("idle-200", "idle 200, %"),
            ("memory-100", "memory, MiB"),
            ("log-time", "1 GiB of log, s"),
            ("save-soon", "save → restart, ms"),
            (LEFT, "left running, of 32"),
        ];
        let mut text = "| |".to_owned();
        for (_, title) in SHOWN {
            let _ = write!(text, " {title} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---:|".repeat(SHOWN.len()));
        let mut tools: Vec<&str> = (self.tools().into_iter())
            .filter(|tool| {
                SHOWN
                    .iter()
                    .any(|(row, _)| self.median(row, tool).is_some())
            })
            .collect();
        tools.sort_by(|a, b| {
            let key = |tool: &str| match tool {
                PK => (0, 0.0),
                FLOOR => (2, 0.0),
                _ => (1, self.median("start-100", tool).unwrap_or(f64::INFINITY)),
            };
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        for tool in tools {
            let name = if tool == PK { "**pk**" } else { tool };
            let _ = write!(text, "| {name} |");
            for (row, _) in SHOWN {
                let cell = self.cells.get(&(row.to_owned(), tool.to_owned()));
                let is = cell.and_then(Cell::median).map(figure);
                let _ = write!(text, " {} |", is.unwrap_or_else(|| "–".to_owned()));
            }
            text.push('\n');
        }
        text
    }
}

pub fn unit(row: &str) -> &'static str {
    let rows = || WORK.iter().flat_map(|work| work.rows);
    rows().find(|of| of.id == row).map_or("", |row| row.unit)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// Three digits that count, or a number of things.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size.fract() == 0.0 => format!("{value:.0}"),
        size if size < 0.0095 => format!("{value:.4}"),
        size if size < 0.95 => format!("{value:.3}"),
        size if size < 9.95 => format!("{value:.2}"),
        size if size < 99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
