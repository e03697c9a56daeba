//! A terminal of its own, which shows what is in it.

use std::process::{Command, Output};
use std::time::Instant;

use crate::harness::{PATIENCE, Pk};

/// A tmux server of the test's own, with one session. Ended when dropped.
pub struct Screen {
    socket: String,
    pk: Pk,
}

impl Screen {
    /// Runs `pk ARGS` in a shell in a terminal of that size, in the folder of `pk`. `None`,
    /// and said so, where there is no tmux.
    pub fn open(pk: Pk, args: &str, columns: u16, rows: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
            {
                eprintln!("skipped: there is no tmux to keep a terminal");
            }
            return None;
        }
        let socket = pk.path("tmux").display().to_string();
        let screen = Self { socket, pk };
        let command = screen.pk.command();
        // The harness's environment, for tmux and all that it starts.
        let mut tmux = Command::new("tmux");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tmux.env(name, value),
                None => tmux.env_remove(name),
            };
        }
        tmux.current_dir(screen.pk.path(""))
            .env("HISTFILE", "/dev/null")
            .env("ENV", "")
            .args(["-S", &screen.socket, "-f", "/dev/null", "new-session", "-d"])
            .args(["-x", &columns.to_string(), "-y", &rows.to_string()])
            .arg("sh");
        assert!(tmux.status().unwrap().success());
        // Not as it is typed, so that the prompt is told from its making.
        screen.shell("PS1='re''ady> '; clear");
        screen.wait_for("ready>");
        screen.tmux(&["set", "-g", "set-clipboard", "on"]);
        screen.shell(&format!(
            "{} {args}; echo \"left wi\"\"th $?\"",
            env!("CARGO_BIN_EXE_pk")
        ));
        Some(screen)
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-S", &self.socket]).args(args);
        command.output().unwrap()
    }

    /// Types a line into the shell.
    pub fn shell(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.keys("Enter");
    }

    /// Types keys, as tmux names them.
    pub fn keys(&self, keys: &str) {
        for key in keys.split(' ') {
            self.tmux(&["send-keys", key]);
        }
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// Another terminal, with another pk.
    pub fn split(&self, args: &str) {
        let command = format!("{} {args}; sleep 600", env!("CARGO_BIN_EXE_pk"));
        let folder = self.pk.path("").display().to_string();
        self.tmux(&["new-window", "-c", &folder, &command]);
    }

    pub fn window(&self, number: u16) {
        self.tmux(&["select-window", "-t", &format!(":{number}")]);
    }

    /// What is on the clipboard that OSC 52 reaches.
    pub fn clipboard(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["show-buffer"]).stdout).into_owned()
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What draws the screen as it is, with its colours.
    pub fn drawing(&self) -> Vec<u8> {
        let output = self.tmux(&["capture-pane", "-p", "-e", "-N"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim_end_matches('\n')
            .replace('\n', "\r\n")
            .into_bytes()
    }

    /// What tmux knows of the terminal, in its words for formats.
    pub fn state(&self, format: &str) -> String {
        let output = self.tmux(&["display-message", "-p", format]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs another pk, away from the terminal, to its end.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.pk.command().args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen is as asked.
    #[track_caller]
    pub fn wait(&self, what: &str, mut is_so: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if is_so(&text) {
                return text;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what} in:\n{text}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn wait_for(&self, wanted: &str) -> String {
        self.wait(wanted, |text| text.contains(wanted))
    }

    #[track_caller]
    pub fn wait_until_gone(&self, unwanted: &str) -> String {
        self.wait(&format!("the end of {unwanted}"), |text| {
            !text.contains(unwanted)
        })
    }

    /// What `stty -g` says of the terminal, from the shell in it.
    #[track_caller]
    pub fn settings(&self) -> String {
        self.shell("clear; echo \"is[$(stty -g)]\"");
        let said = |text: &str| {
            // The line that was typed is there as well; what it says may be wrapped.
            let text = text.replace('\n', "");
            let found = text.match_indices("is[").filter_map(|(at, _)| {
                let (said, _) = text[at + 3..].split_once(']')?;
                (!said.starts_with('$')).then(|| said.to_owned())
            });
            found.last()
        };
        let text = self.wait("settings", |text| said(text).is_some());
        said(&text).unwrap()
    }

    /// Closes the terminal, and leaves what ran in it to its SIGHUP.
    pub fn close(&self) {
        self.tmux(&["kill-server"]);
    }

    pub fn pk(&self) -> &Pk {
        &self.pk
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
        self.pk.kill_members();
    }
}
