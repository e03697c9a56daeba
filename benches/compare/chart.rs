//! The chart: a panel a row, a bar a tool, on a scale by powers of ten.

use std::fmt::Write as _;

use crate::peers::{FLOOR, PK};
use crate::results::{Results, figure, unit};

const PANELS: [(&str, &str); 8] = [
    ("start-100", "Start of 100 services"),
    ("stop-100", "Stop of 100 services"),
    (
        "ready-20",
        "20 services, each after the one before is ready",
    ),
    ("memory-100", "Memory with 100 services"),
    ("idle-200", "Idle with 200 services"),
    ("log-time", "1 GiB of log lines into files"),
    ("save-soon", "Save of a file to the new run"),
    ("left", "Left running: 8 escapes × 4 ends"),
];

const WIDTH: f64 = 460.0;
const BAR: f64 = 15.0;
const NAMES: f64 = 105.0;
const VALUES: f64 = 60.0;

pub fn chart(results: &Results) -> String {
    let mut columns = [0.0f64; 2];
    let mut body = String::new();
    for (row, title) in PANELS {
        let bars: Vec<(&str, f64)> = (results.ranked(row).into_iter())
            .filter_map(|(tool, cell)| Some((tool, cell.median()?)))
            .collect();
        if bars.is_empty() {
            continue;
        }
        let column = usize::from(columns[1] < columns[0]);
        let (x, y) = (column as f64 * (WIDTH + 20.0) + 10.0, columns[column]);
        panel(&mut body, x, y, &format!("{title}, {}", unit(row)), &bars);
        columns[column] += 40.0 + bars.len() as f64 * (BAR + 4.0) + 14.0;
    }
    let height = columns[0].max(columns[1]) + 10.0;
    let width = 2.0 * (WIDTH + 20.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fcfcfa\"/>\n{body}</svg>\n"
    )
}

fn panel(body: &mut String, x: f64, y: f64, title: &str, bars: &[(&str, f64)]) {
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{}\" font-size=\"13\" font-weight=\"600\" fill=\"#222\">{title}</text>",
        y + 24.0
    );
    let positive = bars
        .iter()
        .map(|(_, value)| *value)
        .filter(|value| *value > 0.0);
    let least = positive.clone().fold(f64::INFINITY, f64::min);
    let most = positive.fold(0.0, f64::max);
    // The shortest bar is still one.
    let low = (least / 2.0).log10();
    let high = most.log10().max(low + 0.5);
    let room = WIDTH - NAMES - VALUES;
    for (number, (tool, value)) in bars.iter().enumerate() {
        let top = y + 36.0 + number as f64 * (BAR + 4.0);
        let length = if *value > 0.0 {
            (value.log10() - low) / (high - low) * room
        } else {
            0.0
        };
        let (fill, weight) = match *tool {
            PK => ("#0f7b6c", "700"),
            FLOOR => ("#c9c5b8", "400"),
            _ => ("#8fa3b5", "400"),
        };
        let text = top + BAR - 3.5;
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\" font-weight=\"{weight}\" fill=\"#333\">{tool}</text>\
             <rect x=\"{}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{text}\" font-weight=\"{weight}\" fill=\"#333\">{}</text>",
            x + NAMES - 6.0,
            x + NAMES,
            x + NAMES + length + 5.0,
            figure(*value)
        );
    }
}
