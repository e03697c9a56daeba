//! Face, guard and supervisor: what becomes of a stack when one of them ends.

mod background;
mod ends;
mod few_processes;
mod job_control;
mod left_overs;
mod menagerie;
mod reaping;
pub mod reuse;
mod shell;
mod stray;
mod terminal;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Marker, heed_ctrl_c};

/// A folder with a pk under a name that no other process of this machine has, so that all
/// that bear it can be killed without hitting another pk.
pub struct Place {
    folder: tempfile::TempDir,
    name: String,
    marker: Marker,
    user: Option<u32>,
}

impl Place {
    pub fn new(file: &str) -> Self {
        // Beside the program, which is large: a second name for it costs nothing there.
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")), file)
    }

    /// Of another user, whose commands run as that user. Only root can.
    pub fn of(user: u32) -> Self {
        // The folders above the program need not be open to others.
        let mut place = Self::below(&std::env::temp_dir(), "");
        place.user = Some(user);
        place.hand_over(".");
        place.hand_over(&place.name);
        place
    }

    /// A file here goes over to its user.
    pub fn hand_over(&self, path: impl AsRef<Path>) {
        if let Some(user) = self.user {
            std::os::unix::fs::chown(self.path().join(path), Some(user), Some(user)).unwrap();
        }
    }

    fn below(folder: &Path, file: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        heed_ctrl_c();
        let folder = tempfile::Builder::new()
            .prefix("pk-test-")
            .tempdir_in(folder)
            .unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pkz{}x{number}", std::process::id());
        let pk = env!("CARGO_BIN_EXE_pk");
        let copy = folder.path().join(&name);
        if std::fs::hard_link(pk, &copy).is_err() {
            std::fs::copy(pk, &copy).unwrap();
        }
        std::fs::write(folder.path().join("pk.yaml"), file).unwrap();
        let marker = Marker::new(folder.path());
        Self {
            folder,
            name,
            marker,
            user: None,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn pk(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// A command of this pk, here.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = match self.user {
            None => std::process::Command::new(self.pk()),
            Some(user) => {
                let mut command = std::process::Command::new("setpriv");
                command.args(as_user(user)).arg(self.pk());
                command
            }
        };
        command
            .args(args)
            .current_dir(self.path())
            .env("XDG_RUNTIME_DIR", self.path())
            .env("NO_COLOR", "1")
            .env(Marker::NAME, self.marker.value())
            .stdin(std::process::Stdio::null());
        command
    }

    /// Every process of this place that lives: by its environment, or, where it has none, by
    /// a word among its arguments.
    pub fn members(&self) -> Vec<(i32, String)> {
        let mut members = self.marker.members();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = pid else {
                continue;
            };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let known = members.iter().any(|(known, _)| *known == pid);
            if !known && line.contains(&self.name) {
                members.push((pid, line));
            }
        }
        members
    }

    /// SIGKILL to all that bear the name of this pk, as `killall` does.
    pub fn kill_by_name(&self) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && comm(pid) == self.name
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (pid, _) in self.members() {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Those by which runs are held here.
fn mechanisms() -> impl Iterator<Item = &'static str> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let has = [
        ("cgroup", crate::contain::in_a_cgroup().is_some()),
        ("process-group", true),
        (
            "pid-namespace",
            crate::contain::in_a_pid_namespace().is_some(),
        ),
    ];
    has.into_iter()
        .filter_map(|(name, has)| has.then_some(name))
}

/// Arguments of `setpriv`.
fn as_user(user: u32) -> [String; 3] {
    [
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_owned(),
    ]
}

/// What `/proc/PID/comm` of a process says.
fn comm(pid: Pid) -> String {
    let path = format!("/proc/{}/comm", pid.as_raw_nonzero());
    let name = std::fs::read_to_string(path).unwrap_or_default();
    name.trim_end().to_owned()
}
