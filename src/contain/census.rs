//! One look at the machine's process table, shared by everyone who waits for one.
//!
//! Emptiness of a process group is a fact that the kernel offers no event for, so it is
//! looked up in `/proc`. A look costs some microseconds per process on the machine; however
//! many groups ask at a time, at most one look runs and one more follows it.
//!
//! ```text
//!  ask ─► is there a census that began after I asked? ─yes─► take it
//!                        └─no─► take one (others wait for it)
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::Pid;

use super::orphans;
use super::registry;

/// A process as `/proc/PID/stat` shows it (`proc_pid_stat(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub pid: Pid,
    pub name: String,
    pub parent: i32,
    pub group: i32,
    /// Ended, and left behind only until its parent asks for its status.
    pub zombie: bool,
    /// Ticks since boot: with the number it identifies a process for good.
    pub start: u64,
    /// Processor time of it and of those of its children that it has waited for, in ticks:
    /// in user mode and in the kernel.
    pub ticks: [u64; 2],
    /// Memory that it has now.
    pub pages: u64,
}

/// The processes found by one look.
#[derive(Debug, Default)]
pub(super) struct Census {
    rows: Vec<Row>,
}

impl Census {
    /// Those of `group` that live.
    pub fn members(&self, group: Pid) -> impl Iterator<Item = &Row> {
        self.of_group(group).filter(|row| !row.zombie)
    }

    /// Those of `group`, zombies too.
    pub fn of_group(&self, group: Pid) -> impl Iterator<Item = &Row> {
        let group = group.as_raw_nonzero().get();
        let first = self.rows.partition_point(|row| row.group < group);
        self.rows[first..]
            .iter()
            .take_while(move |row| row.group == group)
    }
}

static LAST: tokio::sync::Mutex<Option<(Instant, Arc<Census>)>> =
    tokio::sync::Mutex::const_new(None);

/// A census that began after this call did.
pub(super) async fn fresh() -> io::Result<Arc<Census>> {
    let asked = Instant::now();
    let mut last = LAST.lock().await;
    if let Some((began, census)) = &*last
        && *began >= asked
    {
        return Ok(Arc::clone(census));
    }
    let began = Instant::now();
    let taken = tokio::task::spawn_blocking(|| {
        let census = take();
        registry::sweep();
        orphans::collect();
        census
    });
    let census = Arc::new(taken.await.map_err(io::Error::other)??);
    *last = Some((began, Arc::clone(&census)));
    Ok(census)
}

/// How often the list is read again for processes made meanwhile.
const ROUNDS: usize = 4;

/// Reads the whole table.
///
/// A process may be made by one that was not looked at yet and has ended by the time it is:
/// then the second is missed unless the list is read again. So it is, until it shows nothing
/// new.
fn take() -> io::Result<Census> {
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for _ in 0..ROUNDS {
        let mut new = false;
        for entry in std::fs::read_dir("/proc")? {
            let Some(pid) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if seen.insert(pid) {
                new = true;
                rows.extend(Pid::from_raw(pid).and_then(row));
            }
        }
        if !new {
            break;
        }
    }
    rows.sort_unstable_by_key(|row| row.group);
    Ok(Census { rows })
}

/// What is known of a process now; `None`: there is none of that number.
pub(super) fn row(pid: Pid) -> Option<Row> {
    let mut buffer = [0; 1024];
    let mut file = File::open(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let read = file.read(&mut buffer).ok()?;
    parse(pid, &buffer[..read])
}

fn parse(pid: Pid, stat: &[u8]) -> Option<Row> {
    // The name is in parentheses and may hold parentheses and spaces itself.
    let open = memchr::memchr(b'(', stat)?;
    let close = memchr::memrchr(b')', stat)?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Fields 14 to 17, 20, 22 and 24 of the line; three of those before were taken.
    let mut times = [0u64; 4];
    let mut skipped = 8;
    for time in &mut times {
        *time = fields.nth(skipped)?.parse().ok()?;
        skipped = 0;
    }
    let [user, system, waited_user, waited_system] = times;
    let threads: i64 = fields.nth(2)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    let pages = fields.nth(1)?.parse().unwrap_or(0);
    Some(Row {
        pid,
        name: String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned(),
        parent,
        group,
        // The first thread of a process may end before the others do.
        zombie: matches!(state, "Z" | "X" | "x") && threads <= 1,
        start,
        ticks: [user + waited_user, system + waited_system],
        pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "7 (a) b (c) S 1 42 42 0 -1 4194304 96 0 0 0 1 2 10 20 20 0 3 0 \
                        12345 2621440 640 0";

    fn pid(n: i32) -> Pid {
        Pid::from_raw(n).unwrap()
    }

    #[test]
    fn a_line_of_the_table() {
        let row = parse(pid(7), LINE.as_bytes()).unwrap();
        assert_eq!(
            row,
            Row {
                pid: pid(7),
                name: "a) b (c".into(),
                parent: 1,
                group: 42,
                zombie: false,
                start: 12345,
                ticks: [11, 22],
                pages: 640,
            }
        );
        let dead = LINE.replace(" S ", " Z ");
        let threads_left = parse(pid(7), dead.as_bytes()).unwrap();
        assert!(!threads_left.zombie, "its other threads live");
        let dead = dead.replace(" 0 3 0 ", " 0 1 0 ");
        assert!(parse(pid(7), dead.as_bytes()).unwrap().zombie);
        assert_eq!(parse(pid(7), b"7 (cut"), None);
    }

    #[test]
    fn members_are_those_of_the_group_that_live() {
        let row = |n, group, zombie| Row {
            pid: pid(n),
            name: String::new(),
            parent: 1,
            group,
            zombie,
            start: 0,
            ticks: [0, 0],
            pages: 0,
        };
        let census = Census {
            rows: vec![
                row(1, 1, false),
                row(5, 5, true),
                row(6, 5, false),
                row(9, 9, false),
            ],
        };
        let members = |group| {
            census
                .members(pid(group))
                .map(|r| r.pid)
                .collect::<Vec<_>>()
        };
        assert_eq!(members(5), [pid(6)]);
        assert_eq!(members(7), []);
    }

    #[test]
    fn this_process_is_in_the_table() {
        let own = rustix::process::getpid();
        let found = row(own).unwrap();
        let census = take().unwrap();
        assert!(
            census
                .members(rustix::process::getpgrp())
                .any(|row| row.pid == own && row.start == found.start)
        );
    }
}
