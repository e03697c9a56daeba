//! Files that no person wrote: none may panic, hang, or answer with a wall of text.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Project;

fn report(body: impl AsRef<[u8]>) -> String {
    let project = Project::new();
    project.write("pk.yaml", body);
    let start = Instant::now();
    let text = project.rendered();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
    assert!(text.len() < 20_000, "{} bytes of report", text.len());
    text
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_binary_file() {
    snapshot(
        "hostile_binary",
        &report(b"services:\n  \x7fELF\xff\xfe\x00\x01"),
    );
    report(b"\x00\x00\x00\x00");
}

#[test]
fn ten_megabytes_of_one_scalar() {
    let long = "x".repeat(10 << 20);
    snapshot(
        "hostile_long_scalar",
        &report(format!(
            "services:\n  web:\n    command: run\n    restart: {long}\n"
        )),
    );
    snapshot(
        "hostile_long_key",
        &report(format!(
            "services:\n  web:\n    command: run\n    {long}: 1\n"
        )),
    );
    report(format!("{{\"{long}\": ${{"));
    report(format!(
        "services: {{web: {{command: run, description: \"{} ${{NOPE}}\"}}}}",
        "é ".repeat(1 << 20)
    ));
}

#[test]
fn alias_bombs() {
    let mut bomb = String::from("x-0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n");
    for n in 1..30 {
        let previous = format!("*a{}, ", n - 1).repeat(10);
        let _ = writeln!(bomb, "x-{n}: &a{n} [{}]", previous.trim_end_matches(", "));
    }
    bomb.push_str("services: {web: {command: *a29}}\n");
    snapshot("hostile_alias_bomb", &report(bomb));

    let mut bomb = String::from("x-0: &a0 {k0: 1}\n");
    for n in 1..200 {
        let _ = writeln!(bomb, "x-{n}: &a{n} {{a: *a{0}, b: *a{0}}}", n - 1);
    }
    report(bomb);
}

#[test]
fn deep_nesting() {
    snapshot(
        "hostile_deep_flow",
        &report(format!("services: {}", "[".repeat(100_000))),
    );
    report(format!("services: {}", "{a: ".repeat(100_000)));
    report("- ".repeat(100_000));
    let mut deep = String::new();
    for n in 0..3_000 {
        let _ = writeln!(deep, "{}a:", " ".repeat(n));
    }
    snapshot("hostile_deep_block", &report(deep));
    report(format!(
        "services: {{web: {{command: run, description: \"{}\"}}}}",
        "${A:-".repeat(100_000)
    ));
}

#[test]
fn a_great_many_mistakes() {
    let mut text = String::from("services:\n");
    for n in 0..3_000 {
        let _ = writeln!(
            text,
            "  u{n}: {{comand: x, command: y, depends_on: [missing{n}]}}"
        );
    }
    let text = report(text);
    assert!(
        text.ends_with("… and 5900 more\n"),
        "{}",
        &text[text.len() - 200..]
    );
}

#[test]
fn what_random_text_has_shown_to_be_hard() {
    report("    \u{feff}");
}

/// As many as are asked for, otherwise what is worth its time in every run.
fn cases(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        report(bytes);
    }

    #[test]
    fn almost_a_file(parts in proptest::collection::vec(prop::sample::select(&[
        "services:\n", "tasks:\n", "  web:\n", "    command: run\n", "    ", "  ", "\n", "- ", ": ", "x",
        "&a ", "*a", "<<: ", "{", "}", "[", "]", ",", "'", "\"", "|\n", ">-\n", "${A:-", "}", "$", "${",
        "#", "!!str ", "!x ", "---\n", "...\n", "%YAML 1.2\n", "\t", "é", "\u{feff}", "? ", "@", "`",
        "    depends_on: [web]\n", "    restart: always\n", "    ports: {a: 1}\n", "include: [pk.yaml]\n",
        "    readiness: {log: ", "    schedule: {cron: '", "0 0 * * *", "\r\n", "\u{0}", "\\", "~", "null\n",
    ][..]), 0..40)) {
        report(parts.concat());
    }
}
