//! One stack that holds the whole zoo: a small program for each way to get away.

use serde_json::{Value, json};

/// The grace period of each.
pub const GRACE: std::time::Duration = std::time::Duration::from_millis(300);

/// Programs in perl, which print `up` once they are what they want to be. `$ARGV[0]` is a word
/// that no other process has, `$ARGV[1]` the `cgroup.procs` of a cgroup to flee to.
const ANIMALS: [(&str, &str); 16] = [
    (
        "ignores-signals",
        "$SIG{$_} = 'IGNORE' for qw(TERM INT HUP QUIT); fork; up(); sleep 1000 while 1",
    ),
    (
        "child-ignores",
        "if (fork) { exit } $SIG{$_} = 'IGNORE' for qw(TERM INT HUP); up(); sleep 1000 while 1",
    ),
    (
        "own-process-group",
        "if (fork) { sleep 1000 while 1 } setpgrp(0, 0); up(); sleep 1000 while 1",
    ),
    (
        "gnu-timeout",
        "system('timeout', '1000', 'perl', '-e', '$| = 1; print \"up\\n\"; sleep 1000', @ARGV)",
    ),
    (
        "job-control",
        "exec 'bash', '-c', 'set -m; perl -e \"sleep 1000\" $0 & echo up; wait', @ARGV",
    ),
    (
        "new-session",
        "use POSIX; if (fork) { sleep 1000 while 1 } setsid; up(); sleep 1000 while 1",
    ),
    (
        "daemon",
        "use POSIX; if (fork) { sleep 1000 while 1 } setsid; exit if fork; up(); \
         POSIX::close($_) for 0 .. 255; chdir '/'; %ENV = (); exec { 'sleep' } $ARGV[0], '1000'",
    ),
    (
        "fork-chain",
        "use POSIX; if (fork) { sleep 1000 while 1 } my $said; while (1) { exit if fork; setsid; \
         up() unless $said++; select undef, undef, undef, 0.01 }",
    ),
    (
        "five-hundred",
        "my $first = $$; for (1 .. 500) { last unless fork } up() if $$ == $first; sleep 1000 while 1",
    ),
    (
        "stopped",
        "if (fork) { up(); sleep 1000 while 1 } $SIG{TERM} = 'IGNORE'; kill STOP => $$; sleep 1000",
    ),
    (
        "blocks-all",
        "use POSIX; my $all = POSIX::SigSet->new(); $all->fillset; \
         sigprocmask(SIG_BLOCK, $all); fork; up(); sleep 1000 while 1",
    ),
    (
        "renames-itself",
        "if (fork) { sleep 1000 while 1 } $0 = 'kworker/0:0'; up(); sleep 1000 while 1",
    ),
    (
        "keeps-the-pipe",
        "if (fork) { up(); exit } $SIG{TERM} = 'IGNORE'; sleep 1000 while 1",
    ),
    (
        "kill-zero",
        "$SIG{TERM} = sub { kill KILL => 0 }; kill 0 => 0; up(); sleep 1000 while 1",
    ),
    (
        "changes-user",
        "use POSIX; if (fork) { sleep 1000 while 1 } setgid(65534); setuid(65534); up(); \
         sleep 1000 while 1",
    ),
    (
        "moves-itself",
        "use POSIX; if (fork) { sleep 1000 while 1 } setsid; \
         if ($ARGV[1]) { open my $f, '>', $ARGV[1] or die; print $f $$; close $f } up(); \
         sleep 1000 while 1",
    ),
];

/// What every one of them begins with.
const BEFORE: &str = "sub up { local $| = 1; print \"up\\n\" } ";

/// The file of the stack. `word` stands in the arguments of all; `flight` is where one may
/// move itself; `pk` is run in the unit `inner`, in the folder `inner`. `lifetime` says when a
/// run is over: with its leader, or with the last of its group.
pub fn zoo(word: &str, flight: &str, pk: &str, is_root: bool, lifetime: &str) -> String {
    let mut services = serde_json::Map::new();
    for (name, script) in ANIMALS {
        if name == "changes-user" && !is_root {
            continue;
        }
        let script = in_file(&format!("{BEFORE}{script}"));
        services.insert(
            name.to_owned(),
            service(
                &json!(["perl", "-e", script, "--", word, flight]),
                "^up",
                lifetime,
            ),
        );
    }
    services.insert(
        "inner".to_owned(),
        service(
            &json!([pk, "-C", "inner", "up", "--no-tui"]),
            "deep +\\| up",
            lifetime,
        ),
    );
    json!({ "name": "zoo", "services": services }).to_string()
}

/// The file of the pk inside.
pub fn inner(word: &str) -> String {
    let script = in_file(&format!(
        "{BEFORE}use POSIX; if (fork) {{ sleep 1000 while 1 }} setsid; up(); sleep 1000 while 1"
    ));
    let deep = service(&json!(["perl", "-e", script, "--", word]), "^up", "group");
    json!({ "name": "inner", "services": { "deep": deep } }).to_string()
}

/// pk reads a dollar in a list as the start of a variable, and two as one.
fn in_file(script: &str) -> String {
    script.replace('$', "$$")
}

fn service(command: &Value, ready: &str, lifetime: &str) -> Value {
    json!({
        "command": command,
        "readiness": { "log": ready },
        "lifetime": lifetime,
        "restart": "no",
        "shutdown": { "timeout": "300ms" },
    })
}

/// The names of all units.
pub fn names(is_root: bool) -> Vec<&'static str> {
    let animals = ANIMALS.iter().map(|(name, _)| *name);
    let animals = animals.filter(|name| is_root || *name != "changes-user");
    animals.chain(["inner"]).collect()
}
