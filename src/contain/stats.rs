//! What a group has used and uses.
//!
//! With cgroups the kernel keeps count, of those that have ended too; the files are kept open
//! and read again. What no controller counts is the sum over the members that live.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, pread};
use rustix::process::Pid;

use super::census::{Census, Row};
use super::cgroup::Cgroup;

/// One sample of a whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// When it was taken.
    pub at: Instant,
    /// Processor time in all. With cgroups that of every process that ever was a member; with
    /// a keeper the same, but for those whose parent refused to be told of their end (it
    /// ignored SIGCHLD); without either, of those that live, and of ended ones that one of
    /// those has waited for.
    pub cpu: Duration,
    /// That part of it spent in user mode.
    pub cpu_user: Duration,
    /// Memory now, in bytes. Without a memory controller it is summed over the members, so
    /// that what they share counts several times.
    pub memory: u64,
    /// The most memory so far. Without a memory controller: the most that a sample showed.
    pub memory_peak: u64,
    /// Members that live now.
    pub processes: usize,
    /// How many the kernel killed for want of memory; `None` without a memory controller.
    pub oom_kills: Option<u64>,
    /// Bytes from and to disks; `None` without an io controller.
    pub io: Option<Io>,
}

/// Bytes from and to disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    pub read: u64,
    pub written: u64,
}

impl Stats {
    /// How much of one processor was used since `earlier`, in percent: 200 is two of them.
    #[must_use]
    pub fn cpu_percent_since(&self, earlier: &Self) -> f64 {
        let elapsed = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        if elapsed == 0.0 {
            return 0.0;
        }
        self.cpu.saturating_sub(earlier.cpu).as_secs_f64() / elapsed * 100.0
    }

    fn none() -> Self {
        Self {
            at: Instant::now(),
            cpu: Duration::ZERO,
            cpu_user: Duration::ZERO,
            memory: 0,
            memory_peak: 0,
            processes: 0,
            oom_kills: None,
            io: None,
        }
    }
}

/// What is kept from one sample to the next.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    files: Option<Files>,
    last: Option<Stats>,
}

/// The open files of one cgroup; those of a controller that is not there are `None`.
#[derive(Debug)]
struct Files {
    cpu: OwnedFd,
    procs: OwnedFd,
    memory: Option<OwnedFd>,
    memory_peak: Option<OwnedFd>,
    memory_events: Option<OwnedFd>,
    io: Option<OwnedFd>,
    /// `statm` of each member, where the memory is summed.
    members: HashMap<i32, OwnedFd>,
}

impl Sampler {
    pub fn of_cgroup(&mut self, cgroup: &Cgroup) -> io::Result<Stats> {
        if self.files.is_none() {
            match Files::open(cgroup) {
                Ok(files) => self.files = Some(files),
                Err(error) if is_gone(&error) => return Ok(self.after_the_end()),
                Err(error) => return Err(error),
            }
        }
        let Some(files) = &mut self.files else {
            return Ok(Stats::none());
        };
        match files.sample(cgroup, self.last.as_ref()) {
            Ok(mut stats) => {
                if files.memory_peak.is_none() {
                    let before = self.last.map_or(0, |last| last.memory_peak);
                    stats.memory_peak = before.max(stats.memory);
                }
                self.last = Some(stats);
                Ok(stats)
            }
            Err(error) if is_gone(&error) => Ok(self.after_the_end()),
            Err(error) => Err(error),
        }
    }

    /// What it had used, by the last sample: the kernel has forgotten it.
    fn after_the_end(&self) -> Stats {
        Stats {
            at: Instant::now(),
            memory: 0,
            processes: 0,
            ..self.last.unwrap_or_else(Stats::none)
        }
    }

    /// From what a keeper has and its own account, in which is the time of all that have
    /// ended.
    pub fn of_kept(&mut self, members: &[Row], keeper: Option<&Row>) -> Stats {
        let ended = keeper.map_or([0; 2], |keeper| keeper.ticks);
        self.of_rows(members.iter(), ended)
    }

    pub fn of_census(&mut self, census: &Census, group: Option<Pid>) -> Stats {
        let rows = group.into_iter().flat_map(|group| census.of_group(group));
        self.of_rows(rows, [0; 2])
    }

    fn of_rows<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, ended: [u64; 2]) -> Stats {
        let mut stats = Stats::none();
        let mut ticks = ended;
        for row in rows {
            // A child that has ended is kept until the release, and its time with it.
            ticks[0] += row.ticks[0];
            ticks[1] += row.ticks[1];
            if !row.zombie {
                stats.memory += row.pages * page_size();
                stats.processes += 1;
            }
        }
        let before = self.last.unwrap_or_else(Stats::none);
        // A member that ended unwaited for takes its time along: what is known stays known.
        stats.cpu = before.cpu.max(time(ticks[0] + ticks[1]));
        stats.cpu_user = before.cpu_user.max(time(ticks[0]));
        stats.memory_peak = before.memory_peak.max(stats.memory);
        self.last = Some(stats);
        stats
    }
}

impl Files {
    fn open(cgroup: &Cgroup) -> io::Result<Self> {
        let optional = |file| cgroup.open(file).ok();
        Ok(Self {
            cpu: cgroup.open("cpu.stat")?,
            procs: cgroup.open("cgroup.procs")?,
            memory: optional("memory.current"),
            memory_peak: optional("memory.peak"),
            memory_events: optional("memory.events"),
            io: optional("io.stat"),
            members: HashMap::new(),
        })
    }

