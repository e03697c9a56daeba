//! Lines and changes as bytes for a terminal or a pipe.
//!
//! ```text
//!  api      | what it wrote to stdout
//!  api      ! what it wrote to stderr
//!  api      > what pk says of it
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use anstyle::Style;

use super::escape::Sanitizer;
use super::open_rows::clipped;
use super::story::{Said, Tone};
use crate::cli::style::{self, Painter};
use crate::cli::wrap::wrap;
use crate::domain::id::{Attempt, InstanceId, UnitName};
use crate::logs::{Cut, Gap, LogLine, OpenLine, Stream};

/// A longer name is shown without its middle.
const MAX_WIDTH: usize = 24;

/// What pk says itself is wrapped here.
pub const COLUMNS: usize = 80;

/// But never so narrow that it cannot be read.
const MIN_TEXT: usize = 16;

/// What stands before what pk says of the stack as a whole.
const SELF: &str = "pk";

/// What a stream left behind for its next line.
#[derive(Debug, Default)]
struct Shown {
    attempt: Attempt,
    sanitizer: Sanitizer,
    /// The line before goes on in the next one.
    continued: bool,
}

/// Who stands in which column and colour.
#[derive(Debug)]
pub struct Screen {
    painter: Painter,
    /// Makes what units wrote safe to show.
    terminal: bool,
    columns: usize,
    width: usize,
    colors: BTreeMap<UnitName, Style>,
    names: BTreeMap<InstanceId, UnitName>,
    streams: BTreeMap<(InstanceId, u16, Stream), Shown>,
}

impl Screen {
    /// For instances by name, in the order of the file. Without `terminal`, what units wrote
    /// is passed on byte for byte.
    #[must_use]
    pub fn new(
        names: impl IntoIterator<Item = UnitName>,
        painter: Painter,
        terminal: bool,
        columns: usize,
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
            columns,
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
        let origin = line.origin;
        let name = self.name(origin.run.instance);
        let style = self.color(&name);
        let goes_on = self.stream(line).continued;
        let mark = self.mark(origin.stream, style, goes_on);
        self.prefix(&name, style, &mark, out);
        self.text(line, self.terminal, out);
        out.push(b'\n');
    }

    /// What is open of a line, in one row; `before` stands before it.
    #[must_use]
    pub fn open(&self, line: &OpenLine, before: &str) -> Vec<u8> {
        let name = self.name(line.origin.run.instance);
        let style = self.color(&name);
        let mut out = before.as_bytes().to_vec();
        let mark = self.mark(line.origin.stream, style, false);
        self.prefix(&name, style, &mark, &mut out);
        // Without the last column, behind which a terminal may begin a new row.
        let taken = before.len() + self.width + 4;
        let text = clipped(line, self.columns.saturating_sub(taken).max(1));
        out.extend_from_slice(text.as_bytes());
        out
    }

    fn mark(&self, stream: Stream, style: Style, goes_on: bool) -> String {
        let painter = self.painter;
        match stream {
            Stream::Stdout => painter.paint(style, if goes_on { "+" } else { "|" }),
            Stream::Stderr => painter.bad(if goes_on { "+" } else { "!" }),
            Stream::Build => painter.dim(if goes_on { "+" } else { "#" }),
        }
    }

    /// A line as the unit wrote it, for who asked for nothing else.
    pub fn bare(&mut self, line: &LogLine, terminal: bool, out: &mut Vec<u8>) {
        self.text(line, terminal, out);
        let ends = match line.cut {
            Cut::Newline => true,
            Cut::Continued => false,
            // What pk says must not stand behind it.
            Cut::Unterminated => terminal || line.origin.stream == Stream::Stderr,
        };
        if ends {
            out.push(b'\n');
        }
    }

    fn text(&mut self, line: &LogLine, terminal: bool, out: &mut Vec<u8>) {
        let shown = self.stream(line);
        shown.continued = line.cut == Cut::Continued;
        if terminal {
            let text = shown.sanitizer.line(&line.bytes, shown.continued);
            out.extend_from_slice(text.as_bytes());
        } else {
            out.extend_from_slice(&line.bytes);
        }
    }

    fn stream(&mut self, line: &LogLine) -> &mut Shown {
        let origin = line.origin;
        let key = (origin.run.instance, origin.stage, origin.stream);
        let shown = self.streams.entry(key).or_default();
        if shown.attempt != origin.run.attempt {
            *shown = Shown {
                attempt: origin.run.attempt,
                ..Shown::default()
            };
        }
        shown
    }

    /// Lines that were lost to this reader.
    pub fn missed(&self, gap: Gap, out: &mut Vec<u8>) {
        let lines = if gap.lines == 1 { "line" } else { "lines" };
        let text = format!("{} {lines} missed: written faster than shown", gap.lines);
        let name = self.name(gap.instance);
        self.say(&name, self.color(&name), Tone::Warning, &text, out);
    }

    /// Lines that are nowhere any more.
    pub fn lost(&self, gap: Gap, out: &mut Vec<u8>) {
        let lines = if gap.lines == 1 { "line" } else { "lines" };
        let text = format!("{} {lines} lost", gap.lines);
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
        let width = self.columns.saturating_sub(self.width + 3).max(MIN_TEXT);
        for line in wrap(text, width) {
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
        let name = format!("{:<width$}", shortened(name), width = self.width);
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

/// The name in [`MAX_WIDTH`] characters: its beginning and its end tell the most.
fn shortened(name: &str) -> Cow<'_, str> {
    // Names are ASCII.
    if name.len() <= MAX_WIDTH || !name.is_ascii() {
        return name.into();
    }
    let (head, tail) = (MAX_WIDTH / 2 - 1, MAX_WIDTH / 2);
    format!("{}…{}", &name[..head], &name[name.len() - tail..]).into()
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
        let mut screen = Screen::new(names.clone(), Painter::new(color), terminal, COLUMNS);
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
    fn a_line_that_was_cut_goes_on_under_another_mark() {
        let mut screen = screen(false, false);
        let first = line(Stream::Stdout, 1, b"abc", Cut::Continued);
        let last = line(Stream::Stdout, 1, b"def", Cut::Newline);
        assert_eq!(shown(&mut screen, &first), "database | abc\n");
        assert_eq!(shown(&mut screen, &last), "database + def\n");
        assert_eq!(shown(&mut screen, &last), "database | def\n");
        let mut out = Vec::new();
        screen.bare(&first, false, &mut out);
        screen.bare(&last, false, &mut out);
        assert_eq!(out, b"abcdef\n");
    }

    #[test]
    fn long_names_keep_the_columns() {
        let long = "a-service-with-a-very-long-name-1";
        assert_eq!(shortened(long), "a-service-w…-long-name-1");
        assert_eq!(shortened(long).chars().count(), MAX_WIDTH);
        let screen = Screen::new([long.into()], Painter::new(false), true, 30);
        let mut out = Vec::new();
        screen.own(Tone::Plain, "stopping; Ctrl-C again kills", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
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
