//! A pk that runs, and what came of it.

use std::fmt;
use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Marker, filtered, poll};

/// What was read so far, while a thread reads on.
#[derive(Debug, Default)]
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                shared.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Self {
            bytes,
            thread: Some(thread),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn finish(&mut self) -> Vec<u8> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.bytes.lock().unwrap().clone()
    }
}

/// A pk that was started. Dropping it kills all that is left of it.
#[derive(Debug)]
pub struct Running {
    folder: tempfile::TempDir,
    marker: Marker,
    child: Child,
    stdout: Reader,
    stderr: Reader,
}

impl Running {
    pub(super) fn new(folder: tempfile::TempDir, marker: Marker, mut command: Command) -> Self {
        // In a group of its own, as a shell would start it.
        let mut child = command.process_group(0).spawn().unwrap();
        let stdout = Reader::new(child.stdout.take().unwrap());
        let stderr = Reader::new(child.stderr.take().unwrap());
        Self {
            folder,
            marker,
            child,
            stdout,
            stderr,
        }
    }

    /// What it has printed so far.
    pub fn so_far(&self) -> String {
        self.stdout.text()
    }

    /// Waits until stdout holds the text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_for_times(text, 1);
    }

    /// Waits until stderr holds the text.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        poll(text, || self.stderr.text().contains(text).then_some(()));
    }

    /// Waits until stdout holds the text so many times.
    #[track_caller]
    pub fn wait_for_times(&self, text: &str, times: usize) {
        let deadline = std::time::Instant::now() + super::PATIENCE;
        while self.so_far().matches(text).count() < times {
            assert!(
                std::time::Instant::now() < deadline,
                "waited in vain for {text:?} in:\n{}\n{}",
                self.so_far(),
                self.stderr.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another pk in the same folder, which sees this one.
    pub fn other<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = super::plain(&[], self.folder());
        command.args(args);
        command
    }

    /// Runs another pk in the same folder to its end.
    #[track_caller]
    pub fn pk<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        self.ended(self.other(args))
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn ended(&self, mut command: Command) -> Ended {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = Reader::new(child.stdout.take().unwrap());
        let mut stderr = Reader::new(child.stderr.take().unwrap());
        let status = poll("the end of another pk", || child.try_wait().unwrap());
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: stdout.finish(),
            stderr: stderr.finish(),
            folder: self.folder().to_owned(),
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).unwrap()
    }

    /// The guard below this pk, and the supervisor below that.
    #[track_caller]
    pub fn guard_and_supervisor(&self) -> (Pid, Pid) {
        poll("guard and supervisor", || {
            let guard = *children(self.pid()).first()?;
            Some((guard, *children(guard).first()?))
        })
    }

    /// Sends pk itself a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The processes of the test.
    pub fn members(&self) -> Vec<(i32, String)> {
        self.marker.members()
    }

    /// Waits for the end. Nothing may be left running.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let status = poll("the end of pk", || self.child.try_wait().unwrap());
        self.marker.assert_gone();
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            folder: self.folder.path().to_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.marker.kill_all();
    }
}

/// The children of a process.
pub fn children(pid: Pid) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = list.split_ascii_whitespace();
        found.extend(pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    found
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    folder: std::path::PathBuf,
}

impl Ended {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub fn filtered_stdout(&self) -> String {
        filtered(&self.stdout(), self.folder())
    }

    pub fn filtered_stderr(&self) -> String {
        filtered(&self.stderr(), self.folder())
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        self
    }

    /// stdout holds each of these, after [`filtered`].
    #[track_caller]
    pub fn assert_shows(&self, texts: &[&str]) -> &Self {
        let stdout = self.filtered_stdout();
        for text in texts {
            assert!(stdout.contains(text), "{text:?} is not in\n{self}");
        }
        self
    }

    /// The same, with what was written to stderr in the place of stdout: `run` leaves stdout
    /// to its task.
    #[must_use]
    pub fn of_stderr(mut self) -> Self {
        std::mem::swap(&mut self.stdout, &mut self.stderr);
        self
    }

    /// stdout holds none of these, after [`filtered`].
    #[track_caller]
    pub fn assert_hides(&self, texts: &[&str]) -> &Self {
        let stdout = self.filtered_stdout();
        for text in texts {
            assert!(!stdout.contains(text), "{text:?} is in\n{self}");
        }
        self
    }

    /// Each of these stands in stdout, after the one before it.
    #[track_caller]
    pub fn assert_order(&self, texts: &[&str]) -> &Self {
        let stdout = self.filtered_stdout();
        let mut rest = stdout.as_str();
        for text in texts {
            let Some(at) = rest.find(text) else {
                panic!("{text:?} does not come after what it should in\n{self}");
            };
            rest = &rest[at + text.len()..];
        }
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "code {:?}, signal {:?}", self.code, self.signal)?;
        writeln!(f, "--- stdout\n{}", self.stdout())?;
        writeln!(f, "--- stderr\n{}", self.stderr())
    }
}
