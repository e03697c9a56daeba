//! The whole zoo, for each way in which pk may end, under each mechanism.
//!
//! pk is the foreground job of a shell that stays the leader of its session. However it ends,
//! a second after the grace period there is no process and no cgroup of it.

use std::os::unix::fs::MetadataExt as _;
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

/// Of the columns of an ordinary user, who is made for them: only root can.
const ORDINARY: u32 = 65534;

/// A way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Each unit's first process ends; pk goes on.
    OfUnits,
    /// Every unit is restarted; pk goes on.
    Restart,
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
    /// Of all of pk's own processes, by whatever name, in one go.
    KillAll,
}

/// Who runs pk, and how runs are held together.
#[derive(Clone, Copy, Debug)]
struct Column {
    mechanism: Mechanism,
    ordinary: bool,
}

/// Where pk makes its cgroups.
struct Ground {
    path: PathBuf,
    /// Made for this test, and handed to the user.
    delegated: bool,
}

impl Ground {
    fn of(column: Column, place: &Place) -> Result<Option<Self>, &'static str> {
        let own = own_cgroup();
        match column {
            Column { ordinary: true, .. } => {
                if !geteuid().is_root() {
                    return Err("only root can be another user");
                }
                let own = own.ok_or("no cgroup can be written here");
                if column.mechanism != Mechanism::Cgroup {
                    return Ok(None);
                }
                let path = own?.join(&place.name);
                for path in [path.clone(), path.join("shell")] {
                    std::fs::create_dir(&path).unwrap();
                    for file in [
                        ".",
                        "cgroup.procs",
                        "cgroup.threads",
                        "cgroup.subtree_control",
                    ] {
                        let file = path.join(file);
                        std::os::unix::fs::chown(file, Some(ORDINARY), Some(ORDINARY)).unwrap();
                    }
                }
                let path = path.join("shell");
                let delegated = true;
                Ok(Some(Self { path, delegated }))
            }
            Column {
                mechanism: Mechanism::Cgroup,
                ..
            } => {
                let path = own.ok_or("no cgroup can be written here")?;
                let delegated = false;
                Ok(Some(Self { path, delegated }))
            }
            Column {
                mechanism: Mechanism::PidNamespace,
                ..
            } => Containment::choose(Choice::Only(Mechanism::PidNamespace))
                .map(|_| None)
                .map_err(|_| "no pid namespace can be made here"),
            Column {
                mechanism: Mechanism::ProcessGroup,
                ..
            } => Ok(None),
        }
    }

    /// Of the supervisor, or, where nobody else makes any, all.
    fn cgroups(&self, supervisor: Pid) -> Vec<String> {
        let name = format!("pk.{}.", supervisor.as_raw_nonzero());
        let entries = std::fs::read_dir(&self.path).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = folders.map(|entry| entry.file_name().into_string().unwrap());
        names
            .filter(|other| self.delegated || other.starts_with(&name))
            .collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.delegated {
            // The shell is on its way out.
            let deadline = Instant::now() + LIMIT;
            while std::fs::remove_dir(&self.path).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = std::fs::remove_dir(self.path.parent().unwrap());
        }
    }
}

