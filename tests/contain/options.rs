//! What processes are given, what they may use, and what they have used.

use std::time::Duration;

use pk::contain::{
    Containment, LimitError, Limits, SpawnCause, SpawnError, SpawnOptions, SpawnRequest, Step, User,
};

use super::{in_a_cgroup, in_a_process_group, say, sh, soon, spawn, text, until};

/// What a shell with these options says.
async fn said(containment: &Containment, options: SpawnOptions, script: &str) -> String {
    let request = SpawnRequest::command(sh(script)).with_options(options);
    let group = containment.group();
    let mut running = group.spawn(&request).unwrap();
    let text = text(running.take_outputs().remove(0)).await;
    soon(running.exited()).await.unwrap();
    text.trim_end().to_owned()
}

fn refused(containment: &Containment, options: SpawnOptions) -> SpawnError {
    let request = SpawnRequest::command(sh("true")).with_options(options);
    containment.group().spawn(&request).unwrap_err()
}

async fn each_option_is_what_the_program_sees(containment: Containment) {
    let options = SpawnOptions {
        umask: Some(0o027),
        nice: Some(7),
        nofile: Some(123),
        ..SpawnOptions::default()
    };
    let seen = said(&containment, options, "umask; nice; ulimit -Sn; ulimit -Hn").await;
    assert_eq!(
        seen.lines().collect::<Vec<_>>(),
        ["0027", "7", "123", "123"]
    );
    // This process keeps its own.
    let plain = said(&containment, SpawnOptions::default(), "nice; ulimit -n").await;
    assert_ne!(plain.lines().collect::<Vec<_>>(), ["7", "123"]);
}

async fn a_session_of_its_own(containment: Containment) {
    let options = SpawnOptions {
        session: true,
        ..SpawnOptions::default()
    };
    let seen = said(&containment, options.clone(), "ps -o pid=,pgid=,sid= -p $$").await;
    let numbers: Vec<_> = seen.split_whitespace().collect();
    assert!(
        numbers.len() == 3 && numbers.iter().all(|n| n == &numbers[0]),
        "{seen}"
    );
    // A second one cannot join it; whoever holds the group holds both all the same.
    let request = SpawnRequest::pipeline(vec![sh("echo x"), sh("cat")]).with_options(options);
    let group = containment.group();
    let running = group.spawn(&request).unwrap();
    soon(running.exited()).await.unwrap();
}

async fn another_user_with_its_groups(containment: Containment) {
    if !rustix::process::geteuid().is_root() {
        let user = Some(User::parse("0:0").unwrap());
        let error = refused(
            &containment,
            SpawnOptions {
                user,
                ..SpawnOptions::default()
            },
        );
        assert_eq!(error.step(), Step::Options);
        assert!(
            error.to_string().starts_with("cannot change its user: "),
            "{error}"
        );
        return say("NOT RUN: another_user_with_its_groups: only root can become another user");
    }
    let user = Some(User {
        uid: 65534,
        gid: 65533,
        groups: vec![7, 8],
    });
    let options = SpawnOptions {
        user,
        ..SpawnOptions::default()
    };
    let seen = said(
        &containment,
        options,
        "id -u; id -g; id -G; grep CapEff /proc/self/status",
    )
    .await;
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[..3], ["65534", "65533", "65533 7 8"], "{seen}");
    assert!(lines[3].ends_with("0000000000000000"), "{seen}");
    // By name: as the user database has it.
    let root = User::parse("root").unwrap();
    assert_eq!((root.uid, root.gid), (0, 0));
    let nobody = User::parse("nobody:root").unwrap();
    assert_eq!((nobody.uid, nobody.gid, nobody.groups.len()), (65534, 0, 0));
    // This process can still be looked into: changing the user rubs off no longer than until
    // the child, perhaps that of a test beside this one, has executed its program.
    let deadline = std::time::Instant::now() + super::DEADLINE;
    while !rustix::process::dumpable_behavior()
        .is_ok_and(|kind| kind == rustix::process::DumpableBehavior::Dumpable)
    {
        assert!(std::time::Instant::now() < deadline, "undumpable for good");
        tokio::task::yield_now().await;
    }
}

