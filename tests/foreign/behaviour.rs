//! Each case is run by pk as a user runs it.

use std::path::Path;

use super::cases::{CASES, Case, Original, REFUSED};
use crate::harness::{Pk, poll};

/// The parts of a case: names and texts of files.
pub fn files(text: &str) -> Vec<(&str, &str)> {
    let mut parts = text.split("=== ");
    let first = ("process-compose.yaml", parts.next().unwrap_or_default());
    std::iter::once(first)
        .chain(parts.map(|part| part.split_once('\n').unwrap()))
        .collect()
}

pub fn trace(path: &Path, sorted: bool) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().collect();
    if sorted {
        lines.sort_unstable();
    }
    lines.join(" ")
}

fn prepared(case: &Case, trace: &Path) -> Pk {
    let args = ["up", "--no-tui"]
        .into_iter()
        .chain(case.args.iter().copied());
    files(case.files).into_iter().fold(
        Pk::new(args)
            .env("TRACE", trace.to_str().unwrap())
            .env("OS", "os")
            .code(case.code),
        |pk, (name, text)| pk.file(name, text),
    )
}

/// Cases of which the number leaves this rest run one after the other.
fn run(rest: usize) {
    for case in CASES.iter().skip(rest).step_by(4) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let ended = prepared(case, &path).run();
        let told = trace(&path, case.sorted);
        assert_eq!(told, case.trace, "{}\n{ended}", case.name);
    }
}

#[test]
fn cases_behave_as_the_file_says_1() {
    run(0);
}

#[test]
fn cases_behave_as_the_file_says_2() {
    run(1);
}

#[test]
fn cases_behave_as_the_file_says_3() {
    run(2);
}

#[test]
fn cases_behave_as_the_file_says_4() {
    run(3);
}

#[test]
fn bad_files_are_refused_with_their_place() {
    for (name, text, said) in REFUSED {
        let ended = Pk::new(["check"])
            .file("process-compose.yaml", text)
            .code(2)
            .run();
        assert!(ended.stderr().contains(said), "{name}\n{ended}");
        assert!(
            ended.stderr().contains("process-compose.yaml:"),
            "{name}\n{ended}"
        );
    }
}

#[test]
fn every_difference_is_a_row_of_the_table() {
    let table =
        std::fs::read_to_string(crate::harness::package().join("docs/process-compose.md")).unwrap();
    let (_, table) = table.split_once("## Every difference").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    assert!(CASES.len() >= 40, "{}", CASES.len());
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
    for case in CASES {
        let row = match case.original {
            Original::Same => continue,
            Original::Code(_, row) | Original::Other(row) => row,
        };
        let stated = table
            .lines()
            .any(|line| line.starts_with('|') && line.to_lowercase().contains(&row.to_lowercase()));
        assert!(stated, "no row says: {row}");
    }
    // What a row names as its test is there.
    let tests = [
        include_str!("api.rs"),
        include_str!("cases.rs"),
        include_str!("behaviour.rs"),
        include_str!("plans.rs"),
        include_str!("side_by_side.rs"),
    ]
    .concat();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let test = line.rsplit('|').nth(1).unwrap_or_default().trim();
        let name = test.trim_matches('`');
        if !name.is_empty() && name != "test" && !name.starts_with('-') {
            assert!(
                tests.contains(&format!("\"{name}\"")) || tests.contains(&format!("fn {name}(")),
                "no test is called {name}"
            );
        }
    }
}

#[test]
fn ctrl_c_ends_in_order() {
    let pk = Pk::new(["up"])
        .file(
            "process-compose.yaml",
            "processes:\n  db: {command: echo here; exec sleep 60}\n  web: {command: echo here; exec sleep 60, depends_on: {db: {condition: process_started}}}\n",
        )
        .start();
    pk.wait_for("web > started");
    pk.signal(rustix::process::Signal::INT);
    let ended = pk.wait();
    ended
        .assert_code(130)
        .assert_order(&["web > stopped", "db  > stopping"]);
}

#[test]
fn what_a_process_leaves_behind_ends() {
    // The harness fails if anything of it is left.
    let ended = Pk::new(["up"])
        .file(
            "process-compose.yaml",
            "processes:\n  a: {command: setsid sleep 300 & echo done}\n",
        )
        .run();
    assert!(ended.stdout().contains("a  | done"), "{ended}");
}

#[test]
fn the_last_line_is_kept() {
    let ended = Pk::new(["up"])
        .file(
            "process-compose.yaml",
            "processes:\n  a: {command: printf 'one\\ntwo'}\n",
        )
        .run();
    assert!(ended.stdout().contains("a  | two"), "{ended}");
}

