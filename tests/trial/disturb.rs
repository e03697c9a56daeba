//! What goes on around the load: restarts, saves, reloads, and clients that come and go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::visits::Place;
use crate::harness::{Ended, Marker, PATIENCE, Running, poll};

use super::tally::{Logged, texts};

/// What is done to the stack, one after the other.
pub const ACTS: &[fn(&Stack)] = &[
    Stack::restart_app,
    Stack::save,
    Stack::reload,
    Stack::restart_nginx,
    Stack::reload_a_bad_file,
];

/// A stack of the example that runs in the background.
pub struct Stack {
    pub place: Place,
    pk: Running,
    did: RefCell<BTreeMap<&'static str, usize>>,
    count: Cell<usize>,
}

impl Stack {
    pub fn up(place: Place) -> Self {
        let pk = place.pk(["up", "-d", "--wait"]).start();
        pk.wait_for("nginx: ready");
        Self {
            place,
            pk,
            did: RefCell::default(),
            count: Cell::new(0),
        }
    }

    /// How often each thing was done.
    pub fn did(&self) -> String {
        format!("meanwhile: {:?}", self.did.borrow())
    }

    /// What pk itself has taken for it.
    pub fn price(&self) -> String {
        let pid = &self.ps(&[])["pid"];
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        format!("the supervisor at its largest: {}", peak.unwrap_or("?"))
    }

    /// A number that was not used before.
    fn note(&self, what: &'static str) -> usize {
        *self.did.borrow_mut().entry(what).or_default() += 1;
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    fn other<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        self.place.other(&self.pk, args)
    }

    #[track_caller]
    fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>, code: i32) -> Ended {
        let ended = self.pk.ended(self.other(args));
        if ended.code != Some(code) {
            let done = self.did();
            let events = self.pk.ended(self.other(["events"]));
            panic!("not {code}: {ended}{done}\n{events}");
        }
        ended
    }

    fn ps(&self, units: &[&str]) -> serde_json::Value {
        let args = [&["ps", "--output", "json"], units].concat();
        serde_json::from_str(&self.run(args, 0).stdout()).unwrap()
    }

    /// The application's run: each start has a number of its own.
    fn attempt(&self) -> u64 {
        self.ps(&["app"])["units"][0]["attempt"].as_u64().unwrap()
    }

    pub fn wait_until_ready(&self) {
        self.run(["wait", "app", "nginx", "--for", "ready"], 0);
    }

    fn restart_app(&self) {
        self.note("restart app");
        self.run(["restart", "app", "--wait"], 0);
    }

    fn restart_nginx(&self) {
        self.note("restart nginx");
        self.run(["restart", "nginx", "--wait"], 0);
    }

    pub fn restart_servers(&self) {
        self.note("restart postgres and redis");
        self.run(["restart", "postgres", "redis", "--wait"], 0);
        self.wait_until_ready();
    }

    fn save(&self) {
        let number = self.note("save app.py");
        let before = self.attempt();
        let path = self.pk.folder().join("app.py");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}# saved: {number}\n")).unwrap();
        poll("the restart after a save", || {
            (self.attempt() > before).then_some(())
        });
    }

    fn reload(&self) {
        let number = self.note("reload");
        let before = self.attempt();
        let path = self.pk.folder().join("pk.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("GREETING: ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        let text = format!("{head}GREETING: after change {number}, listening\n{rest}");
        // A unit comes with one reload and goes with the next.
        let extra = "services:\n  extra: {command: exec sleep 1000}\n";
        let text = if text.contains(extra) {
            text.replace(extra, "services:\n")
        } else {
            text.replacen("services:\n\n", "services:\n", 1).replacen(
                "\nservices:\n",
                &format!("\n{extra}"),
                1,
            )
        };
        std::fs::write(path, text).unwrap();
        self.run(["reload"], 0);
        poll("the restart after a reload", || {
            (self.attempt() > before).then_some(())
        });
    }

    fn reload_a_bad_file(&self) {
        self.note("reload a bad file");
        let before = self.attempt();
        let path = self.pk.folder().join("pk.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("depends_on", "depend_on")).unwrap();
        self.run(["reload"], 2);
        std::fs::write(path, text).unwrap();
        assert_eq!(self.attempt(), before);
    }

    /// Follows the application's log from now to the end.
    pub fn steady_reader(&self) -> Child {
        let file = File::create(self.pk.folder().join("followed")).unwrap();
        let mut command = self.other(["logs", "app", "-f", "--output", "json"]);
        command.stdout(file).spawn().unwrap()
    }

    /// Clients that look on for a while, and read no more than the beginning.
    pub fn passers_by(&self) -> PassersBy {
        self.run(["stats", "--output", "json"], 0);
        let pk = self.other([]);
        let dashboard = format!(
            "stty rows 40 cols 120; exec {} attach",
            pk.get_program().display()
        );
        let mut terminal = Command::new("script");
        terminal
            .args(["-qefc", &dashboard, "/dev/null"])
            .current_dir(self.pk.folder())
            .env("XDG_RUNTIME_DIR", self.pk.folder())
            .env("TERM", "xterm-256color");
        let commands = [
            self.other(["logs", "-f"]),
            self.other(["logs", "app", "-f", "-n", "3", "--output", "json"]),
            self.other(["events", "-f"]),
            terminal,
        ];
        self.note("clients that come and go");
        PassersBy(commands.map(passer_by).into())
    }

    /// Kills the one that runs it all; nothing of the stack may outlive it.
    pub fn kill(&self) {
        let pid = i32::try_from(self.ps(&[])["pid"].as_i64().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        poll("the end of all", || {
            self.pk.members().is_empty().then_some(())
        });
    }

    pub fn up_again(&self) {
        let mut up = self.other(["up", "-d", "--wait"]);
        up.env(Marker::NAME, self.pk.folder());
        self.pk.ended(up).assert_code(0);
    }

    pub fn down(&self) {
        self.run(["down"], 0);
    }

    /// What the log holds, after the end.
    pub fn logged(&self, mut reader: Child) -> Logged {
        poll("the end of the reader", || reader.try_wait().unwrap());
        let followed = std::fs::read(self.pk.folder().join("followed")).unwrap();
        let kept = self.other(["logs", "app", "--output", "json"]).output();
        Logged {
            kept: texts(&kept.unwrap().stdout),
            followed: texts(&followed),
        }
    }

    /// Neither a process nor a socket.
    pub fn assert_nothing_left(self) {
        let sockets = [self.pk.folder(), self.place.data()].map(|folder| {
            let mut find = Command::new("find");
            let found = find.arg(folder).args(["-type", "s"]).output().unwrap();
            String::from_utf8(found.stdout).unwrap()
        });
        assert_eq!(sockets.concat(), "", "left behind");
        self.pk.wait();
    }
}

/// Starts it and reads a little; the pipe is held, and fills.
fn passer_by(mut command: Command) -> (Child, ChildStdout) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let length = stdout.read(&mut [0; 1024]).unwrap();
        let _ = send.send((length, stdout));
    });
    let (length, stdout) = seen.recv_timeout(PATIENCE).unwrap();
    assert!(length > 0, "{command:?} shows nothing");
    (child, stdout)
}

pub struct PassersBy(Vec<(Child, ChildStdout)>);

impl PassersBy {
    /// Without a word, in the midst of it: none has been sent away or has given up.
    pub fn leave(mut self) {
        for (child, _) in &mut self.0 {
            assert_eq!(child.try_wait().unwrap(), None);
        }
    }
}

impl Drop for PassersBy {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
