//! What becomes of keys, seen in the plan and in what is said.

use std::path::Path;
use std::time::Duration;

use pk::config::foreign::{Foreign, Format};
use pk::config::{Loaded, Report, Request, load_with};
use pk::domain::spec::{
    Check, Command, Condition, Essential, Lifetime, OnFailure, Program, RestartPolicy, Tty,
    UnitKind, UnitSpec, When,
};

use super::behaviour::files;
use super::corpus::converted;

pub fn read(text: &str) -> (tempfile::TempDir, Result<Loaded, Report>) {
    read_with(text, &Foreign::default())
}

fn read_with(text: &str, foreign: &Foreign) -> (tempfile::TempDir, Result<Loaded, Report>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files(text) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let request = Request {
        folder: std::fs::canonicalize(folder.path()).unwrap(),
        files: Vec::new(),
        environment: [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/home/me"),
            ("P", "8080"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        unreadable: Default::default(),
    };
    let loaded = load_with(&request, foreign);
    (folder, loaded)
}

/// Loads a good file, whose conversion must be the same plan.
fn good(text: &str) -> (tempfile::TempDir, Loaded) {
    let (folder, loaded) = read(text);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.format, Format::ProcessCompose);
    let path = std::fs::canonicalize(folder.path()).unwrap();
    if let Err(difference) = converted(&loaded, &path) {
        panic!("{difference}");
    }
    (folder, loaded)
}

fn unit<'a>(loaded: &'a Loaded, name: &str) -> &'a UnitSpec {
    loaded.plan.get(name).unwrap()
}

fn script(spec: &UnitSpec) -> String {
    let Program::Command(Command::Shell { script, .. }) = &spec.program else {
        panic!("not a script: {:?}", spec.program)
    };
    script.clone()
}

#[track_caller]
fn assert_warns(loaded: &Loaded, what: &str) {
    let said: Vec<_> = loaded.warnings.iter().map(|w| &w.message).collect();
    let text = pk::config::diagnostic::render(&loaded.warnings, &loaded.sources, false);
    assert!(text.contains(what), "{what}: {said:#?}");
}

#[test]
fn a_stop_has_a_deadline() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x}\n  b: {command: x, shutdown: {timeout_seconds: 3, parent_only: yes, signal: 2}}\n",
    );
    assert_eq!(unit(&loaded, "a").shutdown.timeout, Duration::from_secs(10));
    let own = &unit(&loaded, "b").shutdown;
    assert_eq!(own.timeout, Duration::from_secs(3));
    assert!(own.leader_only);
    assert_eq!(own.signal.number(), 2);
}

#[test]
fn restarts_wait_as_long_each_time() {
    let (_folder, loaded) = good(
        "processes:\n  a:\n    command: x\n    availability: {restart: on_failure, backoff_seconds: 5, max_restarts: 3}\n  b: {command: x, availability: {restart: \"always\"}}\n",
    );
    let restart = unit(&loaded, "a").restart;
    assert_eq!(restart.policy, RestartPolicy::OnFailure);
    assert_eq!(restart.backoff.initial, Duration::from_secs(5));
    assert_eq!(restart.backoff.max, Duration::from_secs(5));
    assert_eq!(restart.max_restarts, Some(3));
    assert_eq!(restart.window, None);
    let restart = unit(&loaded, "b").restart;
    assert_eq!(restart.policy, RestartPolicy::Always);
    assert_eq!(restart.max_restarts, None);
}

#[test]
fn the_ends_of_a_project() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, availability: {restart: exit_on_failure}}\n  b: {command: x, availability: {exit_on_end: true}}\n  c: {command: x, availability: {exit_on_skipped: true}}\n  d: {command: x, availability: {restart: exit_on_failure, exit_on_skipped: true}}\n",
    );
    let essential = |name| unit(&loaded, name).essential;
    assert_eq!(essential("a"), Essential::Failure);
    assert_eq!(essential("b"), Essential::Any);
    assert_eq!(essential("c"), Essential::Skipped);
    assert_eq!(essential("d"), Essential::FailureOrSkipped);
}

