//! What concerns a whole process: each test runs in one of its own.

use std::process::Command;
use std::time::Duration;

use pk::contain::{Containment, SpawnRequest, StageRequest, adopt_orphans};
use pk::domain::exit::ExitStatus;

use super::{line, lives, sh, soon, spawn, text, until};

/// Set in the process that a test made for itself.
const ALONE: &str = "PK_TEST_ALONE";

/// Runs `behaviour` in a process of its own that `prepare` has readied: the one test of
/// `module` that is called `test`, which is who calls this.
pub fn alone<F: Future<Output = ()>>(
    (module, test): (&str, &str),
    prepare: &str,
    containment: impl FnOnce() -> Option<Containment>,
    behaviour: impl FnOnce(Containment) -> F,
) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(async {
            if let Some(containment) = containment() {
                behaviour(containment).await;
            }
        });
    }
    let (_crate, module) = module.split_once("::").unwrap();
    let ran = Command::new("sh")
        .args(["-c", &format!("{prepare}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .arg("--test-threads=1")
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    if let Some(line) = said.lines().find(|line| line.starts_with("NOT RUN")) {
        super::say(line);
    }
}

/// As `under_each_mechanism`, each in a process of its own that a shell readies so.
macro_rules! alone_under_each_mechanism {
    ($($name:ident: $prepare:expr,)+) => {$(
        mod $name {
            #[test]
            fn in_a_cgroup() {
                let test = (module_path!(), "in_a_cgroup");
                $crate::contain::alone::alone(
                    test, $prepare, $crate::contain::in_a_cgroup, super::$name,
                );
            }

            #[test]
            fn in_a_process_group() {
                let test = (module_path!(), "in_a_process_group");
                let containment = || Some($crate::contain::in_a_process_group());
                $crate::contain::alone::alone(test, $prepare, containment, super::$name);
            }
        }
    )+};
}
pub(crate) use alone_under_each_mechanism;

/// The children of this process, zombies too, but for the one from which keepers are made.
pub fn children() -> Vec<String> {
    let is_zygote = |pid: &String| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "run-zygote")
    };
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let list = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(list.split_whitespace().map(str::to_owned));
    }
    all.retain(|pid| !is_zygote(pid));
    all
}

async fn a_child_ignores_no_signal_whatever_is_inherited(containment: Containment) {
    let (_group, mut running) = spawn(&containment, "exec cat /proc/self/status");
    let status = text(running.take_outputs().remove(0)).await;
    for field in ["SigBlk:", "SigIgn:"] {
        let line = status.lines().find(|l| l.starts_with(field)).unwrap();
        let mask = line.split_whitespace().nth(1).unwrap();
        // Signals 32 and 33 are the C library's own: it sets them up itself.
        let mask = u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31);
        assert_eq!(mask, 0, "{line}");
    }
}

async fn a_status_is_there_also_where_sigchld_is_ignored(containment: Containment) {
    let (_group, running) = spawn(&containment, "exit 6");
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(6)]);
}

async fn a_child_inherits_no_descriptor_of_this_process_nor_its_parent(containment: Containment) {
    let (_held, _other) = spawn(&containment, "sleep 1000");
    let (_group, mut running) = spawn(&containment, "exec ls /proc/self/fd");
    let listed = text(running.take_outputs().remove(0)).await;
    // The fourth is the folder that is listed.
    assert_eq!(
        listed.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

async fn two_hundred_spawns_leave_no_descriptor_and_no_zombie(containment: Containment) {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = None;
    for turn in 0..200 {
        let group = containment.group();
        let scripts = vec![sh("echo x"), sh("cat")];
        let running = group.spawn(&SpawnRequest::pipeline(scripts)).unwrap();
        soon(running.exited()).await.unwrap();
        match turn % 3 {
            0 => drop(group),
            1 => {
                soon(group.emptied()).await.unwrap();
                group.release().await.unwrap();
            }
            _ => {
                let refused = StageRequest::new(["/no/such"], "/");
                group.spawn(&SpawnRequest::command(refused)).unwrap_err();
            }
        }
        drop(running);
        // What the first turn opens for good is the runtime's.
        before = before.or_else(|| Some(count()));
    }
    // A cgroup that was dropped is removed as soon as its last process has ended.
    until("all are closed", || Some(count()) <= before).await;
    until("all are reaped", || children().is_empty()).await;
}

/// Starts one that loses its parent and ends; its number.
async fn an_orphan(running: &mut pk::contain::Running) -> String {
    let (orphan, _rest) = line(running.take_outputs().remove(0)).await;
    soon(running.exited()).await.unwrap();
    until("the orphan has ended", || !lives(&orphan)).await;
    orphan
}

const ORPHAN: &str = "setsid sh -c 'echo $$; exec sleep 0.1' & exit 4";

async fn adopted_orphans_are_reaped_and_no_status_is_taken(containment: Containment) {
    adopt_orphans().unwrap();
    let (group, mut running) = spawn(&containment, ORPHAN);
    let orphan = an_orphan(&mut running).await;
    // The end of any other group is an occasion to look.
    let (other, _running) = spawn(&containment, "exit 0");
    soon(other.emptied()).await.unwrap();
    until("it is reaped", || !children().contains(&orphan)).await;
    let kept = containment.mechanism() == pk::contain::Mechanism::ProcessGroup;
    assert!(
        kept || children().contains(&running.pid().to_string()),
        "not the leader"
    );
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(4)]);
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

async fn orphans_are_reaped_while_no_group_ends(containment: Containment) {
    adopt_orphans().unwrap();
    let (_group, mut running) = spawn(&containment, ORPHAN);
    let orphan = an_orphan(&mut running).await;
    until("it is reaped", || !children().contains(&orphan)).await;
    let kept = containment.mechanism() == pk::contain::Mechanism::ProcessGroup;
    assert!(kept || children().contains(&running.pid().to_string()));
}

/// What a spawn leaves to the runtime of its thread is done before the next test.
async fn a_thousand_orphans_leave_no_zombie(containment: Containment) {
    adopt_orphans().unwrap();
    let (group, running) = spawn(
        &containment,
        "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done",
    );
    soon(running.exited()).await.unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while !children().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}

alone_under_each_mechanism! {
    a_child_ignores_no_signal_whatever_is_inherited: "trap '' HUP INT QUIT USR1 PIPE",
    // No shell ignores SIGCHLD, so perl has to.
    a_status_is_there_also_where_sigchld_is_ignored:
        "exec perl -e '$SIG{CHLD} = \"IGNORE\"; exec @ARGV' \"$0\" \"$@\"",
    a_child_inherits_no_descriptor_of_this_process_nor_its_parent: "exec 7</dev/null 9</dev/null",
    two_hundred_spawns_leave_no_descriptor_and_no_zombie: ":",
    adopted_orphans_are_reaped_and_no_status_is_taken: ":",
    orphans_are_reaped_while_no_group_ends: ":",
    a_thousand_orphans_leave_no_zombie: ":",
}
