//! Runs the real binary in a folder of its own.
//!
//! [`Pk`] is a command line with its files: [`Pk::run`] waits for its end and
//! compares, [`Pk::start`] leaves it running. Either way nothing of it survives the test:
//! every process that pk starts inherits a marker in its environment, by which strays are
//! found.

mod filter;
mod marker;
mod running;
pub mod visits;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use filter::filtered;
pub use marker::Marker;
use pk::domain::signal::Signal;
pub use running::{Ended, Running, children};
use tokio::signal::unix::{SignalKind, signal};

/// How long anything may take on a busy machine before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A TCP port that nobody uses at the moment.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A command line of pk, with the files it finds.
#[must_use]
pub struct Pk {
    folder: tempfile::TempDir,
    cwd: Option<PathBuf>,
    marker: Marker,
    through: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, Option<String>)>,
    stdout: Option<String>,
    stderr: Option<String>,
    code: i32,
}

impl Pk {
    pub fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        heed_ctrl_c();
        let folder = tempfile::Builder::new()
            .prefix("pk-test-")
            .tempdir()
            .unwrap();
        let marker = Marker::new(folder.path());
        Self {
            folder,
            cwd: None,
            marker,
            through: Vec::new(),
            args: args.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            stdout: None,
            stderr: None,
            code: 0,
        }
    }

    /// With this as `pk.yaml`.
    pub fn stack<'a>(yaml: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(args).file("pk.yaml", yaml)
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Runs in this folder instead of the test's own.
    pub fn cwd(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The processes of this test, when its command was started by hand.
    pub fn members(&self) -> Vec<(i32, String)> {
        self.marker.members()
    }

    /// Kills them, when its command was started by hand.
    pub fn kill_members(&self) {
        self.marker.kill_all();
    }

    /// Exactly what is to be on stdout, after [`filtered`].
    pub fn stdout(mut self, text: &str) -> Self {
        self.stdout = Some(text.to_owned());
        self
    }

    pub fn stderr(mut self, text: &str) -> Self {
        self.stderr = Some(text.to_owned());
        self
    }

    /// The exit code, if not 0.
    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// Runs it to its end and compares; nothing of it may be left.
    #[track_caller]
    pub fn run(self) -> Ended {
        let (code, stdout, stderr) = (self.code, self.stdout.clone(), self.stderr.clone());
        let ended = self.start().wait();
        if let Some(expected) = stdout {
            assert_eq!(ended.filtered_stdout(), expected, "stdout\n{ended}");
        }
        if let Some(expected) = stderr {
            assert_eq!(ended.filtered_stderr(), expected, "stderr\n{ended}");
        }
        assert_eq!(ended.code, Some(code), "exit code\n{ended}");
        ended
    }

    /// Starts it and returns at once.
    pub fn start(self) -> Running {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(self.folder, self.marker, command)
    }

    /// Lets another program, which becomes pk by exec, start it.
    pub fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(ToString::to_string).collect();
        self
    }

    /// The command itself, for what the harness does not know.
    pub fn command(&self) -> Command {
        let mut command = plain(&self.through, self.folder.path());
        command.args(&self.args);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.env(Marker::NAME, self.marker.value());
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// pk in a test's folder, with that test's sessions, started by another program if one is
/// named.
fn plain(through: &[String], folder: &Path) -> Command {
    let pk = env!("CARGO_BIN_EXE_pk");
    let mut words = through.iter().map(String::as_str).chain([pk]);
    let mut command = Command::new(words.next().unwrap_or(pk));
    command
        .args(words)
        .current_dir(folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env("XDG_STATE_HOME", folder.join(".state"))
        .stdin(Stdio::null());
    // What the person who runs the tests likes is not what they test.
    for name in [
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "CI",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
/// What is handled here is at its default there (`execve(2)`).
pub fn heed_ctrl_c() {
    static HEEDED: OnceLock<()> = OnceLock::new();
    HEEDED.get_or_init(|| {
        if !pk::contain::is_ignored(Signal::INT).unwrap_or(false) {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let _context = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::quit()] {
            // The handler stays when the stream is gone.
            drop(signal(kind).unwrap());
        }
    });
}

/// The top folder of the package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
