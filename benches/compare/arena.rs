//! One tool at work: in a terminal, in a cgroup by which everything that it leaves is found.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

use crate::peers::{Kept, Launch, Peer, Service, Setup, Stop, Task};

/// `CLOCK_MONOTONIC`, in nanoseconds, as the services note it.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// What all runs share.
pub struct Arena {
    pub part: PathBuf,
    pub tools: PathBuf,
    /// A cgroup v2 that may be written.
    cgroup: PathBuf,
}

/// How a run is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The way of the tool's manual.
    Polite,
    Term,
    Kill,
    /// The terminal's window is closed.
    Closed,
}

impl Arena {
    /// Builds the comparison's own program into `folder`.
    pub fn new(folder: &Path, tools: &Path) -> Result<Self, String> {
        let part = folder.join("part");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/part.c");
        let built = Command::new("cc")
            .args(["-O2", "-static", "-Wall", "-o"])
            .args([&part, &source])
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return Err("it takes a C compiler, `cc`, with a static library".to_owned());
        }
        let cgroup = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .map(PathBuf::from)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .and_then(|root| {
                let own = fs::read_to_string("/proc/self/cgroup").ok()?;
                let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
                Some(
                    root.join(own)
                        .join(format!("compare-{}", std::process::id())),
                )
            })
            .filter(|own| fs::create_dir(own).is_ok())
            .ok_or("it takes a cgroup v2 that may be written: be root, or in a delegated one")?;
        Ok(Self {
            part,
            tools: tools.to_owned(),
            cgroup,
        })
    }

    /// What a service writes to, to move itself out of its tool's cgroup.
    pub fn flight(&self) -> PathBuf {
        self.cgroup.join("cgroup.procs")
    }

    /// The service of that shape; `argument` is for some.
    pub fn service(&self, number: usize, shape: &str, argument: &str) -> Service {
        let part = self.part.display().to_string();
        let mut argv = vec![part, "work".to_owned(), shape.to_owned(), RECORD.to_owned()];
        if !argument.is_empty() {
            argv.push(argument.to_owned());
        }
        Service {
            name: format!("s{number}"),
            argv,
            port: None,
        }
    }

    /// Launches a tool with these services; `Err` says why it cannot do that.
    pub fn run(&self, peer: &Peer, mut services: Vec<Service>, task: Task) -> Result<Run, String> {
        let Some(program) = peer
            .find(&self.tools)
            .or_else(|| (peer.name == crate::peers::FLOOR).then(|| self.part.clone()))
        else {
            return Err("not to be had here".to_owned());
        };
        // Short: sockets in it have names of 108 bytes at most.
        let folder = tempfile::Builder::new()
            .prefix("cmp-")
            .tempdir_in("/tmp")
            .unwrap();
        let path = folder.path();
        for name in ["watched", "log", "state", "run"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        let record = path.join("record");
        File::create(&record).unwrap();
        for service in &mut services {
            service.argv[3] = record.display().to_string();
        }
        let setup = Setup {
            folder: path,
            services: &services,
            task,
            part: &self.part,
        };
        let launch = (peer.configure)(&setup, &program.display().to_string())?;
        let cgroup = self.cgroup.join(path.file_name().unwrap());
        fs::create_dir(&cgroup).unwrap();
        let mut run = Run {
            services: services.len(),
            record,
            began: 0,
            tool: Pid::INIT,
            stage: None,
            client: None,
            terminal: None,
            kept: launch.kept,
            part: self.part.display().to_string(),
            cgroup,
            folder,
        };
        run.launch(&launch);
        Ok(run)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.cgroup);
    }
}

/// Stands for the file of records until a run has one.
const RECORD: &str = "RECORD";

pub struct Run {
    folder: tempfile::TempDir,
    cgroup: PathBuf,
    part: String,
    record: PathBuf,
    services: usize,
    /// Just before the tool's program was executed.
    pub began: u64,
    pub tool: Pid,
    stage: Option<Child>,
    client: Option<Child>,
    terminal: Option<Terminal>,
    kept: Kept,
}

