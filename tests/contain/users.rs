//! All of this once more as an ordinary user: where no cgroup can be written, and inside a
//! subtree that was delegated. Only root can make both.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pk::contain::SpawnRequest;

use super::{MUST, in_a_cgroup, say, sh};

/// Whom no file here belongs to.
const NOBODY: &str = "65534";

/// Whether this is root; a test that cannot run says so.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(&format!(
            "NOT RUN: {test}: only root can become another user"
        ));
    }
    root
}

/// Runs every other test of this module's parent as that user, after `prepare`.
fn run_all(prepare: &str, dir: &str) -> Command {
    let script = format!(
        "{prepare} exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$0\" \"$@\""
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["contain::", "--skip", "contain::users"])
        .current_dir("/")
        .env("DIR", dir)
        .env_remove("CI")
        .env("HOME", "/")
        .env_remove("TMPDIR");
    command
}

fn passed(ran: &Output) -> String {
    let said = String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned();
    assert!(ran.status.success() && said.contains(" 0 failed"), "{said}");
    said
}

#[test]
fn an_ordinary_user_without_a_writable_cgroup() {
    if !is_root("an_ordinary_user_without_a_writable_cgroup") {
        return;
    }
    let said = passed(&run_all("", "").output().unwrap());
    // What needs a cgroup did not run, and says so.
    assert!(said.contains("NOT RUN"), "{said}");
    assert!(said.contains("cannot be written"), "{said}");
}

/// A cgroup of another user, removed when it is dropped.
struct Delegated(PathBuf);

impl Delegated {
    fn below(own: &Path) -> Self {
        let path = own.join(format!("pk-delegated-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let number = NOBODY.parse().ok();
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.threads",
        ] {
            std::os::unix::fs::chown(path.join(file), number, number).unwrap();
        }
        Self(path)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[tokio::test]
async fn an_ordinary_user_in_a_delegated_subtree() {
    if !is_root("an_ordinary_user_in_a_delegated_subtree") {
        return;
    }
    let Some(containment) = in_a_cgroup() else {
        return;
    };
    let group = containment.group();
    let _running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
    let own = group.cgroup_path().unwrap().ancestors().nth(2).unwrap();
    let delegated = Delegated::below(own);
    let dir = delegated.0.to_str().unwrap().to_owned();
    let said = tokio::task::spawn_blocking(move || {
        let mut command = run_all("echo $$ >\"$DIR/cgroup.procs\" &&", &dir);
        passed(&command.env(MUST, "1").output().unwrap())
    })
    .await
    .unwrap();
    assert!(!said.contains("no cgroup can be made"), "{said}");
    let left: Vec<_> = std::fs::read_dir(&delegated.0)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
