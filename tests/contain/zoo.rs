//! Programs that try to get away, each alone in a group that is killed and awaited.

use std::sync::atomic::{AtomicU32, Ordering};

use pk::contain::{Containment, Delivery, Group, Running, SpawnRequest, StageRequest};
use tokio::io::AsyncBufReadExt as _;

use super::{in_a_cgroup, in_a_process_group, lives, soon, until};

/// A program in perl that prints the number of each process it makes, one to a line. Its
/// first argument is a word that no other process has, its second the `cgroup.procs` to which
/// one may move itself.
struct Animal {
    script: &'static str,
    /// How many numbers it prints.
    processes: usize,
}

const fn animal(processes: usize, script: &'static str) -> Animal {
    Animal { script, processes }
}

const IGNORES_SIGNALS: Animal = animal(
    2,
    "$SIG{$_} = 'IGNORE' for qw(TERM INT HUP); fork; print \"$$\\n\"; sleep 1000 while 1",
);
const A_CHILD_IGNORES_THEM_AND_THE_LEADER_ENDS: Animal = animal(
    1,
    "exit if fork; $SIG{$_} = 'IGNORE' for qw(TERM INT HUP); print \"$$\\n\"; sleep 1000 while 1",
);
const BLOCKS_ALL_SIGNALS: Animal = animal(
    2,
    "use POSIX; my $all = POSIX::SigSet->new(); $all->fillset; sigprocmask(SIG_BLOCK, $all); \
     fork; print \"$$\\n\"; sleep 1000 while 1",
);
const IS_STOPPED: Animal = animal(
    2,
    "if (my $child = fork) { print \"$$\\n\"; sleep 1000 while 1 } print \"$$\\n\"; \
     kill STOP => $$; sleep 1000",
);
const REFORKS: Animal = animal(
    3,
    "for my $turn (0 .. 1e6) { print \"$$\\n\" if $turn < 3; exit if fork; \
     select undef, undef, undef, 0.01 }",
);
const REFORKS_IN_NEW_SESSIONS: Animal = animal(
    3,
    "use POSIX; for my $turn (0 .. 150) { print \"$$\\n\" if $turn < 3; exit if fork; setsid; \
     select undef, undef, undef, 0.01 }",
);
const FIVE_HUNDRED_CHILDREN: Animal = animal(
    501,
    "for (1 .. 500) { last unless fork } print \"$$\\n\"; sleep 1000 while 1",
);
const KEEPS_THE_PIPE: Animal = animal(1, "exit if fork; print \"$$\\n\"; sleep 1000 while 1");
const KILLS_ITS_GROUP: Animal = animal(
    1,
    "exit if fork; print \"$$\\n\"; $SIG{TERM} = sub { kill 0 => 0 }; kill TERM => 0; \
     sleep 1000 while 1",
);
const RENAMES_ITSELF: Animal = animal(
    1,
    "exit if fork; $0 = 'pk'; open my $f, '>', '/proc/self/comm'; print $f 'kworker/0:0'; \
     close $f; print \"$$\\n\"; sleep 1000 while 1",
);
const CHANGES_ITS_USER: Animal = animal(
    2,
    "use POSIX; setgid(65534); setuid(65534); fork; print \"$$\\n\"; sleep 1000 while 1",
);
const NEW_SESSION: Animal = animal(
    1,
    "use POSIX; exit if fork; setsid; print \"$$\\n\"; sleep 1000 while 1",
);
const DAEMON: Animal = animal(
    1,
    "use POSIX; exit if fork; setsid; exit if fork; chdir '/tmp'; print \"$$\\n\"; \
     POSIX::close($_) for 0 .. 255; %ENV = (); exec 'sleep', '1000'",
);
const OWN_PROCESS_GROUP: Animal = animal(
    1,
    "exit if fork; setpgrp(0, 0); print \"$$\\n\"; sleep 1000 while 1",
);
const GNU_TIMEOUT: Animal = animal(
    1,
    "exit if fork; exec 'timeout', '1000', 'perl', '-e', '$| = 1; print \"$$\\n\"; sleep 1000', @ARGV",
);
const SHELL_WITH_JOB_CONTROL: Animal = animal(
    1,
    "exec 'bash', '-c', 'set -m; sleep 1000 & echo $!; wait', @ARGV",
);
const MOVES_TO_THE_PARENT_CGROUP: Animal = animal(
    2,
    "fork; open my $f, '>', $ARGV[1] or die; print $f $$; close $f; print \"$$\\n\"; \
     sleep 1000 while 1",
);

/// It runs.
struct Released {
    group: Group,
    _running: Running,
    /// Of its processes.
    pids: Vec<String>,
    word: String,
    /// Held open: who writes to a pipe that nobody reads is ended by that.
    _lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::unix::pipe::Receiver>>,
}