fn ends(end: End, column: Column) {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let Column {
        mechanism,
        ordinary,
    } = column;
    let whose = if ordinary { ", as a user" } else { "" };
    let place = if ordinary && geteuid().is_root() {
        Place::of(ORDINARY)
    } else {
        Place::new("")
    };
    let ground = match Ground::of(column, &place) {
        Ok(ground) => ground,
        Err(why) => {
            let cell = format!("{end:?} with {mechanism}{whose}");
            crate::contain::say(&format!("NOT RUN: {cell}: {why}"));
            return;
        }
    };
    let is_root = geteuid().is_root() && !ordinary;
    write_zoo(end, &place, ground.as_ref(), is_root);
    let check = place.command(&["check"]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let cgroup = (ground.as_ref()).filter(|ground| ground.delegated);
    let cgroup = cgroup.map(|ground| ground.path.as_path());
    let Some(mut shell) = Shell::open_in(&place, cgroup) else {
        return;
    };
    let panicking = match end {
        End::PanicOfFace => Some("face"),
        End::PanicOfSupervisor => Some("supervisor"),
        End::OfUnits
        | End::Restart
        | End::CtrlC
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
        | End::KillGuardThenSupervisor
        | End::KillAll => None,
    };
    let panic = panicking.map_or_else(String::new, |who| format!("PK_TEST_PANIC={who}:panic "));
    let keep = if end == End::OfUnits {
        " --keep-project"
    } else {
        ""
    };
    shell.type_in(&format!(
        "{panic}./{} up --no-tui{keep} --containment {mechanism}; echo code $?\n",
        place.name
    ));
    if end == End::OfUnits {
        // Some leaders are gone before they are ready, and their runs with them.
        poll("every unit under way", || {
            units(&place)
                .is_some_and(|units| units.all_began)
                .then_some(())
        });
    } else {
        wait_until_ready(&shell, is_root, 1);
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
    if matches!(end, End::OfUnits | End::Restart) {
        let own = |pid: i32| {
            let pid = Pid::from_raw(pid).unwrap();
            [face, guard, supervisor].contains(&pid) || comm(pid) == "run-zygote"
        };
        let members = || -> Vec<(i32, String)> {
            let members = left().into_iter();
            members.filter(|(pid, _)| !own(*pid)).collect()
        };
        let former: Vec<_> = members()
            .iter()
            .map(|(pid, _)| (*pid, born(*pid)))
            .collect();
        let began = Instant::now();
        if end == End::OfUnits {
            for leader in units(&place).unwrap().leaders {
                let _ = kill_process(leader, Signal::KILL);
            }
            gone(&shell, began, members);
        } else {
            let output = place.command(&["restart", "--all"]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            wait_until_ready(&shell, is_root, 2);
            gone(&shell, began, || {
                let mut members = members();
                members.retain(|(pid, _)| former.contains(&(*pid, born(*pid))));
                members
            });
        }
        let took = began.elapsed();
        crate::contain::say(&format!(
            "{end:?} with {mechanism}{whose}: gone after {took:?}"
        ));
        let output = place.command(&["down"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    } else {
        bring_about(end, &place, &mut shell, [face, guard, supervisor], &left);
    }
    let began = Instant::now();
    gone(&shell, began, || {
        let cgroups = ground.iter().flat_map(|ground| ground.cgroups(supervisor));
        left()
            .into_iter()
            .chain(cgroups.map(|name| (0, name)))
            .collect()
    });
    let took = began.elapsed();
    crate::contain::say(&format!(
        "{end:?} with {mechanism}{whose}: gone after {took:?}"
    ));
    let code = match end {
        End::CtrlC | End::CtrlCTwice => 130,
        End::Quit => 131,
        End::Terminate => 143,
        End::Down | End::Restart => 0,
        End::PanicOfFace => 101,
        End::KillFace | End::KillJob | End::KillByName | End::KillAll => 137,
        End::OfUnits
        | End::PanicOfSupervisor
        | End::KillSupervisor
        | End::KillGuard
        | End::KillGuardThenSupervisor => 1,
        End::HangUp => return,
    };
    shell.wait_for(&format!("code {code}"), 1);
}

/// Ends pk, which goes on otherwise.
fn bring_about(
    end: End,
    place: &Place,
    shell: &mut Shell,
    [face, guard, supervisor]: [Pid; 3],
    left: &dyn Fn() -> Vec<(i32, String)>,
) {
    let kill = |pid: Pid| kill_process(pid, Signal::KILL).unwrap();
    match end {
        End::OfUnits | End::Restart => unreachable!("pk goes on"),
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
        End::KillAll => {
            let own = left().into_iter().filter_map(|(pid, _)| Pid::from_raw(pid));
            let own: Vec<_> = own.filter(|pid| runs_pk(*pid, place)).collect();
            assert!(
                own.len() > 4,
                "face, guard, supervisor, zygote and keepers: {own:?}"
            );
            for pid in own {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Whether it is a process of pk, by whatever name.
fn runs_pk(pid: Pid, place: &Place) -> bool {
    let program = std::fs::metadata(format!("/proc/{}/exe", pid.as_raw_nonzero()));
    let own = std::fs::metadata(place.pk()).unwrap();
    program.is_ok_and(|program| (program.dev(), program.ino()) == (own.dev(), own.ino()))
}

/// When a process began, in ticks: with its number it is the same for no other.
fn born(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    rest.split_ascii_whitespace().nth(19).map(str::to_owned)
}

fn write_zoo(end: End, place: &Place, ground: Option<&Ground>, is_root: bool) {
    let flight = ground.map_or_else(String::new, |ground| {
        ground.path.join("cgroup.procs").display().to_string()
    });
    let lifetime = if end == End::OfUnits {
        "leader"
    } else {
        "group"
    };
    let pk = place.pk().display().to_string();
    let file = menagerie::zoo(&place.name, &flight, &pk, is_root, lifetime);
    std::fs::write(place.path().join("pk.yaml"), file).unwrap();
    std::fs::create_dir(place.path().join("inner")).unwrap();
    place.hand_over("inner");
    let inner = menagerie::inner(&place.name);
    std::fs::write(place.path().join("inner/pk.yaml"), inner).unwrap();
}

/// Waits until there is nobody left.
#[track_caller]
fn gone(shell: &Shell, began: Instant, left: impl Fn() -> Vec<(i32, String)>) {
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(
            began.elapsed() < GRACE + LIMIT,
            "left: {:#?}\n{}",
            left.iter().take(20).collect::<Vec<_>>(),
            shell.screen()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_ready(shell: &Shell, is_root: bool, times: usize) {
    let names = menagerie::names(is_root);
    let width = names.iter().map(|name| name.len()).max().unwrap();
    for unit in &names {
        shell.wait_for(&format!("{unit:<width$} > ready"), times);
    }
}

/// What `pk ps` tells of the units.
struct Units {
    all_began: bool,
    leaders: Vec<Pid>,
}

fn units(place: &Place) -> Option<Units> {
    let output = place.command(&["ps", "--output", "json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let units = listed["units"].as_array()?;
    let is_over = |unit: &serde_json::Value| !unit["outcome"].is_null();
    let is_ready = |unit: &serde_json::Value| unit["readiness"] == "ready";
    let pid = |unit: &serde_json::Value| Pid::from_raw(i32::try_from(unit["pid"].as_i64()?).ok()?);
    Some(Units {
        all_began: units.iter().all(|unit| is_over(unit) || is_ready(unit)),
        leaders: units
            .iter()
            .filter(|unit| !is_over(unit))
            .filter_map(pid)
            .collect(),
    })
}
/// Where a pk started from here makes its cgroups, if it may.
pub fn own_cgroup() -> Option<PathBuf> {
    let containment = Containment::choose(Choice::Only(Mechanism::Cgroup)).ok()?;
    Some(containment.stand_path()?.parent()?.to_owned())
}

macro_rules! cells {
    ($end:ident: $($name:ident: $mechanism:ident, $ordinary:literal;)+) => {$(
        #[test]
        fn $name() {
            let mechanism = pk::contain::Mechanism::$mechanism;
            let ordinary = $ordinary;
            super::ends(super::End::$end, super::Column { mechanism, ordinary });
        }
    )+};
}

macro_rules! matrix {
    ($($name:ident: $end:ident,)+) => {$(
        mod $name {
            cells! {
                $end:
                in_cgroups: Cgroup, false;
                in_process_groups: ProcessGroup, false;
                in_pid_namespaces: PidNamespace, false;
                as_a_user_in_cgroups: Cgroup, true;
                as_a_user_in_process_groups: ProcessGroup, true;
            }
        }
    )+};
}

matrix! {
    units_that_end: OfUnits,
    a_restart: Restart,
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

/// Nobody is left to clean up but the kernel.
mod sigkill_of_all_of_pk {
    cells! {
        KillAll:
        in_pid_namespaces: PidNamespace, false;
    }
}
