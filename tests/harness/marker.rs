//! Finds every process of a test by what it inherited.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A variable that all processes of one test have and no others.
#[derive(Debug)]
pub struct Marker {
    value: String,
}

impl Marker {
    pub const NAME: &'static str = "PK_TEST_MARKER";

    /// The name of a temporary folder is used once.
    pub fn new(folder: &Path) -> Self {
        Self {
            value: folder.display().to_string(),
        }
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// The processes that have it, by number and command line; zombies have none.
    pub fn members(&self) -> Vec<(i32, String)> {
        let wanted = format!("{}={}", Self::NAME, self.value);
        let mut members = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
            let has = |environment: &[u8]| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == wanted.as_bytes())
            };
            if has(&read("environ")) {
                let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                members.push((pid, line));
            }
        }
        members
    }

    /// No process has it. One that is on its way out may be seen for a moment.
    #[track_caller]
    pub fn assert_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(3);
        loop {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {members:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn kill_all(&self) {
        for (pid, _) in self.members() {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}
