//! The whole zoo, for each way in which pk may end, under each mechanism.
//!
//! pk is the foreground job of a shell that stays the leader of its session. However it ends,
//! a second after the grace period there is no process and no cgroup of it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pk::contain::{Choice, Containment, Mechanism};
use rustix::process::{Pid, Signal, geteuid, getpgid, kill_process, kill_process_group};

use super::menagerie::{self, GRACE};
use super::shell::Shell;
use super::{Place, comm};
use crate::harness::{children, poll};

/// A second on an idle machine; ten times as much on one that has other things to do.
const LIMIT: Duration = Duration::from_secs(10);

/// One after the other: each makes a thousand processes.
static TURN: Mutex<()> = Mutex::new(());

/// A way to end.
#[derive(Clone, Copy, Debug)]
enum End {
    CtrlC,
    CtrlCTwice,
    /// By Ctrl-\.
    Quit,
    Terminate,
    /// The terminal is closed.
    HangUp,
    /// `pk down` from elsewhere.
    Down,
    PanicOfFace,
    PanicOfSupervisor,
    KillFace,
    KillSupervisor,
    KillGuard,
    /// Of the face's process group.
    KillJob,
    /// Of all that bear pk's name.
    KillByName,
    KillGuardThenSupervisor,
}

fn ends(end: End, mechanism: Mechanism) {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let own = own_cgroup();
    if mechanism == Mechanism::Cgroup && own.is_none() {
        crate::contain::say(&format!(
            "NOT RUN: {end:?} with cgroups: none can be written here"
        ));
        return;
    }
    let is_root = geteuid().is_root();
    let place = Place::new("");
    let flight = match (&own, mechanism) {
        (Some(own), Mechanism::Cgroup) => own.join("cgroup.procs").display().to_string(),
        (None, _) | (_, Mechanism::ProcessGroup | Mechanism::PidNamespace) => String::new(),
    };
    let pk = place.pk().display().to_string();
    let file = menagerie::zoo(&place.name, &flight, &pk, is_root);
    std::fs::write(place.path().join("pk.yaml"), file).unwrap();
    std::fs::create_dir(place.path().join("inner")).unwrap();
    std::fs::write(
        place.path().join("inner/pk.yaml"),
        menagerie::inner(&place.name),
    )
    .unwrap();
    let check = place.command(&["check"]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    let panicking = match end {
        End::PanicOfFace => Some("face"),
        End::PanicOfSupervisor => Some("supervisor"),
        End::CtrlC
        | End::CtrlCTwice
        | End::Quit
        | End::Terminate
        | End::HangUp
        | End::Down
        | End::KillFace
        | End::KillSupervisor
        | End::KillGuard
        | End::KillJob
        | End::KillByName
        | End::KillGuardThenSupervisor => None,
    };
    let panic = panicking.map_or_else(String::new, |who| format!("PK_TEST_PANIC={who}:panic "));
    shell.type_in(&format!(
        "{panic}./{} up --no-tui --containment {mechanism}; echo code $?\n",
        place.name
    ));
    let names = menagerie::names(is_root);
    let width = names.iter().map(|name| name.len()).max().unwrap();
    for unit in &names {
        shell.wait_for(&format!("{unit:<width$} > ready"), 1);
    }
    let face = shell.face(&place);
    let guard = poll("the guard", || children(face).first().copied());
    let supervisor = poll("the supervisor", || children(guard).first().copied());
    assert_eq!(comm(guard), "stack-guard");
    let kept = [shell.terminal(), shell.bash()];
    let left = || -> Vec<(i32, String)> {
        let mut members = place.members();
        members.retain(|(pid, _)| !kept.contains(&Pid::from_raw(*pid).unwrap()));
        members
    };
    poll("the whole zoo", || (left().len() > 500).then_some(()));

    let kill = |pid: Pid| kill_process(pid, Signal::KILL).unwrap();
    match end {
        End::CtrlC => shell.type_in("\x03"),
        End::CtrlCTwice => {
            shell.type_in("\x03");
            shell.wait_for("stopping; Ctrl-C again", 1);
            shell.type_in("\x03");
        }
        End::Quit => shell.type_in("\x1c"),
        End::Terminate => kill_process(face, Signal::TERM).unwrap(),
        End::HangUp => kill(shell.terminal()),
        End::Down => {
            let output = place.command(&["down"]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        End::PanicOfFace | End::PanicOfSupervisor => {
            std::fs::write(place.path().join("panic"), "").unwrap();
        }
        End::KillFace => kill(face),
        End::KillSupervisor => kill(supervisor),
        End::KillGuard => kill(guard),
        End::KillJob => {
            let job = getpgid(Some(face)).unwrap();
            kill_process_group(job, Signal::KILL).unwrap();
        }
        End::KillByName => place.kill_by_name(),
        End::KillGuardThenSupervisor => {
            kill(guard);
            kill(supervisor);
        }
    }
    let began = Instant::now();
    let cgroups = || {
        let name = format!("pk.{}.", supervisor.as_raw_nonzero());
        let entries = own.iter().flat_map(|own| std::fs::read_dir(own).unwrap());
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|other| other.starts_with(&name))
            .collect::<Vec<_>>()
    };
    loop {
        let (processes, cgroups) = (left(), cgroups());
        if processes.is_empty() && cgroups.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < GRACE + LIMIT,
            "left: {:#?} {cgroups:?}\n{}",
            processes.iter().take(20).collect::<Vec<_>>(),
            shell.screen()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    crate::contain::say(&format!("{end:?} with {mechanism}: gone after {took:?}"));
    let code = match end {
        End::CtrlC | End::CtrlCTwice => 130,
        End::Quit => 131,
        End::Terminate => 143,
        End::Down => 0,
        End::PanicOfFace => 101,
        End::KillFace | End::KillJob | End::KillByName => 137,
        End::PanicOfSupervisor
        | End::KillSupervisor
        | End::KillGuard
        | End::KillGuardThenSupervisor => 1,
        End::HangUp => return,
    };
    shell.wait_for(&format!("code {code}"), 1);
}

/// Where a pk started from here makes its cgroups, if it may.
fn own_cgroup() -> Option<PathBuf> {
    let containment = Containment::choose(Choice::Only(Mechanism::Cgroup)).ok()?;
    Some(containment.stand_path()?.parent()?.to_owned())
}

macro_rules! matrix {
    ($($name:ident: $end:ident,)+) => {$(
        mod $name {
            #[test]
            fn in_cgroups() {
                super::ends(super::End::$end, pk::contain::Mechanism::Cgroup);
            }

            #[test]
            fn in_process_groups() {
                super::ends(super::End::$end, pk::contain::Mechanism::ProcessGroup);
            }
        }
    )+};
}

matrix! {
    ctrl_c: CtrlC,
    ctrl_c_twice: CtrlCTwice,
    sigquit: Quit,
    sigterm: Terminate,
    a_closed_terminal: HangUp,
    down: Down,
    a_panic_of_the_face: PanicOfFace,
    a_panic_of_the_supervisor: PanicOfSupervisor,
    sigkill_of_the_face: KillFace,
    sigkill_of_the_supervisor: KillSupervisor,
    sigkill_of_the_guard: KillGuard,
    sigkill_of_the_job: KillJob,
    sigkill_of_all_of_that_name: KillByName,
    sigkill_of_the_guard_then_the_supervisor: KillGuardThenSupervisor,
}
