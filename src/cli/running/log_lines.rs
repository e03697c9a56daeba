//! How `pk logs` writes a line.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::Form;
use crate::cli::plain::Screen;
use crate::cli::style::Painter;
use crate::control::protocol::{Line, OpenText};
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::{Gap, Level, LogLine, OpenLine, without_colour};

/// How lines are written.
#[derive(Debug)]
pub struct Lines {
    pub screen: Screen,
    pub names: BTreeMap<InstanceId, UnitName>,
    pub form: Form,
    pub timestamps: bool,
    /// Nothing is put before a line.
    pub bare: bool,
    /// Colours and the like are left out.
    pub strip: bool,
    pub painter: Painter,
}

impl Lines {
    pub fn gaps(&mut self, gaps: &[Gap], out: &mut Vec<u8>) {
        for gap in gaps {
            match self.form {
                Form::Text => self.screen.lost(*gap, out),
                Form::Json => {
                    let unit = self.names.get(&gap.instance);
                    json(&serde_json::json!({"gap": gap.lines, "unit": unit}), out);
                }
            }
        }
    }

    pub fn line(&mut self, mut line: LogLine, out: &mut Vec<u8>) {
        if self.form == Form::Json {
            let id = line.origin.run.instance;
            let known = self.names.get(&id).cloned();
            let name = known.unwrap_or_else(|| UnitName::new(format!("#{}", id.0)));
            json(&Line::new(&line, name), out);
            return;
        }
        if self.bare {
            out.extend_from_slice(&line.bytes);
            out.push(b'\n');
            return;
        }
        out.extend_from_slice(self.before(line.time).as_bytes());
        if self.strip && memchr::memchr(0x1b, &line.bytes).is_some() {
            line.bytes = without_colour(&line.bytes).into();
        } else if self.painter.has_color()
            && memchr::memchr(0x1b, &line.bytes).is_none()
            && let Some((level, range)) = Level::of(&line.bytes)
        {
            line.bytes = self.colored(&line.bytes, level, range).into();
        }
        self.screen.line(&line, out);
    }

    fn before(&self, time: Timestamp) -> String {
        if !self.timestamps {
            return String::new();
        }
        let time = time.to_zoned(TimeZone::system());
        time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z ").to_string()
    }

    /// The same while it goes on, in a row of a terminal.
    pub fn open_row(&mut self, open: &OpenLine) -> Vec<u8> {
        let before = self.before(open.since);
        self.screen.open(open, &before)
    }

    /// What a stream has written since its last line ended.
    pub fn open(&mut self, open: OpenText, out: &mut Vec<u8>) {
        if self.form == Form::Json {
            json(
                &serde_json::json!({
                    "open": open.text,
                    "since": open.since,
                    "unit": open.unit,
                    "attempt": open.attempt,
                    "stream": open.stream,
                }),
                out,
            );
            return;
        }
        self.screen.learn(open.instance, &open.unit);
        self.line(open.open_line().as_line(u64::MAX), out);
    }

    /// The line with its level in the colour that it deserves.
    fn colored(&self, line: &[u8], level: Level, range: Range<usize>) -> Vec<u8> {
        let word = String::from_utf8_lossy(&line[range.clone()]);
        let painted = match level {
            Level::Trace | Level::Debug => self.painter.dim(&word),
            Level::Info => self.painter.good(&word),
            Level::Warn => self.painter.warning(&word),
            Level::Error | Level::Fatal => self.painter.bad(&word),
        };
        [&line[..range.start], painted.as_bytes(), &line[range.end..]].concat()
    }
}

pub fn json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // What cannot be written would be a mistake in its type; tests hold that.
    if serde_json::to_writer(&mut *out, value).is_ok() {
        out.push(b'\n');
    }
}

/// An error: nobody reads any more.
pub fn write(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}