/// The side of the terminal on which a person would sit.
struct Terminal {
    side: Arc<OwnedFd>,
    closed: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Run {
    fn launch(&mut self, launch: &Launch) {
        let path = self.folder.path().to_owned();
        let (terminal, other) = Terminal::open();
        let out = || -> Stdio {
            if launch.draws {
                other.try_clone().unwrap().into()
            } else {
                File::options()
                    .create(true)
                    .append(true)
                    .open(path.join("stdout"))
                    .unwrap()
                    .into()
            }
        };
        let procs = self.cgroup.join("cgroup.procs");
        let mut command = Command::new(&self.part);
        command.arg("stage").arg(&path).arg(&procs);
        command.args(&launch.argv);
        self.environment(&mut command);
        command.stdout(out()).stderr(out()).stdin(other);
        self.stage = Some(command.spawn().unwrap());
        // It holds the terminal's other side open as long as it lives.
        drop(command);
        self.terminal = Some(terminal);
        let began = wait(Duration::from_secs(10), || {
            let text = fs::read_to_string(path.join("began")).ok()?;
            let (time, pid) = text.trim_end().split_once(' ')?;
            Some((time.parse().ok()?, Pid::from_raw(pid.parse().ok()?)?))
        });
        (self.began, self.tool) = began.expect("the tool was executed");
        if let Some(argv) = &launch.client {
            // Its daemon says nowhere that it listens.
            sleep(Duration::from_millis(700));
            let mut command = Command::new("sh");
            command
                .args(["-c", "echo 0 > \"$0\" && exec \"$@\""])
                .arg(&procs)
                .args(argv)
                .stdin(Stdio::null())
                .stdout(File::create(path.join("client")).unwrap())
                .stderr(Stdio::null());
            self.environment(&mut command);
            self.began = now();
            self.client = Some(command.spawn().unwrap());
        }
    }

    fn environment(&self, command: &mut Command) {
        let folder = self.folder.path();
        command
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .env("HOME", folder)
            .env("FLOOR_CGROUP", &self.cgroup)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .env("PM2_HOME", folder.join("pm2"))
            .env("PITCHFORK_STATE_DIR", folder.join("pitchfork"))
            .env("PITCHFORK_LOGS_DIR", folder.join("pitchfork/logs"));
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// When each service noted `what`, in the order in which they did.
    pub fn noted(&self, what: &str) -> Vec<u64> {
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        let mut times: Vec<u64> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let time = words.next()?.parse().ok()?;
                (words.nth(1)? == what).then_some(time)
            })
            .collect();
        times.sort_unstable();
        times
    }

    /// When the last of so many noted `what`.
    pub fn until_noted(&self, count: usize, what: &str, limit: Duration) -> Option<u64> {
        wait(limit, || {
            // Cheaper than to read it: no line is shorter.
            let size = fs::metadata(&self.record).map_or(0, |data| data.len());
            if size < count as u64 * 15 {
                return None;
            }
            self.noted(what).get(count.checked_sub(1)?).copied()
        })
    }

    /// When all were running.
    pub fn until_running(&self, limit: Duration) -> Result<u64, String> {
        self.until_noted(self.services, "start", limit)
            .ok_or_else(|| {
                let text = fs::read_to_string(self.folder.path().join("stdout"));
                let last = text.unwrap_or_default();
                let last = last.lines().last().unwrap_or_default().to_owned();
                eprintln!("  its last line: {last}");
                format!(
                    "{} of {} after {} s",
                    self.noted("start").len(),
                    self.services,
                    limit.as_secs()
                )
            })
    }

    /// Services with the shape of each, and the tool's own processes.
    pub fn processes(&self) -> (Vec<(Pid, String)>, Vec<Pid>) {
        let mut here = Vec::new();
        members(&self.cgroup, &mut here);
        let record = self.record.display().to_string();
        let (mut services, mut own) = (Vec::new(), Vec::new());
        let stage = self.stage.as_ref().map(Pid::from_child);
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let Some(pid) = Pid::from_raw(pid) else {
                continue;
            };
            // A zombie has none.
            let Ok(line) = fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            let line = String::from_utf8_lossy(&line);
            let words: Vec<&str> = line.split('\0').collect();
            if words[0].is_empty() || Some(pid) == stage {
                continue;
            }
            match words[..] {
                [part, "work", shape, of, ..] if part == self.part && of == record => {
                    services.push((pid, shape.to_owned()));
                }
                _ if here.contains(&pid) => own.push(pid),
                _ => {}
            }
        }
        (services, own)
    }

    /// Processor time of the whole run so far, in seconds.
    pub fn usage(&self) -> f64 {
        let text = fs::read_to_string(self.cgroup.join("cpu.stat")).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "));
        line.map_or(f64::NAN, |value| value.parse::<f64>().unwrap() / 1e6)
    }

    /// In MiB, over the tool's own processes: the sum of what is resident, what is shared
    /// counted as often as it is.
    pub fn resident(&self) -> f64 {
        let own = self.processes().1;
        own.iter().map(|pid| status(*pid, "VmRSS:")).sum::<f64>() / 1024.0
    }

    /// The same, each at its highest.
    pub fn peak(&self) -> f64 {
        let own = self.processes().1;
        own.iter().map(|pid| status(*pid, "VmHWM:")).sum::<f64>() / 1024.0
    }

    /// The files in which lines are kept, oldest first.
    pub fn kept(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        match self.kept {
            Kept::Stdout => files.push(self.folder.path().join("stdout")),
            Kept::Below(folder, ending) => {
                below(&self.folder.path().join(folder), ending, &mut files);
            }
        }
        files.sort_by_key(|file| {
            (
                fs::metadata(file).and_then(|data| data.modified()).ok(),
                file.clone(),
            )
        });
        files
    }

    pub fn end(&mut self, peer: &Peer, end: End) {
        let signal = |signal| {
            let _ = kill_process(self.tool, signal);
        };
        match (end, &peer.stop) {
            (End::Polite, Stop::CtrlC) => self.type_in("\x03"),
            (End::Polite, Stop::Keys(keys)) => self.type_in(keys),
            (End::Polite, Stop::Signal(polite)) => signal(*polite),
            (End::Term, _) => signal(Signal::TERM),
            (End::Kill, _) => signal(Signal::KILL),
            (End::Closed, _) => {
                if let Some(terminal) = self.terminal.take() {
                    terminal.close();
                }
            }
        }
    }

    fn type_in(&self, keys: &str) {
        if let Some(terminal) = &self.terminal {
            let _ = rustix::io::write(&terminal.side, keys.as_bytes());
        }
    }

    /// Ends the run, and says how long until all its processes had ended; `None`: not within
    /// the limit.
    pub fn ended_after(&mut self, peer: &Peer, end: End, limit: Duration) -> Option<Duration> {
        let (services, own) = self.processes();
        let services = services.into_iter().map(|(pid, _)| pid);
        let mut living: Vec<OwnedFd> = services
            .chain(own)
            .filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .collect();
        let began = Instant::now();
        self.end(peer, end);
        while !living.is_empty() {
            let left = limit.checked_sub(began.elapsed())?;
            let left = Timespec {
                tv_sec: left.as_secs().try_into().unwrap(),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut polled: Vec<PollFd<'_>> = living
                .iter()
                .map(|pidfd| PollFd::new(pidfd, PollFlags::IN))
                .collect();
            let _ = rustix::event::poll(&mut polled, Some(&left));
            let ended: Vec<bool> = polled
                .iter()
                .map(|polled| !polled.revents().is_empty())
                .collect();
            let mut ended = ended.into_iter();
            living.retain(|_| !ended.next().unwrap());
        }
        Some(began.elapsed())
    }
}

