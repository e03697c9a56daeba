//! Numbers of processes that are given to strangers as soon as they are free.
//!
//! In a pid namespace of its own a test can say which number comes next
//! (`/proc/sys/kernel/ns_last_pid`). So a stranger gets the number of a member that has just
//! ended, before anything has looked at the group. Whatever the group then does, the stranger
//! must not feel it.

use std::process::{Child, Command};

use pk::contain::{Choice, Containment, Group, Mechanism, Scope, SpawnRequest};
use pk::domain::signal::Signal;

use super::{line, lives, say, sh, soon, spawn, until};

/// Set in the process that is in such a namespace.
const INSIDE: &str = "PK_TEST_PIDS";

const LAST: &str = "/proc/sys/kernel/ns_last_pid";

#[test]
fn a_stranger_with_the_number_of_a_member_feels_nothing() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(inside());
    }
    let own_user: &[&str] = if rustix::process::geteuid().is_root() {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let unshare = |program: &[&str]| {
        Command::new("unshare")
            .args(own_user)
            .args(["--pid", "--fork", "--mount-proc", "--"])
            .args(program)
            .env(INSIDE, "1")
            .output()
            .unwrap()
    };
    let can = unshare(&["sh", "-c", &format!("echo 100 >{LAST}")]);
    if !can.status.success() {
        let why = String::from_utf8_lossy(&can.stderr);
        return say(&format!("NOT RUN: pid reuse: {}", why.trim()));
    }
    let exe = std::env::current_exe().unwrap();
    let test = "contain::pid_reuse::a_stranger_with_the_number_of_a_member_feels_nothing";
    let ran = unshare(&[
        exe.to_str().unwrap(),
        test,
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ]);
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    for line in said.lines().filter(|line| line.starts_with("NOT RUN")) {
        say(line);
    }
}

async fn inside() {
    for mechanism in [
        Mechanism::Cgroup,
        Mechanism::ProcessGroup,
        Mechanism::PidNamespace,
    ] {
        let containment = match Containment::choose(Choice::Only(mechanism)) {
            Ok(containment) => containment,
            Err(error) => {
                say(&format!("NOT RUN: pid reuse: {error}"));
                continue;
            }
        };
        number_of_a_leader(&containment).await;
        number_of_a_member(&containment).await;
        number_of_an_adopted(&containment).await;
        if mechanism != Mechanism::Cgroup {
            number_of_a_keeper(&containment).await;
        }
        numbers_that_wrap(&containment).await;
    }
}

/// A process that no group has made, and what it has made.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        // One that can be seen to have felt any signal: it has none set up.
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    /// With that number; `None`: it is not to be had.
    fn with(number: u32) -> Option<Self> {
        // It is taken as long as it is anybody's group or session.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while std::time::Instant::now() < deadline {
            std::fs::write(LAST, (number - 1).to_string()).unwrap();
            let made = Self::start();
            if made.0.id() == number {
                return Some(made);
            }
        }
        None
    }

    fn has_felt_nothing(&mut self) {
        // A signal that was sent acts when its process is next on a processor.
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(self.0.try_wait().unwrap(), None, "it was ended");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let state = stat.rsplit_once(") ").unwrap().1;
        assert!(state.starts_with(['S', 'R']), "it was stopped: {state}");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that a group does to its members.
async fn everything(group: &Group, stranger: &mut Stranger) {
    let number = stranger.0.id();
    let signal = Signal::TERM;
    let _ = group.signal(signal, Scope::Leader).unwrap();
    let _ = group.signal(signal, Scope::Group).unwrap();
    soon(group.suspend()).await.unwrap();
    stranger.has_felt_nothing();
    let members = group.members().await.unwrap();
    assert!(!members.iter().any(|one| one.pid == number), "{members:?}");
    group.resume().unwrap();
    let _ = group.kill().unwrap();
    stranger.has_felt_nothing();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
    let _ = group.kill().unwrap();
    stranger.has_felt_nothing();
}

async fn number_of_a_leader(containment: &Containment) {
    let (group, running) = spawn(containment, "exit 0");
    let number = running.pid();
    until("it has ended", || !lives(&number.to_string())).await;
    // Where it is still its own nobody can have it.
    if let Some(mut stranger) = Stranger::with(number) {
        everything(&group, &mut stranger).await;
        drop(group);
        stranger.has_felt_nothing();
    }
}

async fn number_of_a_member(containment: &Containment) {
    let script = "sleep 1000 & sleep 0.05; sleep 1000 & wait $!; sleep 1000";
    let (group, running) = spawn(containment, script);
    let mut member = None;
    until("it has a child", || {
        let list = format!("/proc/{0}/task/{0}/children", running.pid());
        let list = std::fs::read_to_string(list).unwrap();
        member = list.split_whitespace().nth(1).map(str::to_owned);
        member.is_some()
    })
    .await;
    let member = member.unwrap();
    let number: u32 = member.parse().unwrap();
    end(number);
    until("its parent has reaped it", || !super::exists(number)).await;
    let mut stranger = Stranger::with(number).expect("a free number");
    everything(&group, &mut stranger).await;
}

async fn number_of_an_adopted(containment: &Containment) {
    let group = containment.group();
    let mut adopted = Command::new("sleep").arg("1000").spawn().unwrap();
    let number = adopted.id();
    group.adopt(number).unwrap();
    adopted.kill().unwrap();
    adopted.wait().unwrap();
    let mut stranger = Stranger::with(number).expect("a free number");
    everything(&group, &mut stranger).await;
    // And without a look, by dropping it.
    let group = containment.group();
    let mut adopted = Command::new("sleep").arg("1000").spawn().unwrap();
    let number = adopted.id();
    group.adopt(number).unwrap();
    adopted.kill().unwrap();
    adopted.wait().unwrap();
    let mut stranger = Stranger::with(number).expect("a free number");
    drop(group);
    stranger.has_felt_nothing();
}

async fn number_of_a_keeper(containment: &Containment) {
    let (group, mut running) = spawn(containment, "echo made; exec sleep 1000");
    line(running.take_outputs().remove(0)).await;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
    let keeper: u32 = parent.parse().unwrap();
    end(keeper);
    until("the zygote has reaped it", || !super::exists(keeper)).await;
    let mut stranger = Stranger::with(keeper).expect("a free number");
    everything(&group, &mut stranger).await;
}

/// The same few numbers are given again and again, to members and strangers.
async fn numbers_that_wrap(containment: &Containment) {
    let mut strangers = Vec::new();
    for turn in 0..60 {
        std::fs::write(LAST, "400").unwrap();
        let script = "for i in 1 2 3; do (exit 0) & done; (sleep 0.002 &); sleep 0.001 & wait";
        let group = containment.group();
        let running = group.spawn(&SpawnRequest::command(sh(script))).unwrap();
        strangers.push(Stranger::start());
        if turn % 2 == 0 {
            soon(running.exited()).await.unwrap();
            std::fs::write(LAST, "400").unwrap();
            strangers.push(Stranger::start());
        }
        let _ = group.signal(Signal::TERM, Scope::Group).unwrap();
        let _ = group.kill().unwrap();
        if turn % 3 == 0 {
            drop(group);
        } else {
            soon(group.emptied()).await.unwrap();
            group.release().await.unwrap();
        }
        if strangers.len() > 20 {
            strangers
                .drain(..10)
                .for_each(|mut one| one.has_felt_nothing());
        }
    }
    strangers.iter_mut().for_each(Stranger::has_felt_nothing);
}

fn end(number: u32) {
    let pid = rustix::process::Pid::from_raw(number.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
