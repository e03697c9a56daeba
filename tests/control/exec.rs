//! `pk exec`: a program beside a unit, in its environment and folder.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::{down, shop};
use crate::harness::{Pk, poll};

const STACK: &str = "\
name: shop
services:
  api:
    command: exec sleep 1000
    working_dir: inner
    environment: {COLOR: green, EMPTY: ''}
    umask: '0027'
    ports: {http: auto}
  web: {command: exec sleep 1000, replicas: 2, ports: {http: auto}}
tasks:
  seed: {command: 'true', environment: {COLOR: red}}
";

#[test]
fn a_program_runs_as_the_unit_does_and_its_exit_code_is_passed() {
    let stack = Pk::stack(STACK, ["up"]);
    std::fs::create_dir(stack.path("inner")).unwrap();
    let pk = stack.start();
    pk.wait_for("seed  > completed");
    pk.pk(["wait", "--all"]).assert_code(0);
    let inner = pk.folder().join("inner").canonicalize().unwrap();
    let ended = pk.pk([
        "exec",
        "api",
        "--",
        "sh",
        "-c",
        "echo $COLOR $PK_INSTANCE; pwd; umask",
    ]);
    ended.assert_code(0);
    assert_eq!(
        ended.stdout(),
        format!("green api\n{}\n0027\n", inner.display())
    );
    // Of each instance, also of one that does not run.
    let of = |unit: &str, variable: &str| {
        let ended = pk.pk(["exec", unit, "--", "printenv", variable]);
        ended.assert_code(0);
        ended.stdout().trim().to_owned()
    };
    assert_eq!(of("seed", "COLOR"), "red");
    assert_eq!(of("web-2", "PK_REPLICA"), "2");
    assert_ne!(of("web-2", "PORT_HTTP"), of("web-1", "PORT_HTTP"));
    pk.pk(["stop", "api"]).assert_code(0);
    assert_eq!(of("api", "COLOR"), "green");

    let code = |command: &str| pk.pk(["exec", "api", "--", "sh", "-c", command]);
    code("exit 7").assert_code(7);
    // A shell makes 143 of it, as of any program that a signal ended.
    let ended = code("kill -TERM $$");
    assert!(ended.to_string().contains("signal Some(15)"), "{ended}");
    let missing = pk.pk(["exec", "api", "--", "no-such-program"]);
    missing.assert_code(127);
    assert!(
        missing.stderr().contains("cannot run `no-such-program`"),
        "{missing}"
    );
    let plain = pk.folder().join("inner/plain");
    std::fs::write(&plain, "text").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    pk.pk(["exec", "api", "--", "./plain"]).assert_code(126);
    down(pk);
}

#[test]
fn who_is_meant_must_be_there_and_one() {
    let pk = shop();
    pk.pk(["exec", "nobody", "--", "true"]).assert_code(3);
    let several = pk.pk(["exec", "web", "--", "true"]);
    several.assert_code(2);
    assert!(several.stderr().contains("web-1, web-2"), "{several}");
    pk.pk(["exec", "db"]).assert_code(2);
    down(pk);
    let none = Pk::stack(super::SHOP, ["exec", "db", "--", "true"]);
    let help = "error: no stack of this folder is running\n  help: `pk up` starts it, `pk ls` shows what else runs\n";
    none.stderr(help).code(3).run();
}

#[test]
fn nothing_of_it_outlives_the_stack_nor_keeps_the_unit_from_ending() {
    let pk = shop();
    let mut command = pk.other([
        "exec",
        "db",
        "--",
        "sh",
        "-c",
        "echo there; exec sleep 1000",
    ]);
    let mut program = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(program.stdout.as_mut().unwrap(), &mut said).unwrap();
    // Its unit ends without it.
    pk.pk(["stop", "db", "--timeout", "20s"]).assert_code(0);
    assert!(program.try_wait().unwrap().is_none());
    down(pk);
    let status = poll("the program to end with the stack", || {
        program.try_wait().unwrap()
    });
    assert!(!status.success());
}

#[test]
fn a_process_is_taken_in_only_if_it_asks_itself() {
    let pk = shop();
    let socket = super::protocol::socket(&pk);
    let (_, supervisor) = pk.guard_and_supervisor();
    let ask = format!("{{\"pid\":{}}}", supervisor.as_raw_nonzero());
    let (code, body) = super::protocol::ask(&socket, "POST", "/v1/units/db/exec", &ask);
    assert_eq!(code, 403, "{body}");
    down(pk);
}

#[test]
fn the_terminal_is_the_programs_own() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    let pk = shop();
    let exec = pk.other(["exec"]);
    let line = format!(
        "exec {} exec db -- sh -c 'test -t 0 && test -t 1 && exit 9'",
        exec.get_program().display()
    );
    let mut command = std::process::Command::new("script");
    command
        .args(["-qefc", &line, "/dev/null"])
        .current_dir(pk.folder())
        .env("XDG_RUNTIME_DIR", pk.folder())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    down(pk);
}