impl Drop for Run {
    /// Whatever the tool left is ended, and its folder removed.
    fn drop(&mut self) {
        let gone = wait(Duration::from_secs(10), || {
            let (services, own) = self.processes();
            for pid in services
                .iter()
                .map(|(pid, _)| *pid)
                .chain(own.iter().copied())
            {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
            (services.is_empty() && own.is_empty()).then_some(())
        });
        for mut child in [self.stage.take(), self.client.take()]
            .into_iter()
            .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(terminal) = self.terminal.take() {
            terminal.close();
        }
        let removed = wait(Duration::from_secs(5), || {
            remove_cgroup(&self.cgroup);
            (!self.cgroup.exists()).then_some(())
        });
        if gone.is_none() || removed.is_none() {
            eprintln!("  could not clear {}", self.cgroup.display());
        }
    }
}

impl Terminal {
    fn open() -> (Self, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let side = openpt(flags).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let name = ptsname(&side, Vec::new()).unwrap();
        let other = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = rustix::termios::Winsize {
            ws_row: 50,
            ws_col: 200,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&other, size).unwrap();
        let side = Arc::new(side);
        let closed = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (side, closed) = (Arc::clone(&side), Arc::clone(&closed));
            move || {
                let mut bytes = [0; 65536];
                while !closed.load(Ordering::Relaxed) {
                    let mut one = [PollFd::from_borrowed_fd(side.as_fd(), PollFlags::IN)];
                    let limit = Timespec {
                        tv_sec: 0,
                        tv_nsec: 20_000_000,
                    };
                    if rustix::event::poll(&mut one, Some(&limit)) == Ok(0) {
                        continue;
                    }
                    if rustix::io::read(&side, &mut bytes).is_err() {
                        sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        let terminal = Self {
            side,
            closed,
            reader,
        };
        (terminal, other.into())
    }

    fn close(self) {
        self.closed.store(true, Ordering::Relaxed);
        let _ = self.reader.join();
    }
}

/// Asks each millisecond until there is an answer.
pub fn wait<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if began.elapsed() > limit {
            return None;
        }
        sleep(Duration::from_millis(1));
    }
}

fn members(cgroup: &Path, into: &mut Vec<Pid>) {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    into.extend(
        text.lines()
            .filter_map(|line| Pid::from_raw(line.parse().ok()?)),
    );
    for folder in folders(cgroup) {
        members(&folder, into);
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_cgroup(cgroup: &Path) {
    for folder in folders(cgroup) {
        remove_cgroup(&folder);
    }
    let _ = fs::remove_dir(cgroup);
}

fn below(folder: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&path, ending, into),
            Ok(_) if path.to_string_lossy().ends_with(ending) => into.push(path),
            _ => {}
        }
    }
}

/// In KiB.
fn status(pid: Pid, field: &str) -> f64 {
    let mut text = String::new();
    let _ = File::open(format!("/proc/{}/status", pid.as_raw_pid()))
        .and_then(|mut file| file.read_to_string(&mut text));
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let value = value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
    value.unwrap_or(0.0)
}

/// Writes and closes, as an editor that saves.
pub fn save(file: &Path, text: &str) {
    let mut file = File::create(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
