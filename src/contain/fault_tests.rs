//! Each call that can fail, made to fail: what a person is told, what is left behind, and
//! what is tried instead.

use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::timeout;

use super::fault::{Call, force};
use super::{
    Choice, Containment, Group, Mechanism, SpawnCause, SpawnError, SpawnOptions, SpawnRequest,
    StageRequest, Step,
};
use crate::domain::exit::ExitStatus;

/// Set in the process that a test made for itself: it counts descriptors and children.
const ALONE: &str = "PK_TEST_ALONE";

fn alone(name: &str, test: impl AsyncFnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(test());
    }
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([&format!("contain::fault_tests::{name}"), "--exact"])
        .args(["--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

/// The mechanisms that can be had here.
fn containments() -> Vec<Containment> {
    let mut all = without_keepers();
    all.extend(Containment::choose(Choice::Only(Mechanism::ProcessGroup)));
    all
}

/// Those by which this process itself makes the processes of a run.
fn without_keepers() -> Vec<Containment> {
    let _forced = force(Call::Zygote, Errno::AGAIN);
    [Mechanism::Cgroup, Mechanism::ProcessGroup]
        .into_iter()
        .filter_map(|mechanism| Containment::choose(Choice::Only(mechanism)).ok())
        .collect()
}

fn two_stages() -> SpawnRequest {
    let stage = || StageRequest::new(["sleep", "1000"], "/");
    SpawnRequest::pipeline(vec![stage(), stage()])
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// But for the zygote, which is there for all of them.
fn children() -> String {
    let all = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let is_run = |pid: &&str| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() != "run-zygote"
    };
    all.split_whitespace().filter(is_run).collect()
}

async fn refused(containment: &Containment, call: Call, errno: Errno) -> SpawnError {
    let before = descriptors();
    let error = {
        let group = containment.group();
        let _forced = force(call, errno);
        group.spawn(&two_stages()).unwrap_err()
    };
    timeout(Duration::from_secs(10), async {
        while descriptors() != before || !children().is_empty() {
            super::registry::sweep();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{call:?} leaves something: {}", children()));
    error
}

async fn works(group: &Group) {
    let request = SpawnRequest::command(StageRequest::new(["true"], "/"));
    let running = group.spawn(&request).unwrap();
    assert_eq!(running.exited().await.unwrap(), [ExitStatus::SUCCESS]);
    group.emptied().await.unwrap();
    group.release().await.unwrap();
}

#[test]
fn each_call_that_fails_is_named_and_leaves_nothing() {
    const CASES: &[(Call, Errno, Step, &str)] = &[
        (
            Call::Clone3,
            Errno::AGAIN,
            Step::Process,
            "no further process is allowed",
        ),
        (
            Call::Clone3,
            Errno::NOMEM,
            Step::Process,
            "no memory for a further process",
        ),
        (
            Call::Clone3,
            Errno::MFILE,
            Step::Pipes,
            "too many open files",
        ),
        (Call::Pipe, Errno::MFILE, Step::Pipes, "too many open files"),
        (Call::Pipe, Errno::NFILE, Step::Pipes, "too many open files"),
        (
            Call::Watch,
            Errno::MFILE,
            Step::Pipes,
            "too many open files",
        ),
        (
            Call::Watch,
            Errno::NOSPC,
            Step::Observe,
            "cannot watch the process",
        ),
    ];
    const OF_CGROUPS: &[(Call, Errno, Step, &str)] = &[
        (
            Call::WatchCgroup,
            Errno::NOSPC,
            Step::Observe,
            "cannot watch its cgroup",
        ),
        (
            Call::WatchCgroup,
            Errno::MFILE,
            Step::Pipes,
            "too many open files",
        ),
        (
            Call::MakeCgroup,
            Errno::NOSPC,
            Step::Cgroup,
            "no further cgroup is allowed",
        ),
        (
            Call::MakeCgroup,
            Errno::AGAIN,
            Step::Cgroup,
            "no further cgroup is allowed",
        ),
        (Call::MakeCgroup, Errno::PERM, Step::Cgroup, "not permitted"),
        (Call::MakeCgroup, Errno::ROFS, Step::Cgroup, "is read-only"),
        (
            Call::MakeCgroup,
            Errno::NOENT,
            Step::Cgroup,
            "removed by somebody else",
        ),
        (
            Call::OpenCgroup,
            Errno::MFILE,
            Step::Pipes,
            "too many open files",
        ),
        (
            Call::IntoCgroup,
            Errno::NODEV,
            Step::Cgroup,
            "removed by somebody else",
        ),
    ];
    alone(
        "each_call_that_fails_is_named_and_leaves_nothing",
        async || {
            for containment in containments() {
                // What is opened once for all.
                works(&containment.group()).await;
                let of_cgroups = match containment.mechanism() {
                    Mechanism::Cgroup => OF_CGROUPS,
                    Mechanism::ProcessGroup | Mechanism::PidNamespace => &[],
                };
                for &(call, errno, step, words) in CASES.iter().chain(of_cgroups) {
                    let error = refused(&containment, call, errno).await;
                    let said = error.to_string();
                    assert!(said.contains(words), "{call:?} {errno:?}: {said}");
                    assert_eq!(error.step(), step, "{call:?} {errno:?}: {said}");
                    assert_eq!(error.stages, 2);
                    works(&containment.group()).await;
                }
            }
        },
    );
}

async fn text(output: super::Output) -> String {
    let mut text = String::new();
    let mut pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(output.fd).unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut pipe, &mut text)
        .await
        .unwrap();
    text
}

/// What the child sees as its cgroup and its process group.
async fn born(containment: &Containment, options: SpawnOptions) -> (String, bool, ExitStatus) {
    let script = "cat /proc/self/cgroup; ps -o pgid= -p $$; echo $$";
    let stage = StageRequest::new(["sh", "-c", script], "/");
    let group = containment.named_group("born");
    let request = SpawnRequest::command(stage).with_options(options);
    let mut running = group.spawn(&request).unwrap();
    let text = text(running.take_outputs().remove(0)).await;
    let status = running.exited().await.unwrap()[0];
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let mut last = text.lines().rev();
    let (pid, pgid) = (last.next().unwrap().trim(), last.next().unwrap().trim());
    (own.unwrap_or_default().to_owned(), pid == pgid, status)
}

#[test]
fn what_is_refused_is_done_by_other_means() {
    alone("what_is_refused_is_done_by_other_means", async || {
        for containment in without_keepers() {
            let in_cgroup = containment.mechanism() == Mechanism::Cgroup;
            for calls in [
                &[][..],
                &[(Call::IntoCgroup, Errno::OPNOTSUPP)],
                &[(Call::IntoCgroup, Errno::ACCESS)],
                &[(Call::Clone3, Errno::NOSYS)],
                // As a filter that knows nothing of it answers.
                &[(Call::Clone3, Errno::PERM)],
            ] {
                let _forced: Vec<_> = calls
                    .iter()
                    .map(|&(call, errno)| force(call, errno))
                    .collect();
                let (cgroup, leads, status) = born(&containment, SpawnOptions::default()).await;
                assert_eq!(cgroup.contains("/born."), in_cgroup, "{calls:?} {cgroup}");
                assert!(leads, "{calls:?}");
                assert_eq!(status, ExitStatus::SUCCESS);
            }
        }
    });
}

/// As before Linux 5.9. Found out once for a process, so in one of its own.
#[test]
fn descriptors_are_closed_one_by_one_where_there_is_no_other_way() {
    alone(
        "descriptors_are_closed_one_by_one_where_there_is_no_other_way",
        async || {
            let _forced = force(Call::CloseRange, Errno::NOSYS);
            let inherited = std::fs::File::open("/dev/null").unwrap();
            rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
            for containment in containments() {
                let group = containment.group();
                let stage = StageRequest::new(["ls", "/proc/self/fd"], "/");
                let mut running = group.spawn(&SpawnRequest::command(stage)).unwrap();
                let listed = text(running.take_outputs().remove(0)).await;
                let listed: Vec<_> = listed.split_whitespace().collect();
                assert_eq!(listed, ["0", "1", "2", "3"]);
            }
        },
    );
}

#[test]
fn a_refusal_of_every_way_is_named() {
    alone("a_refusal_of_every_way_is_named", async || {
        for containment in without_keepers() {
            let _forced = (
                force(Call::Clone3, Errno::NOSYS),
                force(Call::Clone, Errno::PERM),
            );
            let error = containment.group().spawn(&two_stages()).unwrap_err();
            assert_eq!(error.step(), Step::Process, "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("stage 1: cannot make the process")
            );
        }
    });
}

#[test]
fn no_handler_of_this_process_runs_in_a_child_made_by_the_older_call() {
    alone(
        "no_handler_of_this_process_runs_in_a_child_made_by_the_older_call",
        async || {
            // A handler in the parent, as the runtime sets one.
            let _caught =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
                    .unwrap();
            let _forced = force(Call::Clone3, Errno::NOSYS);
            for containment in without_keepers() {
                let group = containment.group();
                let stage = StageRequest::new(["sh", "-c", "kill -USR1 $$; sleep 1000"], "/");
                let running = group.spawn(&SpawnRequest::command(stage)).unwrap();
                let ends = timeout(Duration::from_secs(10), running.exited())
                    .await
                    .unwrap();
                assert!(matches!(ends.unwrap()[..], [ExitStatus::Signal(_)]));
            }
        },
    );
}

#[tokio::test]
async fn a_cgroup_that_was_removed_by_somebody_else() {
    let Ok(containment) = Containment::choose(Choice::Only(Mechanism::Cgroup)) else {
        return;
    };
    let group = containment.named_group("gone");
    let request = SpawnRequest::command(StageRequest::new(["true"], "/"));
    let running = group.spawn(&request).unwrap();
    running.exited().await.unwrap();
    group.emptied().await.unwrap();
    std::fs::remove_dir(group.cgroup_path().unwrap()).unwrap();
    let error = group.spawn(&request).unwrap_err();
    assert!(matches!(error.cause, SpawnCause::CgroupGone), "{error}");
    assert!(group.is_empty().await.unwrap());
    let _ = group.kill().unwrap();
    assert_eq!(group.stats().await.unwrap().processes, 0);
    group.release().await.unwrap();
}
