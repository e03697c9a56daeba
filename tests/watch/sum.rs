//! The sum of what the watch promises, over many saves in random patterns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{armed, starts};
use crate::harness::{Pk, free_port, poll};

/// A server that fails where its predecessor still has the port, and says what it has read.
const SERVER: &str = r#"
import http.server, os, socket, sys
text = open("src/a").read()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def log_message(self, *a): pass
class Server(http.server.HTTPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

/// The debounce of the stack below.
const DEBOUNCE: Duration = Duration::from_millis(30);

/// A burst that goes on is acted on after this long.
const LONGEST: Duration = Duration::from_secs(1);

/// Saves in many ways, and takes note when.
struct Writer {
    folder: PathBuf,
    /// When each step began and ended.
    steps: Vec<(Instant, Instant)>,
}

impl Writer {
    fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            steps: Vec::new(),
        }
    }

    fn step(&mut self, act: impl FnOnce(&Path)) {
        let began = Instant::now();
        act(&self.folder);
        self.steps.push((began, Instant::now()));
    }

    fn write(&mut self, name: &str, text: &str) {
        let path = self.folder.join(name);
        let parent = path.parent().unwrap();
        if !parent.exists() {
            self.step(|_| fs::create_dir_all(parent).unwrap());
        }
        self.step(|_| fs::write(&path, text).unwrap());
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.step(|folder| {
            fs::rename(folder.join(from), folder.join(to)).unwrap();
        });
    }

    fn replace(&mut self, text: &str) {
        self.write("src/.new~", text);
        self.rename("src/.new~", "src/a");
    }

    fn save(&mut self, pattern: usize, text: &str, rng: &mut fastrand::Rng) {
        match pattern {
            0 => self.write("src/a", text),
            1 => self.replace(text),
            2 => {
                for n in 0..rng.usize(2..10) {
                    self.write("src/a", &format!("{text} {n}"));
                }
                self.write("src/a", text);
            }
            3 => {
                self.step(|folder| {
                    fs::remove_file(folder.join("src/a")).unwrap();
                });
                self.write("src/a", text);
            }
            4 => {
                for n in 0..rng.usize(5..40) {
                    self.write(&format!("src/many/{n}"), text);
                }
                self.write("src/a", text);
            }
            5 => {
                self.step(|folder| {
                    let _ = fs::create_dir_all(folder.join("src/many"));
                    let _ = fs::remove_dir_all(folder.join("src/moved"));
                });
                self.rename("src/many", "src/moved");
                self.replace(text);
            }
            _ => {
                // As a checkout: the whole folder goes and comes.
                self.rename("src", "old");
                self.write("src/a", text);
                for n in 0..rng.usize(50..500) {
                    self.write(&format!("src/tree/{}/{n}", n % 7), text);
                }
                fs::remove_dir_all(self.folder.join("old")).unwrap();
            }
        }
    }

    /// How many bursts these saves were at most: a busy machine may hold up who saves for
    /// longer than the debounce, and then one save is two.
    fn bursts(&self) -> usize {
        let mut bursts = 0;
        let mut latest: Option<(Instant, Instant)> = None;
        for &(began, ended) in &self.steps {
            let first = match latest {
                Some((first, before))
                    if ended.duration_since(before) < DEBOUNCE
                        && ended.duration_since(first) < LONGEST =>
                {
                    first
                }
                Some(_) | None => {
                    bursts += 1;
                    began
                }
            };
            latest = Some((first, began));
        }
        bursts
    }
}

/// The sum of the promises: whatever the pattern, what is saved last runs at last, never two
/// at a time, and no more often than there were bursts. `PK_SAVES=1000` takes more.
#[test]
fn after_quiet_the_last_content_is_the_one_that_runs() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("did not run: no python3 here");
        return;
    }
    let saves: usize = std::env::var("PK_SAVES").map_or(60, |text| text.parse().unwrap());
    let port = free_port();
    let yaml = format!(
        "services:\n  api:\n    command: [python3, server.py, '{port}']\n    readiness: {{tcp: {port}}}\n    watch: {{paths: [src], debounce: 30ms}}\n"
    );
    let pk = Pk::stack(&yaml, ["up"])
        .file("server.py", SERVER)
        .file("src/a", "first")
        .start();
    pk.wait_for("api > ready");
    armed(&pk);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut writer = Writer::new(pk.folder());
    let (mut save, mut quiet) = (0, 0);
    let started = Instant::now();
    while save < saves {
        // Some come while the one before is still being acted on.
        let together = rng.usize(1..6).min(saves - save);
        for _ in 0..together {
            save += 1;
            writer.save(rng.usize(..7), &format!("text {save}"), &mut rng);
            std::thread::sleep(Duration::from_millis(rng.u64(..60)));
        }
        quiet += 1;
        let expected = format!("text {save}");
        poll(&format!("{expected} to run\n{}", pk.so_far()), || {
            (get(port).as_deref() == Some(&*expected)).then_some(())
        });
        let (restarts, bursts) = (starts(&pk, "api") - 1, writer.bursts());
        assert!(restarts <= bursts, "{bursts} bursts\n{}", pk.so_far());
    }
    println!(
        "{saves} saves in {} bursts, {quiet} times quiet, {} restarts in {:?}",
        writer.bursts(),
        starts(&pk, "api") - 1,
        started.elapsed()
    );
    pk.signal(Signal::INT);
    let ended = pk.wait();
    ended.assert_hides(&[
        "Address already in use",
        "api > failed",
        "is ignored from now on",
    ]);
}

fn get(port: u16) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer.split("\r\n\r\n").nth(1)?.to_owned())
}
