//! Each way in which a program cannot be started, with the words that a person gets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pk::contain::{Containment, SpawnCause, SpawnError, SpawnRequest, StageRequest, Step};

use super::{exists, lives, sh, until};

fn refused(containment: &Containment, stage: StageRequest) -> SpawnError {
    containment
        .group()
        .spawn(&SpawnRequest::command(stage))
        .expect_err("it was started")
}

fn file(dir: &tempfile::TempDir, name: &str, text: &str, mode: u32) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn a_name_that_is_in_no_folder_of_the_path(containment: Containment) {
    let error = refused(
        &containment,
        StageRequest::new(["no-such-program", "-x"], "/").with_environment([("PATH", "/a:/b")]),
    );
    assert_eq!(
        error.to_string(),
        "command not found: `no-such-program` is in no folder of PATH"
    );
    assert_eq!(error.step(), Step::Resolve);
}

async fn a_path_that_does_not_exist(containment: Containment) {
    let error = refused(&containment, StageRequest::new(["./no/such"], "/tmp"));
    assert_eq!(
        error.to_string(),
        "command not found: /tmp/./no/such does not exist"
    );
}

async fn an_empty_command(containment: Containment) {
    let nothing: [&str; 0] = [];
    let error = refused(&containment, StageRequest::new(nothing, "/"));
    assert!(matches!(error.cause, SpawnCause::EmptyCommand), "{error}");
    let error = containment
        .group()
        .spawn(&SpawnRequest::pipeline(Vec::new()))
        .unwrap_err();
    assert!(matches!(error.cause, SpawnCause::EmptyCommand), "{error}");
}

async fn a_file_that_is_not_executable(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let script = file(&dir, "script", "#!/bin/sh\n", 0o644);
    let error = refused(&containment, StageRequest::new([&script], "/"));
    assert!(
        matches!(&error.cause, SpawnCause::NotExecutable(path) if path.to_str() == Some(&script)),
        "{error}"
    );
    // Also when it is found in the PATH, where it is passed over for a better one.
    let search = dir.path().to_str().unwrap();
    let error = refused(
        &containment,
        StageRequest::new(["script"], "/").with_environment([("PATH", search)]),
    );
    assert!(
        matches!(error.cause, SpawnCause::NotExecutable(_)),
        "{error}"
    );
}

async fn a_folder(containment: Containment) {
    let error = refused(&containment, StageRequest::new(["/tmp"], "/"));
    assert_eq!(error.to_string(), "cannot execute /tmp: it is a directory");
}

async fn a_script_whose_interpreter_is_missing(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let script = file(&dir, "script", "#!/no/such/interpreter -x\n", 0o755);
    let error = refused(&containment, StageRequest::new([&script], "/"));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot execute {script}: its first line names the interpreter \
             `/no/such/interpreter`, which does not exist"
        )
    );
    let script = file(&dir, "dos", "#!/bin/sh\r\necho hi\r\n", 0o755);
    let error = refused(&containment, StageRequest::new([&script], "/"));
    assert!(error.to_string().contains(r"`/bin/sh\r`"), "{error}");
}

async fn a_file_that_is_no_program(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let script = file(&dir, "script", "echo hi\n", 0o755);
    let error = refused(&containment, StageRequest::new([&script], "/"));
    assert!(matches!(error.cause, SpawnCause::BadFormat(_)), "{error}");
}

async fn arguments_that_are_too_long(containment: Containment) {
    let error = refused(
        &containment,
        StageRequest::new(["true", &"x".repeat(4 << 20)], "/"),
    );
    assert!(
        matches!(error.cause, SpawnCause::TooLong { bytes } if bytes > 4 << 20),
        "{error}"
    );
}

async fn working_directories(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = refused(&containment, StageRequest::new(["true"], &missing));
    assert_eq!(
        error.to_string(),
        format!("working directory does not exist: {}", missing.display())
    );
    assert_eq!(error.step(), Step::WorkingDir);

    let plain = file(&dir, "plain", "", 0o644);
    let error = refused(&containment, StageRequest::new(["true"], &plain));
    assert!(
        matches!(error.cause, SpawnCause::WorkingDirNotADirectory(_)),
        "{error}"
    );
    let error = refused(
        &containment,
        StageRequest::new(["true"], format!("{plain}/x")),
    );
    assert!(
        matches!(error.cause, SpawnCause::WorkingDirNotADirectory(_)),
        "{error}"
    );

    // Root may enter any folder.
    if !rustix::process::geteuid().is_root() {
        let shut = dir.path().join("shut");
        fs::create_dir(&shut).unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o600)).unwrap();
        let error = refused(&containment, StageRequest::new(["true"], &shut));
        assert!(
            matches!(error.cause, SpawnCause::WorkingDirDenied(_)),
            "{error}"
        );
    }
}

async fn a_stage_that_cannot_start_takes_those_before_it_along(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let script = file(&dir, "script", "#!/no/such/interpreter\n", 0o755);
    let pid_file = dir.path().join("pid");
    // The pipe's write end is held until the second stage failed, so the first may not have
    // got far; what it has started by then must go as well.
    let mut first = sh("echo $$ >pid; trap '' TERM; sleep 1000");
    first.working_dir = dir.path().to_path_buf();
    let group = containment.group();
    let error = group
        .spawn(&SpawnRequest::pipeline(vec![
            first,
            StageRequest::new([&script], "/"),
        ]))
        .unwrap_err();
    assert_eq!((error.stage, error.stages), (1, 2));
    assert!(error.to_string().starts_with("stage 2: cannot execute"));
    super::soon(group.emptied()).await.unwrap();
    if let Ok(pid) = fs::read_to_string(&pid_file)
        && let Ok(number) = pid.trim().parse()
    {
        until("it is reaped", || !lives(pid.trim()) && !exists(number)).await;
    }
    // The group can be used all the same.
    let _running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
}

async fn a_released_group_starts_nothing(containment: Containment) {
    let (group, running) = super::spawn(&containment, "true");
    super::soon(running.exited()).await.unwrap();
    super::soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
    let error = group.spawn(&SpawnRequest::command(sh("true"))).unwrap_err();
    assert!(matches!(error.cause, SpawnCause::Released), "{error}");
}

super::under_each_mechanism! {
    a_name_that_is_in_no_folder_of_the_path,
    a_path_that_does_not_exist,
    an_empty_command,
    a_file_that_is_not_executable,
    a_folder,
    a_script_whose_interpreter_is_missing,
    a_file_that_is_no_program,
    arguments_that_are_too_long,
    working_directories,
    a_stage_that_cannot_start_takes_those_before_it_along,
    a_released_group_starts_nothing,
}
