//! What an owner leaves behind that was killed, and who cleans it up.
//!
//! The owners are processes of their own, in a cgroup that no other test's process looks into.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pk::contain::{Choice, Containment, Mechanism, SpawnRequest};

use super::{in_a_cgroup, lives, sh, until};

/// Set for a process that plays one: `hold` or `choose`.
const ROLE: &str = "PK_TEST_ROLE";

#[test]
fn role() {
    let Some(role) = std::env::var_os(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let began = Instant::now();
    let containment = Containment::choose(Choice::Only(Mechanism::Cgroup)).unwrap();
    let found = containment.left_over();
    println!(
        "chosen {} {} {} {}",
        found.stands,
        found.processes,
        found.stuck.len(),
        began.elapsed().as_millis()
    );
    if role == "hold" {
        let group = containment.group();
        let script = "setsid sleep 1000 & sleep 1000 & wait";
        let _running = group.spawn(&SpawnRequest::command(sh(script))).unwrap();
        while std::fs::read_to_string(group.cgroup_path().unwrap().join("cgroup.procs"))
            .unwrap()
            .lines()
            .count()
            < 3
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("held {}", group.cgroup_path().unwrap().display());
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// A cgroup for the owners, removed when it is dropped.
struct Place(PathBuf);

impl Place {
    /// `None`: no cgroup can be written, which was said.
    fn new(name: &str) -> Option<Self> {
        let containment = in_a_cgroup()?;
        let group = containment.group();
        let _running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
        let own = group.cgroup_path().unwrap().ancestors().nth(2).unwrap();
        let path = own.join(format!("pk-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Some(Self(path))
    }

    /// Starts this program there, under `wrapper`.
    fn start(&self, role: &str, wrapper: &str) -> Player {
        let mut child = Command::new("sh")
            .args([
                "-c",
                &format!("echo $$ >\"$PROCS\" && exec {wrapper} \"$0\" \"$@\""),
            ])
            .arg(std::env::current_exe().unwrap())
            .args(["contain::left_overs::role", "--exact", "--nocapture"])
            .env("PROCS", self.0.join("cgroup.procs"))
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut player = Player {
            child,
            lines: stdout.lines(),
            chosen: Vec::new(),
        };
        let chosen = player.line("chosen ");
        player.chosen = chosen.split(' ').map(|n| n.parse().unwrap()).collect();
        player
    }

    /// An owner, the cgroup of its group, and the processes in that.
    fn hold(&self, wrapper: &str) -> (Player, PathBuf, Vec<String>) {
        let mut holder = self.start("hold", wrapper);
        let held = PathBuf::from(holder.line("held "));
        let procs = std::fs::read_to_string(held.join("cgroup.procs")).unwrap();
        (holder, held, procs.lines().map(str::to_owned).collect())
    }

    fn stands(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap().flatten();
        let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        dirs.map(|entry| entry.path()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while !removed(&self.0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn removed(path: &Path) -> bool {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed(&entry.path());
        }
    }
    std::fs::remove_dir(path).is_ok()
}

struct Player {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    /// Stands, processes, stuck ones, milliseconds.
    chosen: Vec<usize>,
}

impl Player {
    /// What follows these words, on the next line that has them.
    fn line(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.next().expect("it ended").unwrap();
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
        }
    }

    fn ended(mut self) -> Vec<usize> {
        for line in self.lines.by_ref() {
            line.unwrap();
        }
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.chosen)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_a_killed_owner_left_is_emptied_removed_and_told() {
    let Some(place) = Place::new("killed") else {
        return;
    };
    let (holder, held, pids) = place.hold("");
    drop(holder);
    assert!(pids.iter().all(|pid| lives(pid)), "they outlive it");
    let chosen = place.start("choose", "").ended();
    assert_eq!(
        chosen[..3],
        [1, 3, 0],
        "one stand, three processes, none stuck"
    );
    assert!(chosen[3] < 1000, "{} ms", chosen[3]);
    if std::env::var_os("PK_TEST_TIMES").is_some() {
        println!("cleared within {} ms", chosen[3]);
        assert!(chosen[3] < 100);
    }
    assert!(!held.exists());
    until("none lives", || !pids.iter().any(|pid| lives(pid))).await;
    assert!(place.stands().is_empty(), "{:?}", place.stands());
}

#[tokio::test]
async fn a_living_owner_is_left_alone() {
    let Some(place) = Place::new("living") else {
        return;
    };
    let (_holder, held, pids) = place.hold("");
    assert_eq!(place.start("choose", "").ended()[..3], [0, 0, 0]);
    assert!(held.exists());
    assert!(pids.iter().all(|pid| lives(pid)));
    assert_eq!(place.stands().len(), 1);
}

/// There its number means nothing here: the lock tells.
#[tokio::test]
async fn a_living_owner_in_another_pid_namespace_is_left_alone() {
    let Some(place) = Place::new("namespace") else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        super::say("NOT RUN: an owner in another pid namespace: only root can make one");
        return;
    }
    let wrapper = "unshare --pid --fork --kill-child --mount-proc";
    let (_holder, held, _) = place.hold(wrapper);
    assert_eq!(place.start("choose", "").ended()[..3], [0, 0, 0]);
    let procs = std::fs::read_to_string(held.join("cgroup.procs")).unwrap();
    assert_eq!(procs.lines().count(), 3);
}

#[tokio::test]
async fn two_that_clean_up_at_once_tell_it_once() {
    let Some(place) = Place::new("two") else {
        return;
    };
    let (holder, held, pids) = place.hold("");
    drop(holder);
    let chosen: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let choosers = [(); 4].map(|()| scope.spawn(|| place.start("choose", "").ended()));
        choosers.map(|chooser| chooser.join().unwrap()).into()
    });
    let sum = |at: usize| chosen.iter().map(|one| one[at]).sum::<usize>();
    assert_eq!([sum(0), sum(1), sum(2)], [1, 3, 0], "{chosen:?}");
    assert!(!held.exists());
    until("none lives", || !pids.iter().any(|pid| lives(pid))).await;
    assert!(place.stands().is_empty(), "{:?}", place.stands());
}
