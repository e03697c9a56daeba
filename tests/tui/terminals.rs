//! Units with a terminal, in the dashboard.

use super::Screen;
use crate::harness::{Pk, poll};

/// A full-screen program: it draws its size, and the keys it gets, on the alternate screen.
const FULL: &str = r#"
$| = 1;
my $typed = '';
sub draw { my $size = `stty size`; chomp $size; print "\e[H\e[2Jfull $size\r\nkeys [$typed]"; }
system 'stty raw -echo'; print "before\r\n\e[?1049h";
$SIG{WINCH} = sub { draw }; draw;
while (1) {
    next unless sysread STDIN, my $key, 1;
    last if $key eq 'q';
    $typed .= sprintf ' %02x', ord $key; draw;
}
print "\e[?1049l"; system 'stty sane'; print "after\n"; sleep 1000;
"#;

const STACK: &str = r#"
name: small
services:
  full: {command: [perl, full.pl], tty: true}
  shell: {command: [sh, -c, 'PS1="sh> " exec sh'], tty: true}
  plain: {command: 'echo a plain line; exec sleep 1000'}
"#;

fn open(args: &str, columns: u16, rows: u16) -> Option<Screen> {
    let pk = Pk::stack(STACK, []).file("full.pl", FULL);
    let screen = Screen::open(pk, args, columns, rows)?;
    screen.wait_for("● plain");
    Some(screen)
}

#[track_caller]
fn leave(screen: &Screen) {
    screen.keys("q");
    screen.wait_for("leave small?");
    screen.keys("s");
    screen.wait("the end", |text| {
        text.lines().any(|line| line.starts_with("left with"))
    });
}

/// The lines that the unit's log holds, from outside.
fn lines(screen: &Screen, unit: &str) -> String {
    let mut command = screen.pk().command();
    let output = command.args(["logs", unit]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_full_screen_program_lives_in_its_pane() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    // As large as the pane: 24 rows without header, footer, four of the table, a title.
    screen.wait_for("full 17 80");
    screen.keys("Enter Enter");
    screen.wait_for("typing, ^] leaves");
    // Ctrl-C is the program's, as is each key of pk; q ends it.
    screen.keys("x C-c Up");
    screen.wait_for("keys [ 78 03 1b 5b 41]");
    screen.resize(160, 30);
    screen.wait("the new size", |text| text.contains("full 27 "));
    screen.keys("C-]");
    screen.wait_until_gone("typing");
    screen.keys("z");
    screen.wait_for("full 27 160");
    screen.keys("z Enter q");
    screen.wait_for("after");
    screen.wait_for("before");
    screen.keys("C-]");
    // What it drew is no line of its log.
    let log = poll("the last line", || {
        Some(lines(&screen, "full")).filter(|log| log.contains("after"))
    });
    assert!(log.contains("before"), "{log}");
    assert!(!log.contains("keys"), "{log}");
    leave(&screen);
}

#[test]
fn two_faces_show_one_terminal_and_whoever_types_has_its_size() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.keys("Down Enter I");
    screen.wait_for("typing");
    screen.shell("echo one$((1+1))");
    screen.wait("the answer", |text| text.contains("\none2"));
    screen.split("attach");
    screen.wait_for("● plain");
    screen.keys("Down");
    // It comes later and sees the same.
    screen.wait("the same", |text| text.contains("\none2"));
    screen.keys("z z Enter I");
    screen.shell("echo two$((1+1))");
    screen.wait("the answer", |text| text.contains("\ntwo2"));
    screen.window(0);
    screen.wait("what the other typed", |text| text.contains("\ntwo2"));
    screen.keys("C-]");
    screen.wait_until_gone("typing");
    leave(&screen);
}

#[test]
fn vi_edits_a_file() {
    if !std::path::Path::new("/usr/bin/vi").exists() {
        eprintln!("skipped: there is no vi");
        return;
    }
    let yaml = "name: small\nservices:\n  vi: {command: [vi, notes.txt], tty: true}\n  plain: \
                {command: exec sleep 1000}\n";
    let Some(screen) = Screen::open(Pk::stack(yaml, []), "up", 100, 30) else {
        return;
    };
    screen.wait_for("\n~");
    screen.keys("Enter I i h e l l o Escape");
    screen.wait("the text", |text| text.contains("\nhello"));
    screen.shell(":wq");
    poll("the file", || {
        let text = std::fs::read_to_string(screen.pk().path("notes.txt")).ok()?;
        (text == "hello\n").then_some(())
    });
    screen.wait_for("✓ vi");
    leave(&screen);
}

#[test]
fn panes_beside_each_other() {
    let Some(screen) = open("up", 160, 30) else {
        return;
    };
    screen.keys("Space Down Space |");
    screen.wait("both", |text| {
        text.contains("full 27 ") && text.contains("a plain line")
    });
    screen.keys("\\");
    screen.wait("the other way", |text| {
        text.lines().any(|line| line.contains("─ plain ─")) && text.contains("full 13 ")
    });
    screen.keys("X");
    screen.wait_until_gone("─ full ─");
    leave(&screen);
}