#[test]
fn probes_have_their_defaults() {
    let (_folder, loaded) = good(
        "processes:\n  a:\n    command: x\n    readiness_probe: {http_get: {port: 80}}\n  b:\n    command: x\n    availability: {restart: \"always\"}\n    readiness_probe:\n      exec: {command: ready, working_dir: /srv}\n      initial_delay_seconds: 2\n      period_seconds: 3\n      timeout_seconds: 4\n      failure_threshold: 5\n    liveness_probe: {http_get: {host: h, scheme: http, path: live, port: \"${P}\", headers: {A: b}, status_code: 204}}\n",
    );
    let spec = unit(&loaded, "a");
    let probe = spec.readiness.as_ref().unwrap();
    let Check::Http(http) = &probe.check else {
        panic!("{probe:?}")
    };
    assert_eq!(http.url, "http://127.0.0.1:80/");
    assert!(http.status.iter().any(|range| range.contains(302)));
    assert!(!http.status.iter().any(|range| range.contains(204)));
    assert_eq!(probe.interval, Duration::from_secs(10));
    assert_eq!(probe.timeout, Duration::from_secs(1));
    assert_eq!(probe.failure_threshold, 3);
    assert_eq!(probe.on_failure, OnFailure::Restart);
    assert_eq!(spec.timeouts.ready, Some(Duration::from_secs(21)));
    let spec = unit(&loaded, "b");
    assert_eq!(spec.timeouts.ready, Some(Duration::from_secs(2 + 12 + 4)));
    let Check::Exec(command) = &spec.readiness.as_ref().unwrap().check else {
        panic!("not a command")
    };
    assert!(command.argv().contains(&"/srv"), "{command:?}");
    let Check::Http(http) = &spec.liveness.as_ref().unwrap().check else {
        panic!("not a request")
    };
    assert_eq!(http.url, "http://h:8080/live");
    assert_eq!(http.headers["A"], "b");
    assert_eq!(http.status[0].to_string(), "204");
}

#[test]
fn liveness_acts_where_it_can() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, liveness_probe: {exec: {command: x}}}\n  b: {command: x, availability: {restart: on_failure}, liveness_probe: {exec: {command: x}}}\n  c: {command: x, is_daemon: true, liveness_probe: {exec: {command: x}}}\n",
    );
    assert!(unit(&loaded, "a").liveness.is_none());
    assert_warns(&loaded, "this liveness probe would do nothing");
    assert!(unit(&loaded, "b").liveness.is_some());
    assert!(unit(&loaded, "c").liveness.is_some());
    assert_eq!(unit(&loaded, "c").lifetime, Lifetime::Launched);
}

#[test]
fn a_bare_name_in_an_address_is_replaced() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, readiness_probe: {http_get: {port: $P}}}\n  b: {command: x, readiness_probe: {http_get: {port: $NONE}}}\n",
    );
    let Check::Http(http) = &unit(&loaded, "a").readiness.as_ref().unwrap().check else {
        panic!("not a request")
    };
    assert_eq!(http.url, "http://127.0.0.1:8080/");
    assert_warns(&loaded, "`$P` is replaced here");
    assert!(unit(&loaded, "b").readiness.is_none());
    assert_warns(&loaded, "`$NONE` is not a port");
}

#[test]
fn terminals_and_users() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, is_tty: true, shutdown: {send_keys: 'q\\n\\x03'}}\n  b: {command: x, is_interactive: true}\n  c: {command: x, is_foreground: true}\n  d: {command: x, is_elevated: true}\n",
    );
    let a = unit(&loaded, "a");
    assert_eq!((a.tty, a.stdin), (Tty::Full, false));
    assert_eq!(a.shutdown.signal.number(), 1);
    assert_eq!(a.shutdown.send_keys, ["q\n\u{3}"]);
    assert!(unit(&loaded, "b").stdin);
    let c = unit(&loaded, "c");
    assert!(c.foreground && c.disabled && c.tty == Tty::Full);
    let Program::Command(Command::Exec(argv)) = &unit(&loaded, "d").program else {
        panic!("not a list")
    };
    assert_eq!(argv[..2], ["sudo", "-S"]);
}

