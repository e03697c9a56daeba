//! pk beside the original, where that is to be had.
//!
//! `PROCESS_COMPOSE` names the program, or it is found on `PATH`. It is
//! `go install github.com/f1bonacc1/process-compose@v1.122.0`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::behaviour::{files, trace};
use super::cases::{CASES, Case, Original, REFUSED};

fn original() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PROCESS_COMPOSE") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("process-compose"))
        .find(|path| path.is_file() && !is_pk(path))
}

/// pk answers to that name as well.
fn is_pk(program: &Path) -> bool {
    let output = Command::new(program).arg("version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("pk "))
}

fn in_folder(program: &Path, text: &str, args: &[&str]) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files(text) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(folder.path())
        .env("OS", "os")
        .env("TRACE", folder.path().join("trace"))
        .env("PC_LOG_FILE", folder.path().join("own.log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (folder, command)
}

/// The exit code; `None`: it did not end in time and was killed.
fn ended(mut command: Command) -> Option<i32> {
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn compare(program: &Path, case: &Case) -> Result<(), String> {
    let mut args = vec!["--no-server", "-t=false", "up"];
    args.extend(case.args);
    let (folder, command) = in_folder(program, case.files, &args);
    let code = ended(command);
    let told = trace(&folder.path().join("trace"), case.sorted);
    let same = told == case.trace;
    let found = || format!("{}: it ends with {code:?} and writes `{told}`", case.name);
    match case.original {
        Original::Same if same && code == Some(case.code) => Ok(()),
        Original::Code(other, _) if same && code == Some(other) => Ok(()),
        Original::Other(_) if !same || code != Some(case.code) => Ok(()),
        Original::Same | Original::Code(..) => Err(found()),
        Original::Other(row) => Err(format!("{}, so there is no difference: {row}", found())),
    }
}

#[test]
fn the_original_does_the_same_but_for_the_table() {
    let Some(program) = original() else {
        eprintln!(
            "did not run: there is no process-compose; `PROCESS_COMPOSE` names one, and \
             `go install github.com/f1bonacc1/process-compose@v1.122.0` makes one"
        );
        return;
    };
    let mut wrong: Vec<String> = CASES
        .iter()
        .filter_map(|case| compare(&program, case).err())
        .collect();
    for (name, text, _) in REFUSED {
        let (_folder, command) = in_folder(&program, text, &["--no-server", "--dry-run", "up"]);
        if ended(command) == Some(0) {
            wrong.push(format!("{name}: it is not refused"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
