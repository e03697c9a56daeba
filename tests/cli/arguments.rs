//! What is typed wrong is said, and what is right is explained.

use crate::harness::Pk;

const ONE: &str = "services:\n  api:\n    command: sleep 1000\n";

#[test]
fn no_command_is_bad_usage() {
    let ended = Pk::new([]).code(2).stdout("").run();
    assert!(
        ended.stderr().contains("Usage: pk [OPTIONS] <COMMAND>"),
        "{ended}"
    );
}

#[test]
fn help_goes_to_stdout() {
    for command in ["up", "run", "check", "config", "explain", "graph", "schema"] {
        let all = Pk::new(["--help"]).stderr("").run();
        assert!(all.stdout().contains(&format!("\n  {command} ")), "{all}");
        let one = Pk::new([command, "--help"]).stderr("").run();
        assert!(
            one.stdout().contains(&format!("Usage: pk {command}")),
            "{one}"
        );
    }
}

#[test]
fn the_version_is_told() {
    let version = concat!("pk ", env!("CARGO_PKG_VERSION"), "\n");
    Pk::new(["--version"]).stdout(version).stderr("").run();
}

#[test]
fn a_misspelt_command_is_put_right() {
    let ended = Pk::new(["chekc"]).code(2).stdout("").run();
    assert!(
        ended.stderr().contains("unrecognized subcommand 'chekc'"),
        "{ended}"
    );
    assert!(ended.stderr().contains("'check'"), "{ended}");
}

#[test]
fn a_misspelt_flag_is_put_right() {
    let ended = Pk::new(["up", "--abort-on-failur"])
        .code(2)
        .stdout("")
        .run();
    assert!(ended.stderr().contains("'--abort-on-failure'"), "{ended}");
}

#[test]
fn a_unit_that_is_not_there_is_put_right() {
    Pk::stack(
        ONE,
        ["up", "apo", "--profile", "dev", "--exit-code-from", "web"],
    )
    .code(2)
    .stdout("")
    .stderr(
        "error: no unit has the profile `dev`\n\
             error: no unit is named `apo`\n\
             \x20 help: did you mean `api`?\n\
             error: no unit is named `web`\n\
             \x20 help: there is api\n",
    )
    .run();
}

#[test]
fn a_service_is_no_task() {
    Pk::stack(ONE, ["run", "api"])
        .code(2)
        .stdout("")
        .stderr(
            "error: `api` is a service, and `run` runs tasks\n\
             \x20 help: start it with `pk up api`\n",
        )
        .run();
    Pk::stack(ONE, ["run", "build"])
        .code(2)
        .stderr(
            "error: no task is named `build`\n\
             \x20 help: the file has no tasks\n",
        )
        .run();
}

#[test]
fn no_deps_needs_names() {
    let ended = Pk::stack(ONE, ["up", "--no-deps"]).code(2).stdout("").run();
    assert!(ended.stderr().contains("UNIT"), "{ended}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    Pk::new(["-C", "nowhere", "check"])
        .code(2)
        .stdout("")
        .stderr("error: cannot use the folder `nowhere`: it does not exist\n")
        .run();
    Pk::stack(ONE, ["-C", "pk.yaml", "check"])
        .code(2)
        .stderr("error: cannot use the folder `pk.yaml`: it is a file; name a file with `-f`\n")
        .run();
}

#[test]
fn the_folder_may_be_below_the_file() {
    Pk::stack(ONE, ["-C", "a/b", "check"])
        .file("a/b/c", "")
        .stdout("DIR/pk.yaml: 1 service\n")
        .stderr("")
        .run();
}

#[test]
fn pk_says_which_file_it_took() {
    let ended = Pk::stack("tasks:\n  a:\n    command: 'true'\n", ["up"])
        .file("Procfile", "web: sleep 1\n")
        .run();
    assert_eq!(
        ended.stderr(),
        "note: took `pk.yaml`, not `Procfile`; `-f FILE` takes another one\n"
    );
}

#[test]
fn files_are_merged_in_order() {
    let ended = Pk::new(["-f", "a.yaml", "-f", "b.yaml", "run", "hi"])
        .file("a.yaml", "tasks:\n  hi:\n    command: echo one\n")
        .file("b.yaml", "tasks:\n  hi:\n    command: echo two\n")
        .run();
    ended.assert_shows(&["two\n"]).assert_hides(&["one"]);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    use std::process::Stdio;
    let pk = Pk::new(["schema"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = pk.command().stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_a_failure() {
    use std::process::Stdio;
    for arg in ["schema", "--help", "--version"] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let pk = Pk::new([arg]);
        let child = pk.command().stdout(full).stderr(Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("cannot write to standard output"),
            "{arg}: {stderr}"
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_folder_that_is_gone_matters_only_where_it_is_needed() {
    for (args, code) in [("-C \"$there\"", 0), ("-f \"$there/pk.yaml\"", 0), ("", 2)] {
        let pk = Pk::stack(ONE, []);
        let script = format!(
            "there=$PWD; mkdir gone; cd gone; rmdir ../gone; exec '{}' {args} check",
            env!("CARGO_BIN_EXE_pk")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(pk.path(""))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("os error"), "{stderr}");
    }
}

#[test]
fn no_advice_that_leads_nowhere() {
    let ended = Pk::stack(ONE, ["up", "-x"]).code(2).run();
    assert!(
        ended.stderr().contains("unexpected argument '-x'"),
        "{ended}"
    );
    assert!(!ended.stderr().contains("-- -x"), "{ended}");
    let yaml = "services:\n  rep: {command: sleep 1, replicas: 2}\n";
    Pk::stack(yaml, ["up", "rep-2"])
        .code(2)
        .stderr(
            "error: `rep-2` is a replica, and they start together\n\
             \x20 help: name the unit: `rep`\n",
        )
        .run();
}
