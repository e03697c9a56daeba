//! Any chunks of any bytes give the lines that a naive split gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pk::logs::{Cut, MAX_LINE, Splitter};

/// Each line as it is read, and how it ended.
fn naive(text: &[u8]) -> Vec<(Vec<u8>, Cut)> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let length = end.unwrap_or(rest.len());
        if length > MAX_LINE || (end.is_none() && length == MAX_LINE + 1) {
            lines.push((rest[..MAX_LINE].to_vec(), Cut::Continued));
            rest = &rest[MAX_LINE..];
            continue;
        }
        let mut line = &rest[..length];
        if end.is_some() {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        let cut = if end.is_some() { Cut::Newline } else { Cut::Unterminated };
        lines.push((line.to_vec(), cut));
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    lines
}

fuzz_target!(|input: (u16, u8, Vec<u8>)| {
    let (step, repeat, piece) = input;
    // Long lines take more than what is made up.
    let text = piece.repeat(1 + usize::from(repeat) * 64);
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    let mut take = |batch: pk::logs::Batch| {
        assert!(!batch.is_empty());
        lines.extend(batch.iter().map(|(line, cut)| (line.to_vec(), cut)));
    };
    for chunk in text.chunks(usize::from(step) * 16 + 1) {
        splitter.feed(chunk, &mut take);
        assert!(splitter.partial().len() <= MAX_LINE);
    }
    lines.extend(splitter.finish().iter().flat_map(|batch| {
        let lines: Vec<_> = batch.iter().map(|(line, cut)| (line.to_vec(), cut)).collect();
        lines
    }));
    assert!(lines == naive(&text), "{} bytes by {step}", text.len());
});