async fn a_folder_that_the_user_may_not_enter(containment: Containment) {
    if !rustix::process::geteuid().is_root() {
        return say("NOT RUN: a_folder_that_the_user_may_not_enter: only root can be another user");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut stage = sh("true");
    stage.working_dir = dir.path().to_path_buf();
    let user = Some(User {
        uid: 65534,
        gid: 65534,
        groups: Vec::new(),
    });
    let options = SpawnOptions {
        user,
        ..SpawnOptions::default()
    };
    let request = SpawnRequest::command(stage).with_options(options);
    let error = containment.group().spawn(&request).unwrap_err();
    assert!(
        matches!(error.cause, SpawnCause::WorkingDirDenied(_)),
        "{error}"
    );
}

async fn an_option_that_is_refused_is_named(containment: Containment) {
    let error = refused(
        &containment,
        SpawnOptions {
            nofile: Some(u64::MAX - 1),
            ..SpawnOptions::default()
        },
    );
    assert_eq!(error.step(), Step::Options);
    assert!(
        error
            .to_string()
            .starts_with("cannot limit its open files: "),
        "{error}"
    );
    if !rustix::process::geteuid().is_root() {
        let nice = Some(-20);
        let error = refused(
            &containment,
            SpawnOptions {
                nice,
                ..SpawnOptions::default()
            },
        );
        assert!(
            error.to_string().starts_with("cannot set its nice value: "),
            "{error}"
        );
    }
}

/// Uses half a second of processor time, in a child that ends.
const BUSY: &str = "perl -e 'my $x; while ((times)[0] < 0.3) { $x++ }'; echo; exec sleep 1000";

async fn what_is_used_is_counted(containment: Containment) {
    let group = containment.group();
    assert_eq!(soon(group.stats()).await.unwrap().processes, 0);
    let before = soon(group.stats()).await.unwrap();
    let mut running = group.spawn(&SpawnRequest::command(sh(BUSY))).unwrap();
    let (_, _rest) = super::line(running.take_outputs().remove(0)).await;
    until("only one is left", || {
        std::fs::read_to_string(format!("/proc/{}/comm", running.pid()))
            .is_ok_and(|c| c == "sleep\n")
    })
    .await;
    // A program has its name before it has its memory.
    let stats = soon(async {
        loop {
            let stats = group.stats().await.unwrap();
            if stats.memory > 100_000 {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(
        stats.cpu >= Duration::from_millis(250),
        "of one that has ended: {stats:?}"
    );
    assert!(
        stats.cpu_user <= stats.cpu && stats.cpu < Duration::from_secs(20),
        "{stats:?}"
    );
    assert!(stats.cpu_percent_since(&before) > 0.0);
    assert_eq!(stats.processes, 1);
    assert!(
        stats.memory > 100_000 && stats.memory < 1 << 30,
        "{stats:?}"
    );
    assert!(stats.memory_peak >= stats.memory);
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    let after = soon(group.stats()).await.unwrap();
    assert_eq!((after.processes, after.memory), (0, 0));
    assert!(after.cpu >= stats.cpu, "{after:?} {stats:?}");
    group.release().await.unwrap();
    // What is known stays known.
    assert!(soon(group.stats()).await.unwrap().cpu >= stats.cpu);
}

async fn more_members_than_one_reading_holds(containment: Containment) {
    let (group, mut running) = spawn(
        &containment,
        "for i in $(seq 900); do sleep 1000 & done; echo; wait",
    );
    let (_, _rest) = super::line(running.take_outputs().remove(0)).await;
    assert_eq!(soon(group.stats()).await.unwrap().processes, 901);
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

#[tokio::test]
async fn a_limit_that_cannot_be_enforced_names_the_true_cause() {
    let limits = Limits {
        memory: Some(1 << 30),
        ..Limits::default()
    };
    let error = in_a_process_group().limited_group("x", limits).unwrap_err();
    assert!(
        matches!(
            error,
            LimitError::NoCgroup {
                controller: "memory",
                ..
            }
        ),
        "{error}"
    );
    let Some(containment) = in_a_cgroup() else {
        return;
    };
    let none = Limits {
        cpus: Some(-1.0),
        ..Limits::default()
    };
    let error = containment.limited_group("x", none).unwrap_err();
    assert!(matches!(error, LimitError::NoSuchShare(_)), "{error}");
    let table = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let on_v1 = table.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.first() == Some(&"memory") && fields.get(1) != Some(&"0")
    });
    match containment.limited_group("x", limits) {
        Err(error) if on_v1 => {
            let said = error.to_string();
            assert_eq!(said, "this host binds the memory controller to cgroup v1");
        }
        Err(LimitError::NotDelegated { .. } | LimitError::Occupied { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(group) => {
            let _running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
            let file = group.cgroup_path().unwrap().join("memory.max");
            assert_eq!(std::fs::read_to_string(file).unwrap().trim(), "1073741824");
        }
    }
}

super::under_each_mechanism! {
    each_option_is_what_the_program_sees,
    a_session_of_its_own,
    another_user_with_its_groups,
    a_folder_that_the_user_may_not_enter,
    an_option_that_is_refused_is_named,
    what_is_used_is_counted,
    more_members_than_one_reading_holds,
}
