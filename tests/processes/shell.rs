//! A shell on a terminal, which stays the leader of its session, as a person has it.
//!
//! Where pk itself led the session, the kernel's hang-up would end more than it does.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::Pid;

use super::terminal::state;
use super::{Place, comm};
use crate::harness::{Marker, children, poll};

/// `bash` with job control on a terminal that `script` makes.
pub struct Shell {
    script: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
    bash: Pid,
}

impl Shell {
    /// `None`: there is no `script` or no `bash` here, which is said.
    pub fn open(place: &Place) -> Option<Self> {
        Self::open_in(place, None)
    }

    /// The same, in a cgroup.
    pub fn open_in(place: &Place, cgroup: Option<&Path>) -> Option<Self> {
        if !["/usr/bin/script", "/bin/bash"]
            .iter()
            .all(|path| Path::new(path).exists())
        {
            crate::contain::say("NOT RUN: it needs `script` and `bash` for a terminal");
            return None;
        }
        let enter = cgroup.map_or_else(String::new, |cgroup| {
            format!("echo $$ > {} && ", cgroup.join("cgroup.procs").display())
        });
        let user = place.user.map_or_else(String::new, |user| {
            format!("setpriv {} ", super::as_user(user).join(" "))
        });
        let bash = format!("{enter}exec {user}bash --norc --noprofile -i");
        let mut script = Command::new("script")
            .args(["-qefc", &bash, "/dev/null"])
            .current_dir(place.path())
            .env("XDG_RUNTIME_DIR", place.path())
            .env("NO_COLOR", "1")
            .env("PS1", "> ")
            .env("TERM", "dumb")
            .env("HISTFILE", "/dev/null")
            .env("SHELL", "/bin/sh")
            .env(Marker::NAME, place.marker.value())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = script.stdin.take().unwrap();
        let mut output = script.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
                shared.lock().unwrap().push_str(&text);
            }
        });
        let own = Pid::from_child(&script);
        let bash = poll("the shell", || {
            children(own).into_iter().find(|pid| comm(*pid) == "bash")
        });
        Some(Self {
            script,
            keys,
            screen,
            bash,
        })
    }

    pub fn bash(&self) -> Pid {
        self.bash
    }

    pub fn terminal(&self) -> Pid {
        Pid::from_child(&self.script)
    }

    pub fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until the screen has shown the text so many times.
    #[track_caller]
    pub fn wait_for(&self, text: &str, times: usize) {
        let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
        while self.screen().matches(text).count() < times {
            let screen = self.screen();
            assert!(
                std::time::Instant::now() < deadline,
                "waited in vain for {text:?} in:\n{screen}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// The pk in its foreground.
    #[track_caller]
    pub fn face(&self, place: &Place) -> Pid {
        poll("pk in the foreground", || {
            let mut jobs = children(self.bash).into_iter();
            jobs.find(|pid| comm(*pid) == place.name)
        })
    }

    /// Types Ctrl-Z, and waits until the pk in the foreground has stopped and the shell says so.
    pub fn stop_face(&mut self, place: &Place) -> Pid {
        let face = self.face(place);
        self.type_in("\x1a");
        poll("the face to be stopped", || {
            (state(face) == Some('T')).then_some(())
        });
        self.wait_for("Stopped", 1);
        face
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
