//! What the dashboard costs while nothing happens, and how soon it answers while a unit floods.
//!
//! `cargo bench --bench dashboard` runs the binary in a terminal of its own, 200x60:
//!
//! - two hundred units that sleep: the processor time of face, guard and supervisor together,
//!   samples of the units' use included, over half a minute, and the bytes that were drawn;
//! - a unit that writes as fast as it can: from a key to the first bytes of what it opens.
//!
//! It fails where a promised bound is not kept. `cargo bench --bench dashboard idle` or `keys`
//! runs one of them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Percent of one processor.
const IDLE: f64 = 0.3;
const ANSWER: Duration = Duration::from_millis(16);

/// Until ages are told by the minute, and every trail is full.
const CALM: Duration = Duration::from_secs(75);
const LOOK: Duration = Duration::from_secs(30);
const KEYS: usize = 200;
const ROWS: NonZero<u16> = NonZero::new(60).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(200).unwrap();

/// pk in a terminal, in a folder of its own.
struct Screen {
    folder: PathBuf,
    pk: Child,
    terminal: File,
    drawn: Receiver<Vec<u8>>,
    /// What stands on the screen: of a word, only the letters that change are drawn.
    seen: RefCell<vt100::Parser>,
}

impl Screen {
    fn open(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        std::fs::write(folder.join("pk.yaml"), yaml).expect("a file");
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal");
        grantpt(&terminal).expect("a terminal");
        unlockpt(&terminal).expect("a terminal");
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("a size");
        let name = ptsname(&terminal, Vec::new()).expect("a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a name"))
            .expect("the other end");
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let pk = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_pk"), "up"])
            .current_dir(&folder)
            .env("XDG_RUNTIME_DIR", &folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("TERM", "xterm-256color")
            .env_remove("CI")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid of util-linux");
        let terminal = File::from(terminal);
        let mut reader = terminal.try_clone().expect("a descriptor");
        let (sender, drawn) = channel();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            while let Ok(length @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            folder,
            pk,
            terminal,
            drawn,
            seen: RefCell::new(vt100::Parser::new(ROWS, COLUMNS, 0)),
        }
    }

    fn key(&mut self, key: &[u8]) {
        self.terminal.write_all(key).expect("a terminal");
    }

    /// Bytes that are drawn in that time.
    fn drawn_in(&self, time: Duration) -> usize {
        let end = Instant::now() + time;
        let mut bytes = 0;
        loop {
            match self
                .drawn
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => {
                    bytes += chunk.len();
                    self.seen.borrow_mut().process(&chunk);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return bytes,
            }
        }
    }

    /// Waits until the text stands on the screen.
    fn wait_for(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(chunk) = self.drawn.recv_timeout(left) else {
                panic!("waited in vain for {text}");
            };
            let mut seen = self.seen.borrow_mut();
            seen.process(&chunk);
            if seen.screen().contents().contains(text) {
                return;
            }
        }
    }

    /// What pk's own processes have had of a processor.
    fn used(&self) -> Duration {
        let pk = Path::new(env!("CARGO_BIN_EXE_pk"));
        let here = self.folder.as_os_str().as_encoded_bytes();
        let mut nanos = 0;
        for process in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let process = process.path();
            let is_pk = std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == pk);
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            if !is_pk || memchr::memmem::find(&environment, here).is_none() {
                continue;
            }
            let Ok(threads) = std::fs::read_dir(process.join("task")) else {
                continue;
            };
            for thread in threads.flatten() {
                let text = std::fs::read_to_string(thread.path().join("schedstat"));
                let first = text.unwrap_or_default();
                let first = first.split_whitespace().next().map(str::to_owned);
                nanos += first.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Duration::from_nanos(nanos)
    }

    fn leave(mut self) {
        self.key(b"\x1b");
        let _ = self.drawn_in(Duration::from_millis(200));
        self.key(b"q");
        let _ = self.drawn_in(Duration::from_millis(200));
        self.key(b"s");
        let _ = self.drawn_in(Duration::from_secs(10));
        let _ = self.pk.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn idle() -> bool {
    let units: String = (0..200)
        .map(|unit| format!("  unit-{unit:03}: {{command: [sleep, '100000']}}\n"))
        .collect();
    let screen = Screen::open(&format!("name: idle\nservices:\n{units}"));
    let _ = screen.drawn_in(CALM);
    let (before, start) = (screen.used(), Instant::now());
    let bytes = screen.drawn_in(LOOK);
    let percent = (screen.used() - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    screen.leave();
    say(&format!(
        "200 units that sleep: {percent:.2} % of a processor (at most {IDLE}), {bytes} bytes drawn"
    ));
    percent <= IDLE
}

fn keys() -> bool {
    let yaml =
        "name: flood\nservices:\n  flood: {command: [yes, a line that comes again and again]}\n";
    let mut screen = Screen::open(yaml);
    screen.wait_for("comes again");
    let _ = screen.drawn_in(Duration::from_secs(2));
    let mut times = Vec::new();
    for _ in 0..KEYS {
        let _ = screen.drawn_in(Duration::from_millis(37));
        let start = Instant::now();
        screen.key(b"?");
        screen.wait_for("closes");
        times.push(start.elapsed());
        screen.key(b"\x1b");
        let _ = screen.drawn_in(Duration::from_millis(60));
        let closed = !screen.seen.borrow().screen().contents().contains("closes");
        assert!(closed, "what a key opened is still open after 60 ms");
    }
    screen.leave();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    say(&format!(
        "a key while a unit floods its log: median {:.1} ms, p99 {:.1} ms (at most {})",
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        ANSWER.as_millis(),
    ));
    at(99) <= ANSWER
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |name: &str| {
        let named = asked.iter().any(|asked| asked == "idle" || asked == "keys");
        !named || asked.iter().any(|asked| asked == name)
    };
    let keys = !is_asked("keys") || keys();
    let idle = !is_asked("idle") || idle();
    if !(keys && idle) {
        say("a bound is not kept");
        std::process::exit(1);
    }
}
