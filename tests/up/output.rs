//! How it looks: with and without a terminal, with and without colour.

use crate::harness::{Pk, poll};

const COLORS: &str = "\
tasks:
  t:
    command: printf '%s,%s \\033[31mred\\033[0m\\n' \"$FORCE_COLOR\" \"$CLICOLOR_FORCE\"
";

#[test]
fn a_pipe_gets_no_colour_but_every_byte() {
    let ended = Pk::stack(COLORS, ["up"]).run();
    ended.assert_shows(&["t  | , \u{1b}[31mred\u{1b}[0m\n"]);
    assert_eq!(ended.stdout().matches('\u{1b}').count(), 2, "{ended}");
    let odd = "tasks:\n  t: {command: \"printf '\\\\377\\\\033[2J\\\\n'\"}\n";
    let ended = Pk::stack(odd, ["up"]).run();
    let wanted = b"t  | \xff\x1b[2J\n";
    assert!(
        ended
            .stdout
            .windows(wanted.len())
            .any(|part| part == wanted),
        "{ended}"
    );
}

#[test]
fn colour_can_be_asked_for_and_reaches_units() {
    let ended = Pk::stack(COLORS, ["up"]).env("FORCE_COLOR", "1").run();
    ended.assert_shows(&["\u{1b}[36m|\u{1b}[0m 1,1 \u{1b}[31mred"]);
}

#[test]
fn what_the_file_says_of_colour_stands() {
    let yaml = format!("{COLORS}    environment: {{FORCE_COLOR: '0', CLICOLOR_FORCE: '0'}}\n");
    let ended = Pk::stack(&yaml, ["up"]).env("CLICOLOR_FORCE", "1").run();
    ended.assert_shows(&[" 0,0 "]);
}

#[test]
fn no_color_wins() {
    let ended = Pk::stack(COLORS, ["up"])
        .env("NO_COLOR", "1")
        .env("CLICOLOR_FORCE", "1")
        .run();
    ended.assert_shows(&["\nt  | ,1 \u{1b}[31mred"]);
}

/// On a terminal of its own, by way of `script(1)`, which every Debian has.
fn on_a_terminal(yaml: &str, before: &str) -> String {
    let pk = Pk::stack(yaml, []);
    let command = format!("{before} '{}' up --no-tui", env!("CARGO_BIN_EXE_pk"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]);
    script.current_dir(pk.path("")).env("TERM", "xterm");
    for name in ["NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"] {
        script.env_remove(name);
    }
    let output = script.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn a_terminal_gets_colour_and_no_other_sequence() {
    let yaml =
        "tasks:\n  t: {command: \"printf \\\"$FORCE_COLOR\\\\033[2J\\\\033[31mred\\\\n\\\"\"}\n";
    let shown = on_a_terminal(yaml, "");
    assert!(
        shown.contains("\u{1b}[36m|\u{1b}[0m 1␛[2J\u{1b}[31mred\u{1b}[0m\n"),
        "{shown:?}"
    );
    let plain = on_a_terminal(yaml, "NO_COLOR=1");
    assert!(
        plain.contains("\nt  | ␛[2J\u{1b}[31mred\u{1b}[0m\n"),
        "{plain:?}"
    );
}

#[test]
fn lines_come_in_order_and_whole() {
    let yaml = "tasks:\n  t: {command: 'seq 1 20000; printf end'}\n";
    let ended = Pk::stack(yaml, ["up"]).run();
    let stdout = ended.stdout();
    let lines: Vec<&str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("t  | "))
        .collect();
    let expected: Vec<String> = (1..=20000)
        .map(|n| n.to_string())
        .chain(["end".into()])
        .collect();
    assert_eq!(lines, expected);
    ended.assert_order(&["t  > started", "t  | 1\n", "t  | end\n", "t  > completed"]);
}

#[test]
fn a_reader_that_stands_still_stops_neither_units_nor_pk() {
    use rustix::process::{Pid, Signal, kill_process};

    let yaml = "services:\n  loud: {command: 'echo $$ > pid; yes', shutdown: {timeout: 10m}}\n";
    let pk = Pk::stack(yaml, ["up"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let pid_file = pk.path("pid");
    let mut child = pk.command().stdout(writer).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    poll("the unit", || {
        pid_file.metadata().ok().filter(|file| file.len() > 0)
    });
    // Whatever pk is writing at that time, it hears the signal, and the unit ends.
    kill_process(pid, Signal::INT).unwrap();
    let asked = std::time::Instant::now();
    poll("the end of the unit", || {
        let others = pk
            .members()
            .into_iter()
            .filter(|(member, _)| *member != child.id().cast_signed());
        (others.count() == 0).then_some(())
    });
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    // There is nothing left but to print, which nobody reads: a signal ends that, too.
    poll("the end of pk", || {
        kill_process(pid, Signal::INT).ok();
        child
            .try_wait()
            .unwrap()
            .map(|status| assert_eq!(status.code(), Some(130)))
    });
    drop(reader);
}

#[test]
fn a_full_disk_is_said_and_is_a_failure() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let pk = Pk::stack("services:\n  a: {command: sleep 1000}\n", ["up"]);
    let output = pk.command().stdout(full).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: cannot write to standard output: No space left on device\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn one_signal_is_enough_where_nobody_reads() {
    use rustix::process::{Pid, Signal, kill_process};

    let yaml = "services:\n  loud: {command: 'yes | head -c 300000; echo $$ > pid; yes'}\n";
    let pk = Pk::stack(yaml, ["up"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let pid_file = pk.path("pid");
    let mut command = pk.command();
    let child = command
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    poll("the unit", || {
        pid_file.metadata().ok().filter(|file| file.len() > 0)
    });
    kill_process(
        Pid::from_raw(child.id().cast_signed()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(" lines not shown"), "{stderr}");
    drop(reader);
}
