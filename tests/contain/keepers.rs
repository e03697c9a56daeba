//! What keepers promise beyond what every mechanism does.

use std::time::Duration;

use pk::contain::{Containment, SpawnRequest, StageRequest};

use super::{in_a_process_group, line, lives, sh, soon, spawn, until};

const DAEMON: &str =
    "setsid sh -c 'setsid sleep 1000 & echo $!; exec sleep 1000' & sleep 0.01; exec sleep 1000";

/// The parent's number, from the process table.
fn parent(pid: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(1).unwrap().to_owned()
}

fn name(pid: &str) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

fn kill(pid: &str, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Kibibytes that are this process's alone.
fn private(pid: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    lines
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum()
}

#[tokio::test]
async fn a_keeper_is_small_and_bears_its_own_name() {
    // The owner may be of any size.
    let ballast = vec![1_u8; 64 << 20];
    let containment = in_a_process_group();
    let (group, running) = spawn(&containment, "exec sleep 1000");
    let keeper = parent(&running.pid().to_string());
    assert_eq!(name(&keeper), "run-keeper");
    let line = std::fs::read(format!("/proc/{keeper}/cmdline")).unwrap();
    assert!(
        line.starts_with(b"keeper: "),
        "{}",
        String::from_utf8_lossy(&line)
    );
    until("it has settled", || private(&keeper) > 0).await;
    let private = private(&keeper);
    assert!(private <= 150, "{private} KiB");
    println!("a keeper has {private} KiB of its own");
    let zygote = parent(&keeper);
    assert_eq!(name(&zygote), "run-zygote");
    let status = std::fs::read_to_string(format!("/proc/{zygote}/status")).unwrap();
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let size: u64 = size
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(size < 10 << 10, "{size} KiB: it has the ballast still");
    std::hint::black_box(&ballast);
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

#[tokio::test]
async fn who_stops_a_keeper_does_not_save_its_run() {
    let (group, mut running) = spawn(&in_a_process_group(), DAEMON);
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    kill(
        &parent(&running.pid().to_string()),
        rustix::process::Signal::STOP,
    );
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    assert!(!lives(&pid));
    group.release().await.unwrap();
}

#[tokio::test]
async fn the_run_of_a_keeper_that_is_killed_is_killed_with_it() {
    let containment = in_a_process_group();
    let (group, mut running) = spawn(&containment, DAEMON);
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    let (other, bystander) = spawn(&containment, "exec sleep 1000");
    kill(
        &parent(&running.pid().to_string()),
        rustix::process::Signal::KILL,
    );
    soon(group.emptied()).await.unwrap();
    until("all are gone", || {
        !lives(&pid) && !lives(&running.pid().to_string())
    })
    .await;
    // How they ended nobody can tell any more.
    soon(running.exited()).await.unwrap_err();
    assert_eq!(bystander.statuses(), [None]);
    // The next run of the group has a new one.
    let again = group.spawn(&SpawnRequest::command(sh("exit 3"))).unwrap();
    let ends = soon(again.exited()).await.unwrap();
    assert_eq!(ends, [pk::domain::exit::ExitStatus::Code(3)]);
    for group in [&group, &other] {
        let _ = group.kill().unwrap();
        soon(group.emptied()).await.unwrap();
        group.release().await.unwrap();
    }
}

async fn a_zygote_that_is_killed_is_replaced(containment: Containment) {
    let (group, mut running) = spawn(&containment, DAEMON);
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    let keeper = parent(&running.pid().to_string());
    kill(&parent(&keeper), rustix::process::Signal::KILL);
    let (other, second) = spawn(&containment, "exit 4");
    let ends = soon(second.exited()).await.unwrap();
    assert_eq!(ends, [pk::domain::exit::ExitStatus::Code(4)]);
    assert!(lives(&pid), "what was kept is kept");
    for group in [&group, &other] {
        let _ = group.kill().unwrap();
        soon(group.emptied()).await.unwrap();
        group.release().await.unwrap();
    }
    assert!(!lives(&pid));
}

/// It and what it has: a test of its own, for the zygote is its process's.
#[test]
fn what_was_kept_outlives_the_zygote() {
    let test = (module_path!(), "what_was_kept_outlives_the_zygote");
    super::alone::alone(
        test,
        ":",
        || Some(in_a_process_group()),
        a_zygote_that_is_killed_is_replaced,
    );
}

/// Prints what it has started, and waits to be killed.
async fn owns(containment: Containment) {
    let (_group, mut running) = spawn(&containment, DAEMON);
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    let line = format!("started {pid} {}.\n", running.pid());
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_secs(1000)).await;
}

#[test]
fn a_run_ends_with_its_owner_however_that_ends() {
    use std::io::BufRead as _;
    if std::env::var_os("PK_TEST_ALONE").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(owns(in_a_process_group()));
    }
    let name = format!(
        "{}::a_run_ends_with_its_owner_however_that_ends",
        module_path!()
    );
    let (_crate, name) = name.split_once("::").unwrap();
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("PK_TEST_ALONE", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(owner.stdout.take().unwrap()).lines();
    let started = lines
        .map(Result::unwrap)
        .find_map(|line| {
            Some(
                line.split_once("started ")?
                    .1
                    .trim_end_matches('.')
                    .to_owned(),
            )
        })
        .unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(until("all are gone", || !started.split(' ').any(lives)));
}

#[tokio::test]
async fn who_is_found_by_a_sample_costs_the_same_whoever_else_is_there() {
    let script = "setsid sh -c 'while :; do :; done' & while :; do :; done";
    let (group, _running) = spawn(&in_a_process_group(), script);
    let mut last = group.stats().await.unwrap();
    soon(async {
        while last.processes < 2 || last.cpu < Duration::from_millis(50) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            last = group.stats().await.unwrap();
        }
    })
    .await;
    assert!(last.memory > 0);
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    let end = group.stats().await.unwrap();
    // Of those that have ended too.
    assert!(
        end.cpu >= last.cpu && end.processes == 0,
        "{end:?} {last:?}"
    );
    group.release().await.unwrap();
}

#[tokio::test]
async fn arguments_of_any_length_arrive() {
    let group = in_a_process_group().group();
    let long = "x".repeat(100_000);
    let script = "printf %s \"$1$2$3\" | wc -c";
    let stage = StageRequest::new(["sh", "-c", script, "sh", &long, &long, &long], "/");
    let mut running = group.spawn(&SpawnRequest::command(stage)).unwrap();
    let (count, _rest) = line(running.take_outputs().remove(0)).await;
    assert_eq!(count.trim(), "300000");
    soon(running.exited()).await.unwrap();
}
