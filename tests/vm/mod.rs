//! Limits and delegation, in a small virtual machine: hosts often bind the controllers that
//! it takes to cgroup v1, and would have to be root's.
//!
//! It boots the kernel of the package `linux-image-cloud-amd64` (or any other in `/boot`) with
//! pk and busybox in memory, runs each scenario once, and turns itself off. What it printed on
//! its serial line is what the tests look at.

mod initramfs;
mod scenarios;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use initramfs::{Initramfs, stripped};
use scenarios::{SCENARIOS, Scenario};

/// How long the machine may take for all, on a busy host and without any help of hardware.
const LIMIT: Duration = Duration::from_secs(400);

const QEMU: &str = "qemu-system-x86_64";

/// The first process of the machine.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp NO_COLOR=1 XDG_RUNTIME_DIR=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts; mount -t devpts pts /dev/pts; mount -t tmpfs tmp /tmp
mount -t cgroup2 none /sys/fs/cgroup
cd /sys/fs/cgroup
echo; echo "controllers: $(cat cgroup.controllers)"
echo "+cpu +memory +pids" >cgroup.subtree_control
mkdir alone delegated shared part part/given foreign killed
echo "+cpu +pids" >part/cgroup.subtree_control
chown -R 1000:1000 delegated shared part/given
echo 0 >/proc/sys/kernel/printk
in_cgroup() {
  name=$1 who=$2; shift 2
  if [ $who = user ]; then
    sh -c "echo 0 >/sys/fs/cgroup/$name/cgroup.procs; exec su user -s /bin/sh -c 'exec $*'"
  else
    sh -c "echo 0 >/sys/fs/cgroup/$name/cgroup.procs; exec $*"
  fi
  left=$(find /sys/fs/cgroup/$name -mindepth 1 -type d)
  [ -z "$left" ] || echo "LEFT: $left"
}
eventually() {
  n=0
  until eval "$1" 2>/dev/null; do
    n=$((n+1)); [ $n -lt 150 ] || { echo "in vain: $1"; return; }
    sleep 0.1
  done
}
supervisor() {
  face=$(pk ps --output json | sed -n 's/^  "pid": \([0-9]*\),/\1/p')
  guard=$(echo $(cat /proc/$face/task/*/children))
  echo $(cat /proc/$guard/task/$guard/children)
}
for scenario in $(cat /scenarios); do
  cd /stacks/$scenario
  echo "==== $scenario"
  . ./run 2>&1 | cat
  echo "==== end of $scenario"
done
poweroff -f
"#;

/// What is missing to run a machine here.
fn missing(kernel: Option<&PathBuf>) -> Vec<&'static str> {
    let mut missing = Vec::new();
    let there = |program: &str| {
        let mut ran = Command::new(program);
        ran.arg("--help")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ran.status().is_ok()
    };
    if !cfg!(target_arch = "x86_64") {
        missing.push("a machine of x86_64");
    }
    if !there(QEMU) {
        missing.push("qemu-system-x86");
    }
    if !there("busybox") {
        missing.push("busybox-static");
    }
    if kernel.is_none() {
        missing.push("a kernel in /boot that can be read (linux-image-cloud-amd64)");
    }
    missing
}

fn kernel() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/boot").ok()?;
    let mut images: Vec<PathBuf> = (entries.flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"))
        .map(|entry| entry.path())
        .filter(|path| std::fs::File::open(path).is_ok())
        .collect();
    images.sort();
    images.pop()
}

/// What the machine printed; `None`: it cannot be run here.
fn console() -> Option<&'static str> {
    static CONSOLE: OnceLock<Option<String>> = OnceLock::new();
    let console = CONSOLE.get_or_init(|| {
        let kernel = kernel();
        let missing = missing(kernel.as_ref());
        if missing.is_empty() {
            return Some(boot(&kernel?));
        }
        let text = format!("missing: {}", missing.join(", "));
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
        say(&format!("NOT RUN: tests in a virtual machine, {text}"));
        None
    });
    // Each test says so, rather than waiting for a machine of its own.
    assert!(
        !console.as_ref().is_some_and(|text| text.ends_with(NO_END)),
        "{console:?}"
    );
    console.as_deref()
}

const NO_END: &str = "the machine did not end";

/// Past the capture of the test harness: whoever runs the tests shall know.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn boot(kernel: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("initramfs");
    std::fs::write(&image, system(folder.path())).unwrap();
    let mut qemu = Command::new(QEMU);
    qemu.args(["-accel", "tcg", "-m", "640M", "-nographic", "-no-reboot"]);
    qemu.args(["-net", "none", "-monitor", "none", "-serial", "stdio"]);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(&image);
    let line = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off rdinit=/init";
    qemu.args(["-append", line]);
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).replace('\r', "")
    });
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            let _ = child.wait();
            return reader.join().unwrap() + NO_END;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = reader.join().unwrap();
    say(&format!("the machine ran for {:.1?}", began.elapsed()));
    text
}

fn system(folder: &Path) -> Vec<u8> {
    let mut system = Initramfs::default();
    system.console();
    for path in ["/proc", "/sys", "/tmp", "/dev"] {
        system.folder(path);
    }
    let busybox = Command::new("sh")
        .args(["-c", "command -v busybox"])
        .output()
        .unwrap();
    let busybox = String::from_utf8(busybox.stdout).unwrap();
    system.program(Path::new(busybox.trim()), "/bin/busybox");
    let pk = stripped(Path::new(env!("CARGO_BIN_EXE_pk")), folder);
    system.program(&pk, "/bin/pk");
    system.link("/bin/sh", "busybox");
    system.file("/init", 0o755, INIT.as_bytes());
    system.file(
        "/etc/passwd",
        0o644,
        b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n",
    );
    system.file("/etc/group", 0o644, b"root:x:0:\nuser:x:1000:\n");
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    system.file("/scenarios", 0o644, names.join(" ").as_bytes());
    for Scenario { name, yaml, run } in SCENARIOS {
        system.file(&format!("/stacks/{name}/pk.yaml"), 0o644, yaml.as_bytes());
        system.file(
            &format!("/stacks/{name}/run"),
            0o644,
            format!("{run}\n").as_bytes(),
        );
    }
    system.finish()
}

/// What one scenario printed. `None`: there is no machine to be had.
fn shown(name: &str) -> Option<String> {
    let console = console()?;
    let begin = format!("==== {name}\n");
    let end = format!("==== end of {name}");
    let from = console.find(&begin).map(|at| at + begin.len());
    let text = from.and_then(|from| console[from..].split(&end).next());
    Some(
        text.unwrap_or_else(|| panic!("no {name} in:\n{console}"))
            .to_owned(),
    )
}

#[track_caller]
fn assert_shows(name: &str, texts: &[&str]) {
    let Some(shown) = shown(name) else { return };
    for text in texts {
        assert!(shown.contains(text), "{text:?} is not in\n{shown}");
    }
    assert!(!shown.contains("LEFT: "), "cgroups are left:\n{shown}");
}

#[test]
fn the_machine_has_every_controller_on_v2() {
    let Some(console) = console() else { return };
    let line = console
        .lines()
        .find(|line| line.starts_with("controllers: "));
    let line = line.unwrap_or_else(|| panic!("in:\n{console}"));
    for controller in ["cpu", "memory", "pids", "io"] {
        assert!(line.split(' ').any(|word| word == controller), "{line}");
    }
}

#[test]
fn a_unit_over_its_memory_fails_with_that_reason() {
    assert_shows(
        "memory",
        &[
            "hog > failed after",
            ": out of memory (limit 32MiB): SIGKILL",
        ],
    );
}

#[test]
fn also_where_it_is_a_child_that_is_killed_and_after_a_restart() {
    assert_shows(
        "restarted",
        &[
            "out of memory (limit 32MiB): exit code 9, gave up after 1 restart",
            "fine | fine\n",
        ],
    );
}

#[test]
fn processor_time_is_limited() {
    assert_shows("cpus", &["| max: 25000 100000\n", "| was throttled\n"]);
}

#[test]
fn the_number_of_processes_is_limited() {
    assert_shows("pids", &["can't fork", "others | all\n"]);
    let Some(shown) = shown("pids") else { return };
    assert!(!shown.contains("forks  | all"), "{shown}");
}

const HELD: [&str; 4] = [
    "held in cgroups",
    "out of memory (limit 32MiB): SIGKILL",
    "can't fork",
    "mild  | ran\n",
];

#[test]
fn in_a_cgroup_of_its_own_pk_goes_into_a_leaf_first() {
    assert_shows("own-cgroup", &HELD);
    let Some(shown) = shown("own-cgroup") else {
        return;
    };
    assert!(!shown.contains("is not enforced"), "{shown}");
}

#[test]
fn an_ordinary_user_uses_what_is_delegated() {
    assert_shows("delegated", &HELD);
    let Some(shown) = shown("delegated") else {
        return;
    };
    assert!(!shown.contains("is not enforced"), "{shown}");
}

#[test]
fn where_others_live_in_the_same_cgroup_that_is_the_cause() {
    assert_shows(
        "shared",
        &[
            "held in cgroups",
            "limits.memory cannot be enforced: the memory controller cannot be used: \
             /sys/fs/cgroup/shared holds processes other than this one",
            "warning: limits.cpus is not enforced: ",
            "mild  | ran\n",
        ],
    );
}

#[test]
fn where_a_controller_is_not_passed_down_that_is_the_cause() {
    assert_shows(
        "without-memory",
        &[
            "held in cgroups",
            "limits.memory cannot be enforced: the memory controller is not delegated to \
             /sys/fs/cgroup/part/given",
            "warning: limits.memory is not enforced: ",
            "can't fork",
            "mild  | ran\n",
        ],
    );
}

#[test]
fn where_a_subtree_may_not_be_written_that_is_the_cause() {
    assert_shows(
        "foreign",
        &[
            "held by a keeper per run (no cgroup: ",
            "limits.memory cannot be enforced: a limit on memory takes cgroups, and there are \
             none: no cgroup: /sys/fs/cgroup/foreign",
            "mild  | ran\n",
        ],
    );
}

#[test]
fn a_killed_supervisor_leaves_no_leaf() {
    assert_shows("killed", &[".leaf/", "passed on: .\n"]);
    let Some(shown) = shown("killed") else { return };
    assert!(!shown.contains("LEFT"), "{shown}");
}

/// The date is set a year ahead and back all the time: what waits, waits as long as it should.
#[test]
fn a_clock_that_jumps_moves_no_wait() {
    let Some(shown) = shown("clock") else { return };
    let after = |begin: &str| -> f64 {
        let at = shown
            .find(begin)
            .unwrap_or_else(|| panic!("no {begin:?} in\n{shown}"));
        let rest = &shown[at + begin.len()..];
        let number = rest.split('s').next().unwrap();
        number
            .parse()
            .unwrap_or_else(|_| panic!("{number:?} after {begin:?} in\n{shown}"))
    };
    // A slow machine makes each longer by some seconds; a year is more than that.
    assert!(
        (3.5..20.0).contains(&after("slow  > ready after ")),
        "{shown}"
    );
    for text in [
        "flaps > restart 1/3 in 1s",
        "gave up after 3 restarts",
        "8s",
    ] {
        assert!(shown.contains(text), "{text:?} in\n{shown}");
    }
    assert!(
        (12.0..40.0).contains(&after("clock ended after ")),
        "{shown}"
    );
}

#[test]
fn where_the_queue_of_events_is_short_what_is_lost_is_found() {
    assert_shows(
        "overflow",
        &["some events", "api | has one\n", "api | has two\n"],
    );
}

#[test]
fn where_numbers_are_few_no_stranger_feels_a_signal() {
    let Some(shown) = shown("few-numbers") else {
        return;
    };
    crate::processes::reuse::assert_untouched(&shown);
}