    fn sample(&mut self, cgroup: &Cgroup, last: Option<&Stats>) -> io::Result<Stats> {
        let mut stats = Stats::none();
        let mut buffer = [0; 1024];
        let cpu = read(&self.cpu, &mut buffer)?;
        stats.cpu = Duration::from_micros(field(cpu, b"usage_usec"));
        stats.cpu_user = Duration::from_micros(field(cpu, b"user_usec"));
        // Who has had no processor since has neither made nor ended a process, nor touched
        // memory: what a group that rests was found to be, it is.
        match last.filter(|last| last.cpu == stats.cpu) {
            Some(last) => {
                stats.processes = last.processes;
                stats.memory = last.memory;
            }
            None => {
                let pids = self.pids(cgroup)?;
                stats.processes = pids.len();
                if self.memory.is_none() {
                    stats.memory = self.sum(&pids);
                }
            }
        }
        if let Some(memory) = &self.memory {
            stats.memory = number(read(memory, &mut buffer)?);
        }
        if let Some(peak) = &self.memory_peak {
            stats.memory_peak = number(read(peak, &mut buffer)?);
        }
        if let Some(events) = &self.memory_events {
            stats.oom_kills = Some(field(read(events, &mut buffer)?, b"oom_kill"));
        }
        if let Some(io) = &self.io {
            stats.io = Some(disks(read(io, &mut buffer)?));
        }
        Ok(stats)
    }

    fn pids(&self, cgroup: &Cgroup) -> io::Result<Vec<i32>> {
        if cgroup.has_children()? {
            let all = cgroup.processes()?;
            return Ok(all.iter().map(|pid| pid.as_raw_nonzero().get()).collect());
        }
        let mut pids = Vec::new();
        let mut text = vec![0; 4096];
        let mut length = 0;
        loop {
            let read = pread(&self.procs, &mut text[length..], length as u64)?;
            length += read;
            // The kernel gives whole lines: one that is not full was the last.
            if read == 0 || length + 16 < text.len() {
                break;
            }
            text.resize(text.len() * 2, 0);
        }
        pids.extend(numbers(&text[..length]));
        Ok(pids)
    }

    /// The memory of the members, in bytes.
    fn sum(&mut self, pids: &[i32]) -> u64 {
        if self.members.len() > 2 * pids.len() {
            self.members.retain(|pid, _| pids.contains(pid));
        }
        // Beyond this many they are opened each time, lest the descriptors run out.
        const KEPT: usize = 16;
        let mut pages = 0;
        for &pid in pids {
            let mut buffer = [0; 128];
            // The kept file is that of the process, not of its number: once it has ended
            // it cannot be read, and another process may bear the number.
            if let Some(kept) = self.members.get(&pid) {
                if let Ok(text) = read(kept, &mut buffer) {
                    pages += numbers(text).nth(1).unwrap_or(0);
                    continue;
                }
                self.members.remove(&pid);
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let opened =
                rustix::fs::openat(CWD, format!("/proc/{pid}/statm"), flags, Mode::empty());
            let Ok(statm) = opened else { continue };
            if let Ok(text) = read(&statm, &mut buffer) {
                pages += numbers(text).nth(1).unwrap_or(0);
                if self.members.len() < KEPT {
                    self.members.insert(pid, statm);
                }
            }
        }
        u64::try_from(pages).unwrap_or(0) * page_size()
    }
}

pub(super) fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// So many ticks of the kernel's clock.
pub(super) fn time(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_micros(ticks * 1_000_000 / per_second)
}

/// The processor time of all that was ever below a cgroup.
pub(super) fn cpu_below(cgroup: &Path) -> Option<Duration> {
    let text = std::fs::read(cgroup.join("cpu.stat")).ok()?;
    Some(Duration::from_micros(field(&text, b"usage_usec")))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NODEV | Errno::NOENT)
    )
}

fn read<'a>(file: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let length = pread(file, &mut *buffer, 0)?;
    Ok(&buffer[..length])
}

fn numbers(text: &[u8]) -> impl Iterator<Item = i32> + '_ {
    text.split(u8::is_ascii_whitespace)
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

fn number(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text.trim_ascii());
    text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The number behind `name` at the beginning of a line.
fn field(text: &[u8], name: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(b" "))
        .map_or(0, number)
}

/// From the text of `io.stat`: a line per device, with `rbytes=` and `wbytes=`.
fn disks(text: &[u8]) -> Io {
    let mut io = Io::default();
    for word in text.split(u8::is_ascii_whitespace) {
        if let Some(bytes) = word.strip_prefix(b"rbytes=") {
            io.read += number(bytes);
        } else if let Some(bytes) = word.strip_prefix(b"wbytes=") {
            io.written += number(bytes);
        }
    }
    io
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_kernel() {
        let cpu = b"usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n";
        assert_eq!(field(cpu, b"usage_usec"), 1234);
        assert_eq!(field(cpu, b"user_usec"), 1000);
        assert_eq!(field(cpu, b"user"), 0);
        let io = b"8:0 rbytes=10 wbytes=5 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n";
        assert_eq!(
            disks(io),
            Io {
                read: 11,
                written: 7
            }
        );
        assert_eq!(number(b"4096\n"), 4096);
        assert_eq!(number(b"max\n"), 0);
    }
}