#[test]
fn clocks_files_and_logs() {
    let (folder, loaded) = good(
        "log_configuration: {rotation: {max_size_mb: 5, max_backups: 2}}\nprocesses:\n  a: {command: x, schedule: {cron: '0 2 * * *', timezone: UTC}}\n  b: {command: x, schedule: {interval: 1h30m, run_on_start: true}}\n  c:\n    command: x\n    working_dir: sub\n    watch: {paths: [{path: src, include: ['*.rs', 'a/b.txt'], exclude: [gen]}, {path: x}], cascade: true}\n    log_location: c.log\n  d: {command: x, replicas: 2, log_location: 'd-{PC_REPLICA_NUM}.log'}\n  e: {command: x, replicas: 2, log_location: e.log}\n",
    );
    let root = std::fs::canonicalize(folder.path()).unwrap();
    let schedule = unit(&loaded, "a").schedule.as_ref().unwrap();
    assert!(matches!(&schedule.when, When::Cron { expression, .. } if expression == "0 2 * * *"));
    assert_eq!(unit(&loaded, "a").kind, UnitKind::Task);
    let schedule = unit(&loaded, "b").schedule.as_ref().unwrap();
    assert_eq!(schedule.when, When::Every(Duration::from_secs(5400)));
    assert!(schedule.at_start);
    let c = unit(&loaded, "c");
    let watch = c.watch.as_ref().unwrap();
    let below = |path: &str| root.join("sub").join(path).display().to_string();
    assert_eq!(
        watch.paths,
        [below("src/**/*.rs"), below("src/a/b.txt"), below("x")]
    );
    assert!(watch.ignore.contains(&below("src/**/gen")));
    assert!(watch.ignore.contains(&"**/node_modules".to_owned()));
    assert!(watch.cascade && !watch.gitignore);
    assert_eq!(watch.debounce, Duration::from_millis(300));
    // The place of a log starts where pk was started.
    assert_eq!(c.logs.file.as_deref(), Some(&*root.join("c.log")));
    assert_eq!(c.logs.max_size, Some(5 << 20));
    assert_eq!(c.logs.max_files, Some(2));
    let file = |name: &str| unit(&loaded, name).logs.file.clone().unwrap();
    assert_eq!(file("d-1"), root.join("d-1.log"));
    assert_eq!(file("e-1"), root.join("e.log.1"));
}

#[test]
fn names_of_replicas_and_of_what_is_no_name() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, replicas: 10}\n  'my web/app': {command: x, depends_on: {a-03: {condition: process_started}}}\n  b: {command: x, depends_on: {'my web/app': {condition: process_started}}}\n",
    );
    assert!(loaded.plan.get("a-00").is_some() && loaded.plan.get("a-09").is_some());
    assert_warns(&loaded, "is called `my-web-app` in pk");
    assert_eq!(unit(&loaded, "my-web-app").depends_on.len(), 1);
    assert_eq!(unit(&loaded, "b").depends_on[0].unit.as_str(), "my-web-app");
}

#[test]
fn unknown_keys_name_the_right_one() {
    let (_folder, loaded) = good(
        "proceses: {}\nprocesses:\n  a:\n    command: x\n    restart: always\n    env: [A=1]\n    ports: [80]\n    profiles: [x]\n    healthcheck: {}\n    comand: y\n    availability: {environment: [A=1], backof_seconds: 1}\n    depends_on: {b: {conditon: process_started}}\n    max_restarts: 3\n  b: {command: x}\n",
    );
    for said in [
        "did you mean `processes`?",
        "write `availability: {restart: …}`",
        "the key is called `environment`",
        "write `namespace: …`",
        "write `readiness_probe:",
        "did you mean `command`?",
        "`environment` belongs to",
        "did you mean `backoff_seconds`?",
        "unknown key `conditon` in a dependency",
        "`max_restarts` belongs to `availability`",
        "no condition for `b`",
    ] {
        assert_warns(&loaded, said);
    }
}