#[test]
fn log_files_are_written_and_rotated() {
    let (a, b) = ("seq 1 200000", "echo b");
    let stack = Pk::new(["up"]).file(
        "process-compose.yaml",
        &format!(
            "log_location: all.log\nprocesses:\n  a:\n    command: {a}\n    log_location: a.log\n    log_configuration: {{rotation: {{max_size_mb: 1, max_backups: 1}}}}\n  b: {{command: {b}}}\n"
        ),
    );
    let files = ["all.log", "a.log", "a.log.1"].map(|name| stack.path(name));
    let output = stack.command().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let [all, last, before] = files.map(|file| std::fs::read_to_string(file).unwrap());
    assert_eq!(all, "b\n");
    assert!(
        before.len() + last.len() > 1 << 20,
        "more than one file holds"
    );
    assert!(before.len() <= 1 << 20);
    let text = format!("{before}{last}");
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n200000\n"));
}

#[test]
fn nested_names_are_its_own() {
    let ended = Pk::new(["up"])
        .env("PC_PROC_NAME", "outer")
        .file(
            "process-compose.yaml",
            "processes:\n  a: {command: echo $PC_PROC_NAME}\n",
        )
        .run();
    assert!(ended.stdout().contains("a  | a"), "{ended}");
}

#[test]
fn a_schedule_starts_it_by_the_clock() {
    let pk = Pk::new(["up"])
        .file(
            "process-compose.yaml",
            "processes:\n  a: {command: echo here, schedule: {interval: 200ms}}\n  b: {command: echo once, schedule: {interval: 1h, run_on_start: true}}\n  c: {command: echo never, schedule: {cron: '0 3 * * *'}}\n",
        )
        .start();
    pk.wait_for_times("a  | here", 2);
    pk.wait_for("b  | once");
    pk.signal(rustix::process::Signal::INT);
    let ended = pk.wait();
    ended.assert_code(130).assert_hides(&["never"]);
    assert_eq!(ended.stderr(), "", "{ended}");
}

#[test]
fn a_save_restarts_what_watches_it() {
    let text = "processes:\n  web:\n    command: echo \"has $$(cat src/a)\"; exec sleep 1000\n    watch:\n      debounce: 20ms\n      paths:\n        - path: src\n          include: ['*.rs', a]\n          exclude: [gen]\n  oth: {command: sleep 1000}\n";
    let pk = Pk::new(["up"])
        .file("process-compose.yaml", text)
        .file("src/a", "one")
        .file("src/gen/a", "")
        .file("src/target/a", "")
        .start();
    pk.wait_for("web | has one");
    poll("the watch", || {
        let status = pk.pk(["watch", "status", "--output", "json"]);
        status.stdout().contains("\"unit\"").then_some(())
    });
    // The same bytes once more are no change.
    std::fs::write(pk.folder().join("src/a"), "one").unwrap();
    for name in ["src/gen/a", "src/target/a", "src/b", "src/a"] {
        std::fs::write(pk.folder().join(name), "two").unwrap();
    }
    pk.wait_for("web | has two");
    pk.signal(rustix::process::Signal::INT);
    let ended = pk.wait();
    ended
        .assert_code(130)
        .assert_order(&["web > src/a changed: restarting", "web > started again"])
        .assert_hides(&["oth > started again", "src/gen", "src/target", "src/b"]);
    assert_eq!(ended.stdout().matches("web > started again").count(), 1);
    assert_eq!(ended.stderr(), "", "{ended}");
}

#[test]
fn the_flags_of_scripts_are_understood() {
    let text = "processes:\n  a: {command: echo $A}\n";
    let ended = Pk::new(["up", "-t=false", "-e", "one.env", "-e", "two.env"])
        .file("process-compose.yaml", text)
        .file("one.env", "A=1\n")
        .file("two.env", "A=2\n")
        .run();
    assert!(ended.stdout().contains("a  | 2"), "{ended}");
    let ended = Pk::new(["up", "--dry-run"])
        .file("process-compose.yaml", text)
        .run();
    assert_eq!(ended.stdout(), "process-compose.yaml: 1 service\n");
    Pk::new(["up", "--dry-run"])
        .file("process-compose.yaml", "processes:\n  a: {comand: x}\n")
        .code(2)
        .run();
    let pk = Pk::new(["up", "--keep-project"])
        .file("process-compose.yaml", text)
        .start();
    pk.wait_for("a  > completed");
    pk.signal(rustix::process::Signal::TERM);
    pk.wait().assert_code(143);
}
