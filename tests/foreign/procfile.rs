//! Procfiles, by the rules of foreman and overmind.

use crate::harness::Pk;

const FILE: &str = "\
# two processes
web: echo \"web $PORT $PS $A\"; sleep 60
worker: echo \"worker $PORT\"; sleep 0.3

what is this
";

#[test]
fn ports_variables_and_the_first_end() {
    let ended = Pk::new(["up"])
        .file("Procfile", FILE)
        .file(".env", "A=\"from the file\"\n")
        .env("A", "from outside")
        .run();
    for line in [
        "web    | web 5000 web.1 from the file",
        "worker | worker 5100",
        "stopping: worker ended, and it is essential",
    ] {
        assert!(ended.stdout().contains(line), "{line}\n{ended}");
    }
    assert!(
        ended
            .stderr()
            .contains("not a line of the form `name: command`"),
        "{ended}"
    );
}

#[test]
fn a_formation_says_how_many() {
    let ended = Pk::new(["up", "-m", "web=2,worker=1"])
        .file("Procfile.dev", FILE)
        .file("Procfile", "never: echo never\n")
        .env("PORT", "7000")
        .run();
    for line in [
        "web.1  | web 7000 web.1",
        "web.2  | web 7001 web.2",
        "worker | worker 7100",
    ] {
        assert!(ended.stdout().contains(line), "{line}\n{ended}");
    }
    assert!(ended.stderr().contains("took `Procfile.dev`"), "{ended}");
}

#[test]
fn what_may_end_is_named_for_overmind() {
    Pk::new(["up"])
        .file("Procfile", "a: echo a\nb: sleep 0.5; echo b; exit 3\n")
        .env("OVERMIND_CAN_DIE", "a")
        .code(3)
        .run();
}

#[test]
fn a_formation_of_nobody_is_refused() {
    let ended = Pk::new(["up", "--scale", "wbe=2"])
        .file("Procfile", FILE)
        .code(2)
        .run();
    assert!(ended.stderr().contains("did you mean `web`?"), "{ended}");
}

#[test]
fn flags_of_other_files_are_refused() {
    for args in [["up", "-n", "x"], ["up", "-e", "x"], ["up", "-m", "x=1"]] {
        let ended = Pk::stack("services: {a: {command: x}}\n", args)
            .code(2)
            .run();
        assert!(
            ended.stderr().contains("in pk.yaml") || ended.stderr().contains("elsewhere"),
            "{ended}"
        );
    }
}