#[test]
fn forms_that_it_refuses_are_taken_with_a_warning() {
    let (_folder, loaded) = good(
        "environment: {A: 1}\nprocesses:\n  a: {command: x, disabled: \"true\", depends_on: [b]}\n  b: {command: x, depends_on: {c: process_completed_successfully}}\n  c: {command: x, availability: {max_restarts: \"2\"}}\n  d: {command: x, depends_on: {c: {condition: service_completed_successfully}}}\n",
    );
    assert_warns(&loaded, "process-compose itself refuses this form");
    assert_warns(&loaded, "`environment` is a map");
    assert_warns(&loaded, "is in quotes");
    assert_warns(&loaded, "docker's word");
    assert!(unit(&loaded, "a").disabled);
    assert_eq!(
        unit(&loaded, "a").depends_on[0].condition,
        Condition::Started
    );
    assert_eq!(
        unit(&loaded, "b").depends_on[0].condition,
        Condition::Succeeded
    );
    assert_eq!(unit(&loaded, "b").environment.resolved()["A"], "1");
}

#[test]
fn zero_values_do_not_replace_others() {
    let (_folder, loaded) = good(
        "processes:\n  a: {command: x, disabled: true, success_exit_codes: [1], namespace: [p]}\n=== process-compose.override.yaml\nprocesses:\n  a: {disabled: false, success_exit_codes: [2], namespace: q}\n",
    );
    assert!(unit(&loaded, "a").disabled);
    assert_warns(&loaded, "does not replace the value below it");
    assert_eq!(unit(&loaded, "a").success_exit_codes.codes, [1, 2]);
    let name = loaded.plan.units()[0].name.clone();
    assert_eq!(loaded.namespaces[&name], ["q"]);
}

#[test]
fn a_signal_counts_as_its_code() {
    let (_folder, loaded) = good("processes:\n  a: {command: x, success_exit_codes: [143, 130]}\n");
    let codes = &unit(&loaded, "a").success_exit_codes;
    assert_eq!(codes.codes, [143, 130]);
    let numbers: Vec<_> = codes.signals.iter().map(|signal| signal.number()).collect();
    assert_eq!(numbers, [15, 2]);
}

#[test]
fn one_of_two_backslashes_goes_and_is_told_of() {
    let (_folder, loaded) = good("processes:\n  a: {command: 'sed s/\\\\./x/ a\\/b'}\n");
    assert_eq!(script(unit(&loaded, "a")), "sed s/\\./x/ a/b");
    assert_warns(&loaded, "one of two backslashes is taken away");
    let (_folder, loaded) =
        good("disable_env_expansion: true\nprocesses:\n  a: {command: 'sed s/\\\\./x/ a\\/b'}\n");
    assert_eq!(script(unit(&loaded, "a")), "sed s/\\\\./x/ a\\/b");
}

#[test]
fn a_question_mark_gives_a_default() {
    let (_folder, loaded) =
        good("processes:\n  a: {command: 'x ${NONE:?must be} ${NONE:+other}'}\n");
    assert_eq!(script(unit(&loaded, "a")), "x must be other");
    assert_warns(&loaded, "`:?` and `:+` give a default here");
}

