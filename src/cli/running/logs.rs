//! `pk logs`: what the units of a stack have written.
//!
//! ```text
//!  it runs ─► its files, or, if it keeps its lines in memory, page after page over its socket
//!  it does not, or an earlier run is meant ─► the files of that run
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use super::args::Form;
use super::log_args::Logs;
use super::log_file::{self, Kept};
use super::log_lines::{Lines, write};
use super::log_query::{Context, Query, Shown};
use super::log_remote::{Failed, Remote};
use super::{names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::plain::{OpenRows, Screen};
use crate::domain::id::UnitName;
use crate::logs::{
    Archive, Cursor, Direction, LogSource as _, OpenLine, Page, Search, Selection, Start,
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
    let shown = match args.run {
        Some(_) => of_files(place, &query, args, bare, output),
        None => match Remote::find(place, output) {
            Ok(Some(remote)) => of_stack(remote, &query, args, bare, output),
            Ok(None) => of_files(place, &query, args, bare, output),
            Err(end) => Err(end),
        },
    };
    shown.map_or_else(|end| end, |()| End::Fine)
}

/// Of a run that has ended, or that nobody can be asked of.
fn of_files(
    place: &Place,
    query: &Query,
    args: &Logs,
    bare: bool,
    output: &Output,
) -> Result<(), End> {
    match log_file::find(place, args.run, output)? {
        Some(kept) => of_kept(&kept, None, query, args, bare, output),
        // Says that there is none.
        None => reach::found(place, output).map(|_| ()),
    }
}

/// Of a stack that runs.
fn of_stack(
    mut remote: Remote,
    query: &Query,
    args: &Logs,
    bare: bool,
    output: &Output,
) -> Result<(), End> {
    if let Some(kept) = remote.logs().and_then(log_file::at) {
        return of_kept(&kept, Some(remote), query, args, bare, output);
    }
    let snapshot = remote.snapshot();
    let names = names::each(&args.units, snapshot).map_err(|mistake| {
        output.error(&mistake.what, mistake.help.as_deref());
        End::NotThere
    })?;
    let all = snapshot.units.iter().map(|unit| &unit.name);
    let shown: Vec<UnitName> = all
        .filter(|name| names.is_empty() || names.contains(name))
        .cloned()
        .collect();
    let mut show = Show::new(shown.into_iter(), args, bare, output);
    let last = args.lines.filter(|_| query.is_all());
    remote.begin(&names, last);
    match show.stack(&mut remote, &names, query, args) {
        // Nobody reads any more: that is no failure.
        Ok(()) | Err(Failed::Write(_)) => Ok(()),
        Err(Failed::Wire(error)) => Err(reach::failed(&error, output)),
    }
}

fn of_kept(
    kept: &Kept,
    remote: Option<Remote>,
    query: &Query,
    args: &Logs,
    bare: bool,
    output: &Output,
) -> Result<(), End> {
    let names = kept.named(&args.units).map_err(|mistake| {
        output.error(&mistake.what, mistake.help.as_deref());
        End::NotThere
    })?;
    let shown = (kept.units().into_iter().map(|unit| unit.name))
        .filter(|name| names.is_empty() || names.contains(name))
        .map(UnitName::new);
    let mut show = Show::new(shown, args, bare, output);
    // Nobody reads any more: that is no failure.
    let _ = show.kept(kept, &names, remote, query, args);
    Ok(())
}

/// What has been read and is to be written.
struct Show {
    lines: Lines,
    context: Context,
    tail: Tail,
    out: Vec<u8>,
    /// What is open, where it is shown as it grows.
    rows: Option<OpenRows>,
}

/// The last lines, if only so many are wanted.
#[derive(Default)]
struct Tail {
    last: Option<usize>,
    items: VecDeque<Shown>,
}

impl Show {
    fn new(
        shown: impl Iterator<Item = UnitName>,
        args: &Logs,
        bare: bool,
        output: &Output,
    ) -> Self {
        let terminal = output.terminal && !args.raw;
        let columns = output.look().columns;
        let shows_open = terminal && args.follow && !bare && args.output == Form::Text;
        Self {
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
            tail: Tail::default(),
            out: Vec::new(),
            rows: shows_open.then(OpenRows::default),
        }
    }

    /// Shows what is there, and what comes as long as it is followed.
    fn kept(
        &mut self,
        kept: &Kept,
        names: &[String],
        mut remote: Option<Remote>,
        query: &Query,
        args: &Logs,
    ) -> io::Result<()> {
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
        let named: Vec<UnitName> = (names.iter().cloned().map(UnitName::new)).collect();
        if let (Some(remote), true) = (&mut remote, self.rows.is_some()) {
            remote.follow_open(&named);
        }
        let mut cursor = archive.cursor(select(&mut self.lines), start);
        self.tail.last = args.lines.filter(|_| !query.is_all());
        let mut goes_on = live;
        loop {
            // Looked at before the lines: what was written until the end is there then.
            let ended = !goes_on;
            self.read(archive, &mut cursor, query, args.context > 0)?;
            self.flush()?;
            if ended || !args.follow {
                self.open_rows(&[], query)?;
                break;
            }
            match &mut remote {
                Some(remote) => {
                    // After the lines: what they tell the end of is not open then.
                    self.open_rows(&remote.open(), query)?;
                    remote.rest(LOOK);
                }
                None => std::thread::sleep(LOOK),
            }
            archive.refresh();
            goes_on = archive.is_live();
            cursor.select(select(&mut self.lines));
        }
        if let (Some(mut remote), true) = (remote, query.is_all() && !args.follow) {
            remote.begin(&named, Some(0));
            // Who has ended meanwhile has no open line.
            if let Ok(Some(turned)) = remote.page(Duration::ZERO) {
                self.open(turned.open)?;
            }
        }
        Ok(())
    }

    /// Shows all that can be read now.
    fn read(
        &mut self,
        archive: &Archive,
        cursor: &mut Cursor,
        query: &Query,
        around: bool,
    ) -> io::Result<()> {
        if let (Some(pattern), true) = (&query.pattern, query.is_search() && !around) {
            let mut search = Search::new(pattern.clone(), Direction::Forward, cursor.clone());
            search.filter = query.filter;
            loop {
                let step = archive.search(&mut search, usize::MAX);
                for hit in step.hits {
                    self.keep(Shown::Line(hit.line))?;
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
                self.page(page, query, around)?;
            }
        }
        self.settle()
    }

    /// The same of a stack that is asked page after page.
    fn stack(
        &mut self,
        remote: &mut Remote,
        names: &[UnitName],
        query: &Query,
        args: &Logs,
    ) -> Result<(), Failed> {
        self.tail.last = args.lines.filter(|_| !query.is_all());
        let mut wait = Duration::ZERO;
        if self.rows.is_some() {
            remote.follow_open(names);
        }
        loop {
            let turned = match remote.page(wait) {
                // Somebody who follows has seen it to its end.
                Err(error) if error.is_gone() && args.follow => {
                    self.open_rows(&[], query)?;
                    return Ok(());
                }
                turned => turned?,
            };
            let Some(turned) = turned else {
                self.open_rows(&remote.open(), query)?;
                continue;
            };
            for (id, name) in turned.names {
                self.lines.screen.learn(id, &name);
                self.lines.names.insert(id, name);
            }
            let empty = turned.page.is_empty();
            self.page(turned.page, query, args.context > 0)?;
            if empty {
                self.settle()?;
                wait = Remote::WAIT;
            } else if !wait.is_zero() {
                self.flush()?;
            }
            if !wait.is_zero() {
                self.open_rows(&remote.open(), query)?;
            }
            if turned.ended || (empty && !args.follow) {
                if query.is_all() && !args.follow {
                    self.open(turned.open)?;
                }
                return Ok(());
            }
        }
    }

    fn page(&mut self, page: Page, query: &Query, around: bool) -> io::Result<()> {
        if self.tail.last.is_none() {
            self.lines.gaps(&page.gaps, &mut self.out);
        }
        let mut found = Vec::new();
        for line in page.lines {
            if around && !query.admits(&line) {
                continue;
            }
            let wanted = query.wants(&line);
            self.context.take(line, wanted, &mut found);
            for item in found.drain(..) {
                self.keep(item)?;
            }
        }
        Ok(())
    }

    /// Shows it, or keeps it until it is known which are the last.
    fn keep(&mut self, item: Shown) -> io::Result<()> {
        match self.tail.last {
            None => self.item(item),
            Some(0) => Ok(()),
            Some(last) => {
                if self.tail.items.len() == last {
                    self.tail.items.pop_front();
                }
                self.tail.items.push_back(item);
                Ok(())
            }
        }
    }

    /// All that was there has been read: what comes from now on is shown as it comes.
    fn settle(&mut self) -> io::Result<()> {
        let tail = std::mem::take(&mut self.tail);
        (tail.items.into_iter()).try_for_each(|item| self.item(item))?;
        self.flush()
    }

    fn open(&mut self, open: Vec<crate::control::protocol::OpenText>) -> io::Result<()> {
        for open in open {
            self.lines.open(open, &mut self.out);
        }
        self.flush()
    }

    /// Shows what is open now.
    fn open_rows(&mut self, open: &[OpenLine], query: &Query) -> io::Result<()> {
        let Some(rows) = &mut self.rows else {
            return Ok(());
        };
        let mut current = rows.current(open);
        current.retain(|line| query.wants(&line.as_line(u64::MAX)));
        let texts = current.iter().map(|line| self.lines.open_row(line));
        let texts = texts.collect();
        let mut out = Vec::new();
        rows.draw(texts, &mut out);
        write(&out)
    }

    fn item(&mut self, item: Shown) -> io::Result<()> {
        if let (Some(rows), Shown::Line(line)) = (&mut self.rows, &item) {
            rows.saw(line);
        }
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
        let mut out = Vec::new();
        if let Some(rows) = &mut self.rows {
            rows.erase(&mut out);
        }
        out.append(&mut self.out);
        write(&out)
    }
}