async fn released_into(containment: &Containment, animal: &Animal) -> Released {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let word = format!("animal-{}-{number}", std::process::id());
    let group = containment.group();
    // A look at the cgroup that a group would get says where the parent is.
    let parent = match containment.mechanism() {
        pk::contain::Mechanism::Cgroup => {
            let scout = containment.group();
            let request = SpawnRequest::command(super::sh("true"));
            let _running = scout.spawn(&request).unwrap();
            let own = scout.cgroup_path().unwrap().ancestors().nth(2).unwrap();
            own.join("cgroup.procs").to_str().unwrap().to_owned()
        }
        pk::contain::Mechanism::ProcessGroup | pk::contain::Mechanism::PidNamespace => {
            "/dev/null".to_owned()
        }
    };
    let script = format!("$| = 1; {}", animal.script);
    let argv = ["perl", "-e", &script, "--", &word, &parent];
    let stage = StageRequest::new(argv, "/");
    let mut running = group.spawn(&SpawnRequest::command(stage)).unwrap();
    let stdout = running.take_outputs().remove(0).fd;
    let stdout = tokio::net::unix::pipe::Receiver::from_owned_fd(stdout).unwrap();
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    let mut pids = Vec::new();
    while pids.len() < animal.processes {
        let line = soon(lines.next_line()).await.unwrap();
        pids.push(line.expect("it ended before it had made its processes"));
    }
    Released {
        group,
        _running: running,
        pids,
        word,
        _lines: lines,
    }
}

/// The processes that bear the word.
fn bearing(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(word) && lives(&pid) {
            found.push(pid);
        }
    }
    found
}

async fn is_held(containment: &Containment, animal: &Animal) {
    let Released {
        group, pids, word, ..
    } = &released_into(containment, animal).await;
    assert_eq!(group.kill().unwrap(), Delivery::Sent);
    soon(group.emptied()).await.unwrap();
    until("none of them lives", || !pids.iter().any(|pid| lives(pid))).await;
    until("none like them lives", || bearing(word).is_empty()).await;
    group.release().await.unwrap();
}

/// Two tests for each: under each mechanism.
macro_rules! zoo {
    ($($name:ident: $animal:ident,)+) => {$(
        mod $name {
            #[tokio::test]
            async fn in_a_cgroup() {
                if let Some(containment) = super::in_a_cgroup() {
                    super::is_held(&containment, &super::$animal).await;
                }
            }

            #[tokio::test]
            async fn in_a_process_group() {
                super::is_held(&super::in_a_process_group(), &super::$animal).await;
            }
        }
    )+};
}

zoo! {
    one_that_ignores_signals: IGNORES_SIGNALS,
    a_child_that_ignores_them_while_the_leader_ends:
        A_CHILD_IGNORES_THEM_AND_THE_LEADER_ENDS,
    one_that_blocks_all_signals: BLOCKS_ALL_SIGNALS,
    one_that_is_stopped: IS_STOPPED,
    one_that_forks_again_and_again: REFORKS,
    one_that_has_five_hundred_children: FIVE_HUNDRED_CHILDREN,
    one_that_keeps_the_pipe: KEEPS_THE_PIPE,
    one_that_kills_its_group: KILLS_ITS_GROUP,
    one_that_renames_itself: RENAMES_ITSELF,
    one_in_a_new_session: NEW_SESSION,
    one_that_forks_again_and_again_in_new_sessions: REFORKS_IN_NEW_SESSIONS,
    a_daemon_without_environment_or_descriptors: DAEMON,
    one_with_its_own_process_group: OWN_PROCESS_GROUP,
    gnu_timeout: GNU_TIMEOUT,
    a_shell_with_job_control: SHELL_WITH_JOB_CONTROL,
}

mod one_that_changes_its_user {
    use super::{CHANGES_ITS_USER, in_a_cgroup, in_a_process_group, is_held};

    fn is_root() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            crate::contain::say("NOT RUN: one_that_changes_its_user: only root can");
        }
        root
    }

    #[tokio::test]
    async fn while_in_a_cgroup() {
        if is_root()
            && let Some(containment) = in_a_cgroup()
        {
            is_held(&containment, &CHANGES_ITS_USER).await;
        }
    }

    #[tokio::test]
    async fn while_in_a_process_group() {
        if is_root() {
            is_held(&in_a_process_group(), &CHANGES_ITS_USER).await;
        }
    }
}

#[tokio::test]
async fn one_that_moves_itself_to_the_parent_cgroup() {
    if let Some(containment) = in_a_cgroup() {
        is_held(&containment, &MOVES_TO_THE_PARENT_CGROUP).await;
    }
}

/// Only adoption finds one that has left its cgroup, its process group and its parent.
async fn one_that_moves_away_and_leaves_its_session_is_killed_and_told(containment: Containment) {
    const STRAY: Animal = animal(
        1,
        // It may be killed as soon as it has moved.
        "use POSIX; exit if fork; setsid; exit if fork; print \"$$\\n\"; \
         open my $f, '>', $ARGV[1] or die; print $f $$; close $f; sleep 1000 while 1",
    );
    pk::contain::adopt_orphans().unwrap();
    if containment.mechanism() != pk::contain::Mechanism::Cgroup {
        return;
    }
    let Released { group, pids, .. } = &released_into(&containment, &STRAY).await;
    until("it is killed", || !lives(&pids[0])).await;
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    let strays = pk::contain::take_strays();
    assert_eq!(strays.len(), 1, "{strays:?}");
    assert_eq!(strays[0].pid.to_string(), pids[0]);
    group.release().await.unwrap();
    until("it is reaped", || {
        !super::alone::children().contains(&pids[0])
    })
    .await;
}

super::alone::alone_under_each_mechanism! {
    one_that_moves_away_and_leaves_its_session_is_killed_and_told: ":",
}
