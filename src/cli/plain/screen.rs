//! Lines and changes as bytes for a terminal or a pipe.
//!
//! ```text
//!  api      | what it wrote to stdout
//!  api      ! what it wrote to stderr
//!  api      > what pk says of it
//! ```

use std::collections::BTreeMap;

use anstyle::Style;

use super::escape::Sanitizer;
use super::story::{Said, Tone};
use crate::cli::style::{self, Painter};
use crate::cli::wrap::wrap;
use crate::domain::id::{Attempt, InstanceId, UnitName};
use crate::logs::{Cut, Gap, LogLine, Stream};

/// A longer name moves its own lines to the right, not all lines.
const MAX_WIDTH: usize = 24;

/// What pk says itself is wrapped here.
const COLUMNS: usize = 80;

/// What stands before what pk says of the stack as a whole.
const SELF: &str = "pk";

/// Who stands in which column and colour.
#[derive(Debug)]
pub struct Screen {
    painter: Painter,
    /// Makes what units wrote safe to show.
    terminal: bool,
    width: usize,
    colors: BTreeMap<UnitName, Style>,
    names: BTreeMap<InstanceId, UnitName>,
    streams: BTreeMap<(InstanceId, u16, Stream), (Attempt, Sanitizer)>,
}

impl Screen {
    /// For instances by name, in the order of the file. Without `terminal`, what units wrote
    /// is passed on byte for byte.
    #[must_use]
    pub fn new(
        names: impl IntoIterator<Item = UnitName>,
        painter: Painter,
        terminal: bool,
    ) -> Self {
        let colors: BTreeMap<_, _> = names
            .into_iter()
            .enumerate()
            .map(|(place, name)| (name, style::unit(place)))
            .collect();
        let widths = colors.keys().map(|name| name.as_str().len());
        let width = widths.chain([SELF.len()]).max().unwrap_or(0).min(MAX_WIDTH);
        Self {
            painter,
            terminal,
            width,
            colors,
            names: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Whose lines come under that number.
    pub fn learn(&mut self, id: InstanceId, name: &UnitName) {
        self.names.entry(id).or_insert_with(|| name.clone());
    }

    /// A line that a unit wrote.
    pub fn line(&mut self, line: &LogLine, out: &mut Vec<u8>) {
        let Self { painter, .. } = *self;
        let origin = line.origin;
        let id = origin.run.instance;
        let name = self.name(id);
        let style = self.color(&name);
        let mark = match origin.stream {
            Stream::Stdout => painter.paint(style, "|"),
            Stream::Stderr => painter.bad("!"),
        };
        self.prefix(&name, style, &mark, out);
        if self.terminal {
            let key = (id, origin.stage, origin.stream);
            let fresh = || (origin.run.attempt, Sanitizer::default());
            let entry = self.streams.entry(key).or_insert_with(fresh);
            if entry.0 != origin.run.attempt {
                *entry = fresh();
            }
            let text = entry.1.line(&line.bytes, line.cut == Cut::Continued);
            out.extend_from_slice(text.as_bytes());
        } else {
            out.extend_from_slice(&line.bytes);
        }
        out.push(b'\n');
    }

    /// Lines that were lost to this reader.
    pub fn missed(&self, gap: Gap, out: &mut Vec<u8>) {
        let lines = if gap.lines == 1 { "line" } else { "lines" };
        let text = format!("{} {lines} missed: written faster than shown", gap.lines);
        let name = self.name(gap.instance);
        self.say(&name, self.color(&name), Tone::Warning, &text, out);
    }

    /// What pk says of a change.
    pub fn said(&self, said: &Said, out: &mut Vec<u8>) {
        match &said.who {
            Some(name) => self.say(
                name.as_str(),
                self.color(name.as_str()),
                said.tone,
                &said.text,
                out,
            ),
            None => self.own(said.tone, &said.text, out),
        }
    }

    /// What pk says of the stack as a whole.
    pub fn own(&self, tone: Tone, text: &str, out: &mut Vec<u8>) {
        for line in wrap(text, COLUMNS.saturating_sub(self.width + 3)) {
            self.say(SELF, Style::new().bold(), tone, &line, out);
        }
    }

    fn say(&self, name: &str, style: Style, tone: Tone, text: &str, out: &mut Vec<u8>) {
        let painter = self.painter;
        self.prefix(name, style, &painter.paint(style, ">"), out);
        // What units say of themselves is in here too, such as the reason of a probe.
        let text = Sanitizer::default().line(text.as_bytes(), false);
        let painted = match tone {
            Tone::Plain => painter.bold(&text),
            Tone::Good => painter.good(&text),
            Tone::Warning => painter.warning(&text),
            Tone::Bad => painter.bad(&text),
        };
        out.extend_from_slice(painted.as_bytes());
        out.push(b'\n');
    }

    fn prefix(&self, name: &str, style: Style, mark: &str, out: &mut Vec<u8>) {
        let name = format!("{name:<width$}", width = self.width);
        out.extend_from_slice(self.painter.paint(style, &name).as_bytes());
        out.push(b' ');
        out.extend_from_slice(mark.as_bytes());
        out.push(b' ');
    }

    fn name(&self, id: InstanceId) -> String {
        let known = self.names.get(&id).map(ToString::to_string);
        known.unwrap_or_else(|| format!("#{}", id.0))
    }

    fn color(&self, name: &str) -> Style {
        self.colors.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RunId;
    use crate::logs::Origin;

    fn line(stream: Stream, attempt: u32, bytes: &'static [u8], cut: Cut) -> LogLine {
        LogLine {
            seq: 0,
            origin: Origin {
                run: RunId {
                    instance: InstanceId(1),
                    attempt: Attempt(attempt),
                },
                stage: 0,
                stream,
            },
            time: jiff::Timestamp::UNIX_EPOCH,
            bytes: bytes.into(),
            cut,
        }
    }

    fn screen(color: bool, terminal: bool) -> Screen {
        let names = ["api", "database"].map(UnitName::from);
        let mut screen = Screen::new(names.clone(), Painter::new(color), terminal);
        for (id, name) in (0..).zip(&names) {
            screen.learn(InstanceId(id), name);
        }
        screen
    }

    fn shown(screen: &mut Screen, line: &LogLine) -> String {
        let mut out = Vec::new();
        screen.line(line, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn columns_are_as_wide_as_the_longest_name() {
        let mut screen = screen(false, false);
        let out = line(Stream::Stdout, 1, b"up", Cut::Newline);
        let err = line(Stream::Stderr, 1, b"oops", Cut::Newline);
        assert_eq!(shown(&mut screen, &out), "database | up\n");
        assert_eq!(shown(&mut screen, &err), "database ! oops\n");
        let said = Said {
            who: Some("api".into()),
            tone: Tone::Bad,
            text: "failed: exit code 1".into(),
        };
        let mut text = Vec::new();
        screen.said(&said, &mut text);
        screen.own(Tone::Plain, "stopping", &mut text);
        let gap = Gap {
            instance: InstanceId(1),
            lines: 12,
        };
        screen.missed(gap, &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "api      > failed: exit code 1\n\
             pk       > stopping\n\
             database > 12 lines missed: written faster than shown\n"
        );
    }

    #[test]
    fn bytes_reach_a_pipe_as_they_are() {
        let odd = line(Stream::Stdout, 1, b"\xff\x1b[2J\x1b[31mx", Cut::Newline);
        let mut out = Vec::new();
        screen(false, false).line(&odd, &mut out);
        assert_eq!(out, b"database | \xff\x1b[2J\x1b[31mx\n");
    }

    #[test]
    fn a_terminal_gets_nothing_but_colours() {
        let mut screen = screen(false, true);
        let odd = line(Stream::Stdout, 1, b"\xff\x1b[2J\x1b[31mx", Cut::Newline);
        assert_eq!(
            shown(&mut screen, &odd),
            "database | \\xff␛[2J\x1b[31mx\x1b[0m\n"
        );
        let next = line(Stream::Stdout, 1, b"y", Cut::Newline);
        assert_eq!(shown(&mut screen, &next), "database | \x1b[31my\x1b[0m\n");
        let other = line(Stream::Stderr, 1, b"y", Cut::Newline);
        assert_eq!(shown(&mut screen, &other), "database ! y\n");
        let later = line(Stream::Stdout, 2, b"y", Cut::Newline);
        assert_eq!(shown(&mut screen, &later), "database | y\n");
    }

    #[test]
    fn each_unit_has_its_colour() {
        let mut screen = screen(true, true);
        let out = line(Stream::Stdout, 1, b"up", Cut::Newline);
        assert_eq!(
            shown(&mut screen, &out),
            "\x1b[33mdatabase\x1b[0m \x1b[33m|\x1b[0m up\n"
        );
    }
}