#[test]
fn what_has_no_equivalent_is_told_of() {
    let (_folder, loaded) = good(
        "log_level: debug\nlog_length: 10\nis_tui_disabled: true\nmcp_server: {port: 1}\nprocesses:\n  a: {command: x, truncate_log: true, log_configuration: {no_color: true}, launch_timeout_seconds: 3}\n  b: {command: x, mcp: {type: tool}}\n",
    );
    for key in [
        "log_level",
        "log_length",
        "is_tui_disabled",
        "mcp_server",
        "truncate_log",
        "no_color",
        "launch_timeout_seconds",
    ] {
        assert_warns(&loaded, &format!("`{key}` has no equivalent in pk"));
    }
    assert_warns(&loaded, "`pk mcp` gives agents");
    assert!(unit(&loaded, "b").disabled);
}

#[test]
fn numbers_come_out_of_variables() {
    let (_folder, loaded) = good(
        "processes:\n  a:\n    command: x\n    replicas: ${N:-2}\n    shutdown: {timeout_seconds: ${T:-7}, parent_only: ${B:-true}}\n    readiness_probe: {http_get: {port: \"${P}\"}, period_seconds: ${S:-2}}\n",
    );
    let spec = unit(&loaded, "a-1");
    assert_eq!(spec.shutdown.timeout, Duration::from_secs(7));
    assert!(spec.shutdown.leader_only);
    assert_eq!(
        spec.readiness.as_ref().unwrap().interval,
        Duration::from_secs(2)
    );
}

#[test]
fn diagnostics_point_into_the_file_as_it_stands() {
    let (_folder, read) = read(
        "processes:\n  a:\n    command: ${A_LONG_DEFAULT:-a much longer text than there was before}\n    availability: {restart: ${W:-sometimes}}\n",
    );
    let report = read.unwrap_err().to_string();
    assert!(report.contains("process-compose.yaml:4:29"), "{report}");
    assert!(report.contains("${W:-sometimes}"), "{report}");
    assert!(
        report.contains("`sometimes` is not a restart policy"),
        "{report}"
    );
}

#[test]
fn commands_are_left_to_who_may_run_them() {
    let text = "env_cmds: {A: echo 1}\nprocesses:\n  a: {command: x}\n";
    let (_folder, loaded) = good(text);
    assert_eq!(loaded.env_commands.len(), 1);
    assert_eq!(loaded.env_commands[0].argv.last().unwrap(), "echo 1");
    let foreign = Foreign {
        outputs: Some([("A".to_owned(), "1".to_owned())].into()),
        ..Foreign::default()
    };
    let (_folder, loaded) = read_with(text, &foreign);
    let loaded = loaded.unwrap();
    assert!(loaded.env_commands.is_empty());
    assert_eq!(unit(&loaded, "a").environment.resolved()["A"], "1");
}

#[test]
fn it_is_found_by_its_name_and_what_it_holds() {
    let found = |names: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in names {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let found = pk::config::discover::discover(folder.path());
        found
            .map(|found| {
                let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
                (name(&found.taken), found.over.as_deref().map(name))
            })
            .map_err(|error| error.to_string())
    };
    let ours = "processes: {}\n";
    let docker = "services: {}\n";
    let yes = |name: &str| Ok((name.to_owned(), None));
    assert_eq!(
        found(&[("compose.yaml", docker), ("process-compose.yml", ours)]),
        yes("process-compose.yml")
    );
    assert_eq!(
        found(&[("compose.yml", ours), ("Procfile", "a: b")]),
        yes("compose.yml")
    );
    assert_eq!(
        found(&[
            ("compose.yaml", docker),
            ("Procfile.dev", "a: b"),
            ("Procfile", "a: b")
        ]),
        yes("Procfile.dev")
    );
    assert_eq!(
        found(&[("process-compose.yaml", ours), ("pk.yml", "")]),
        yes("pk.yml")
    );
    assert_eq!(
        found(&[
            ("process-compose.yaml", ours),
            ("compose.override.yaml", docker),
            ("process-compose.override.yml", ours)
        ]),
        Ok((
            "process-compose.yaml".to_owned(),
            Some("process-compose.override.yml".to_owned())
        ))
    );
    let told = found(&[("compose.yaml", docker)]).unwrap_err();
    assert!(told.contains("is a file of docker compose"), "{told}");
}
