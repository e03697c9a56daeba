//! `pk logs`: what the units of a stack have written.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::ops::Range;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::args::Form;
use super::log_args::Logs;
use super::log_file::{self, Kept};
use super::log_query::{Context, Query, Shown};
use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::plain::Screen;
use crate::cli::style::Painter;
use crate::control::protocol::Line;
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::{
    Archive, Cursor, Direction, Gap, Level, LogLine, LogSource as _, Search, Selection, Start,
    without_colour,
};

/// How often a log that goes on is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Lines that are read at once.
const PAGE: usize = 2048;

pub fn logs(place: &Place, args: &Logs, output: &Output) -> End {
    written(place, args, false, output)
}

/// The same; `bare`: the lines alone, as they were written.
pub fn written(place: &Place, args: &Logs, bare: bool, output: &Output) -> End {
    let query = match Query::new(args) {
        Ok(query) => query,
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    };
    let kept = match log_file::find(place, args.run, output) {
        Ok(Some(kept)) => kept,
        Ok(None) => return elsewhere(place, output),
        Err(end) => return end,
    };
    let names = match kept.named(&args.units) {
        Ok(names) => names,
        Err(mistake) => {
            output.error(&mistake.what, mistake.help.as_deref());
            return End::NotThere;
        }
    };
    let shown = (kept.units().into_iter().map(|unit| unit.name))
        .filter(|name| names.is_empty() || names.contains(name))
        .map(UnitName::new);
    let terminal = output.terminal && !args.raw;
    let columns = output.look().columns;
    let mut show = Show {
        lines: Lines {
            screen: Screen::new(shown, output.out, terminal, columns),
            form: args.output,
            names: BTreeMap::new(),
            timestamps: args.timestamps,
            bare,
            strip: !args.raw && !output.out.has_color(),
            painter: output.out,
        },
        context: Context::new(args.context),
        out: Vec::new(),
    };
    // Nobody reads any more: that is no failure.
    let _ = show.all(&kept, &names, &query, args);
    End::Fine
}

/// Nothing is kept on disk: perhaps the stack keeps its logs in memory.
fn elsewhere(place: &Place, output: &Output) -> End {
    match reach::found(place, output) {
        Ok(_) => {
            let help = "its state folder could not be written when it started";
            output.error("this stack keeps its logs in memory only", Some(help));
            End::Failed
        }
        Err(end) => end,
    }
}

/// What has been read and is to be written.
struct Show {
    lines: Lines,
    context: Context,
    out: Vec<u8>,
}

impl Show {
    /// Shows what is there, and what comes as long as it is followed.
    fn all(&mut self, kept: &Kept, names: &[String], query: &Query, args: &Logs) -> io::Result<()> {
        let start = match (args.lines, query.filter.since) {
            (Some(lines), _) if query.is_all() => Start::Last(lines),
            (_, Some(since)) => Start::Time(since),
            _ => Start::Oldest,
        };
        let archive = &kept.archive;
        let select = |lines: &mut Lines| {
            let found = kept.instances(names);
            for (id, name) in &found {
                lines.screen.learn(*id, name);
                lines.names.insert(*id, name.clone());
            }
            Selection::Only(found.into_iter().map(|(id, _)| id).collect())
        };
        let live = archive.is_live();
        let mut cursor = archive.cursor(select(&mut self.lines), start);
        let mut last = (!query.is_all()).then_some(args.lines).flatten();
        let mut goes_on = live;
        loop {
            // Looked at before the lines: what was written until the end is there then.
            let ended = !goes_on;
            self.read(archive, &mut cursor, query, args.context > 0, last.take())?;
            self.flush()?;
            if ended || !args.follow {
                return Ok(());
            }
            std::thread::sleep(LOOK);
            archive.refresh();
            goes_on = archive.is_live();
            cursor.select(select(&mut self.lines));
        }
    }

    /// Shows all that can be read now; of it the last `last` lines, if that is said.
    fn read(
        &mut self,
        archive: &Archive,
        cursor: &mut Cursor,
        query: &Query,
        around: bool,
        last: Option<usize>,
    ) -> io::Result<()> {
        let mut tail = VecDeque::new();
        let mut keep = |show: &mut Self, item: Shown| match last {
            None => show.item(item),
            Some(0) => Ok(()),
            Some(last) => {
                if tail.len() == last {
                    tail.pop_front();
                }
                tail.push_back(item);
                Ok(())
            }
        };
        let mut found = Vec::new();
        if let (Some(pattern), true) = (&query.pattern, query.is_search() && !around) {
            let mut search = Search::new(pattern.clone(), Direction::Forward, cursor.clone());
            search.filter = query.filter;
            loop {
                let step = archive.search(&mut search, usize::MAX);
                for hit in step.hits {
                    keep(self, Shown::Line(hit.line))?;
                }
                if step.done {
                    break;
                }
            }
            *cursor = search.cursor;
        } else {
            loop {
                let page = archive.read(cursor, PAGE);
                if page.is_empty() {
                    break;
                }
                if last.is_none() {
                    self.lines.gaps(&page.gaps, &mut self.out);
                }
                for line in page.lines {
                    if around && !query.admits(&line) {
                        continue;
                    }
                    let wanted = query.wants(&line);
                    self.context.take(line, wanted, &mut found);
                    for item in found.drain(..) {
                        keep(self, item)?;
                    }
                }
            }
        }
        tail.into_iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: Shown) -> io::Result<()> {
        match item {
            Shown::Line(line) => self.lines.line(line, &mut self.out),
            Shown::Break if self.lines.form == Form::Text => self.out.extend_from_slice(b"--\n"),
            Shown::Break => {}
        }
        if self.out.len() >= 64 << 10 {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = write(&self.out);
        self.out.clear();
        written
    }
}

struct Lines {
    screen: Screen,
    names: BTreeMap<InstanceId, UnitName>,
    form: Form,
    timestamps: bool,
    /// Nothing is put before a line.
    bare: bool,
    /// Colours and the like are left out.
    strip: bool,
    painter: Painter,
}

impl Lines {
    fn gaps(&mut self, gaps: &[Gap], out: &mut Vec<u8>) {
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

    fn line(&mut self, mut line: LogLine, out: &mut Vec<u8>) {
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
        if self.timestamps {
            let time = line.time.to_zoned(TimeZone::system());
            let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z ").to_string();
            out.extend_from_slice(time.as_bytes());
        }
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
