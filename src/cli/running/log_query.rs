//! Which lines `pk logs` shows: what was typed, made into tests on a line.

use std::collections::VecDeque;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::log_args::Logs;
use crate::domain::id::Attempt;
use crate::domain::text::parse_duration;
use crate::logs::{Filter, Level, LogLine, Pattern};

/// What a line must be.
#[derive(Debug)]
pub struct Query {
    pub filter: Filter,
    pub pattern: Option<Pattern>,
    pub inverted: bool,
    pub level: Option<Level>,
}

impl Query {
    /// From what was typed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(args: &Logs) -> Result<Self, String> {
        let now = Zoned::now();
        let time = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => when(text, &now).map(Some),
        };
        let pattern =
            match &args.grep {
                None => None,
                Some(text) => Some(Pattern::regex(text, args.ignore_case).map_err(|error| {
                    format!("`--grep {text}` is no regular expression: {error}")
                })?),
            };
        Ok(Self {
            filter: Filter {
                stream: args.stream.map(Into::into),
                attempt: args.attempt.map(Attempt),
                since: time(&args.since)?,
                until: time(&args.until)?,
            },
            pattern,
            inverted: args.invert,
            level: args.level.map(Into::into),
        })
    }

    /// Whether a line is to be shown.
    pub fn wants(&self, line: &LogLine) -> bool {
        self.admits(line)
            && (self.pattern.as_ref())
                .is_none_or(|pattern| pattern.is_match(&line.bytes) != self.inverted)
    }

    /// The same but for the pattern: whether it may be shown around a line that has it.
    pub fn admits(&self, line: &LogLine) -> bool {
        self.filter.admits(line.origin, line.time)
            && self
                .level
                .is_none_or(|least| Level::of(&line.bytes).is_some_and(|(level, _)| level >= least))
    }

    /// Every line is wanted.
    pub fn is_all(&self) -> bool {
        self.filter == Filter::default() && self.pattern.is_none() && self.level.is_none()
    }

    /// Nothing but a search is asked.
    pub fn is_search(&self) -> bool {
        self.pattern.is_some() && !self.inverted && self.level.is_none()
    }
}

/// A time as it is typed: `5m` ago, `14:30` of today (of yesterday, if it is still to come),
/// a date, or both.
fn when(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no time; write it as 5m, 14:30 or 2026-01-31T14:30");
    if let Ok(ago) = parse_duration(text) {
        let ago = jiff::SignedDuration::try_from(ago).map_err(|_| wrong())?;
        return now.timestamp().checked_sub(ago).map_err(|_| wrong());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let zone: TimeZone = now.time_zone().clone();
    let local = |at: DateTime| {
        let zoned = at.to_zoned(zone.clone()).map_err(|_| wrong())?;
        Ok(zoned.timestamp())
    };
    // A date comes first: it has no colon.
    if !text.contains(':') {
        let date = text.parse::<Date>().map_err(|_| wrong())?;
        return local(date.to_datetime(Time::midnight()));
    }
    if text.contains('-') {
        return local(text.parse::<DateTime>().map_err(|_| wrong())?);
    }
    let time = text.parse::<Time>().map_err(|_| wrong())?;
    let today = local(now.date().to_datetime(time))?;
    if today <= now.timestamp() {
        return Ok(today);
    }
    let yesterday = now.date().yesterday().map_err(|_| wrong())?;
    local(yesterday.to_datetime(time))
}

/// What stands between the lines that are shown.
#[derive(Debug, PartialEq)]
pub enum Shown {
    Line(LogLine),
    /// Lines are left out here.
    Break,
}

/// Lines around those that are wanted.
#[derive(Debug)]
pub struct Context {
    around: usize,
    before: VecDeque<LogLine>,
    /// How many are still to be shown.
    after: usize,
    left_out: bool,
    any: bool,
}

impl Context {
    pub fn new(around: usize) -> Self {
        Self {
            around,
            before: VecDeque::new(),
            after: 0,
            left_out: false,
            any: false,
        }
    }

    /// Takes every line that may be shown.
    pub fn take(&mut self, line: LogLine, wanted: bool, out: &mut Vec<Shown>) {
        if wanted {
            if self.around > 0 && self.any && self.left_out {
                out.push(Shown::Break);
            }
            out.extend(self.before.drain(..).map(Shown::Line));
            out.push(Shown::Line(line));
            (self.after, self.left_out, self.any) = (self.around, false, true);
        } else if self.after > 0 {
            self.after -= 1;
            out.push(Shown::Line(line));
        } else if self.around > 0 {
            if self.before.len() == self.around {
                self.before.pop_front();
                self.left_out = true;
            }
            self.before.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_typed() {
        let now: Zoned = "2026-03-05T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let read = |text: &str| when(text, &now).map(|time| time.to_string());
        for (text, time) in [
            ("5m", "2026-03-05T10:55:00Z"),
            ("11:30", "2026-03-05T10:30:00Z"),
            ("11:30:05", "2026-03-05T10:30:05Z"),
            ("13:00", "2026-03-04T12:00:00Z"),
            ("2026-03-01", "2026-02-28T23:00:00Z"),
            ("2026-03-01T10:00", "2026-03-01T09:00:00Z"),
            ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(time), "{text}");
        }
        for text in ["", "soon", "25:00", "5", "12:"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
