//! What a good file comes to.

use std::time::Duration;

use pk::config::{Loaded, to_json, to_yaml};
use pk::domain::signal::Signal;
use pk::domain::spec::{
    Check, Command, Condition, Essential, Program, RestartPolicy, Tty, UnitSpec, WatchAction,
};

use super::Project;
use crate::harness::Pk;

fn load(text: &str) -> Loaded {
    load_project(&Project::of(text))
}

fn load_project(project: &Project) -> Loaded {
    project.load().unwrap_or_else(|report| panic!("{report}"))
}

fn unit<'l>(loaded: &'l Loaded, name: &str) -> &'l UnitSpec {
    loaded.plan.get(name).unwrap()
}

fn variable(spec: &UnitSpec, name: &str) -> Option<String> {
    spec.environment
        .resolved()
        .get(name)
        .map(|value| (*value).to_owned())
}

const EVERYTHING: &str = "\
name: shop
x-anything: [free]
environment: {LOG: info, DB_PASSWORD: hunter2}
env_file: top.env
shell: [dash, -euc]
defaults:
  services:
    restart: {policy: on-failure, max_restarts: 7}
    environment: {FROM: defaults, BOTH: defaults}
services:
  db:
    command: [postgres, -D, ./data, -p, \"${db.ports.sql}\"]
    description: the database
    ports: {sql: 5432}
    readiness: {tcp: \"${db.ports.sql}\", interval: 2s, timeout: 500ms, failure_threshold: 5}
    shutdown: {signal: SIGINT, timeout: 1m}
    success_exit_codes: [3, SIGTERM]
    lifetime: group
  api:
    command: exec ./api --port \"$PORT_HTTP\" $HOME
    working_dir: backend/./x/..
    environment: [\"BOTH=unit\", \"URL=http://localhost:${db.ports.sql}/\", TOKEN=t]
    env_file: [api.env, {path: nope.env, required: false}]
    ports: {http: 8080, admin-x: auto}
    depends_on: [db, migrate]
    readiness:
      http: {url: 'http://me:secret@localhost:8080/', status: [200, 201-204], headers: {Authorization: Bearer x}, body: ok}
      on_failure: restart
    liveness: {exec: [check, $$x], initial_delay: 3s}
    startup: {log: '^ready$'}
    restart: always
    watch: {paths: [src, '*.toml'], ignore: '*.tmp', debounce: 1s, run: make, action: {signal: HUP}, cascade: true}
    limits: {memory: 512MiB, cpus: 1.5, pids: 10, best_effort: true}
    replicas: 1
    essential: failure
    user: nobody
    umask: 022
    nice: -5
    tty: output
    stdin: true
    on: {failed: notify-me}
    logs: {file: logs/api.log, max_size: 2MB, max_files: 3, redact: ['t[o]ken']}
  worker:
    command: work
    depends_on:
      db:
      api: {condition: started, restart: true, required: false}
    profiles: [background]
    restart: {backoff: 1s..5s, factor: 3, jitter: 0, window: 2m, reset_after: 1m}
tasks:
  migrate:
    pipeline:
      - cat schema.sql
      - {name: load, command: [psql], environment: {PGPASSWORD: x}, working_dir: sql}
    timeout: 2m
    timeouts: {wait: 1m}
    inputs: [schema.sql]
    outputs: stamp
    status: test -f stamp
    depends_on: {db: started}
  nightly:
    command: backup
    disabled: true
    schedule: {cron: '0 3 * * *', timezone: Europe/Berlin, overlap: queue}
=== top.env
TOP=1
LOG=quiet
=== api.env
BOTH=file
FILE=${TOP}-${USER}
";

#[test]
fn every_key_arrives() {
    let project = Project::of(EVERYTHING);
    let loaded = load_project(&project);
    let folder = std::fs::canonicalize(project.path()).unwrap();
    assert_eq!(loaded.plan.name(), "shop");
    assert_eq!(loaded.warnings, []);

    let db = unit(&loaded, "db");
    let Program::Command(Command::Exec(argv)) = &db.program else {
        panic!("{:?}", db.program)
    };
    assert_eq!(argv[4], "5432");
    assert_eq!(db.working_dir, folder);
    assert_eq!(db.restart.policy, RestartPolicy::OnFailure);
    assert_eq!(db.restart.max_restarts, Some(7));
    assert_eq!(db.shutdown.signal, Signal::INT);
    assert_eq!(variable(db, "PORT").as_deref(), Some("5432"));
    assert_eq!(variable(db, "PORT_SQL").as_deref(), Some("5432"));
    assert_eq!(
        db.readiness.as_ref().unwrap().check,
        Check::Tcp {
            host: "127.0.0.1".into(),
            port: 5432
        }
    );

    let api = unit(&loaded, "api");
    let Program::Command(Command::Shell { shell, script }) = &api.program else {
        panic!("{:?}", api.program)
    };
    assert_eq!(**shell, ["dash".to_owned(), "-euc".to_owned()]);
    assert_eq!(script, "exec ./api --port \"$PORT_HTTP\" $HOME");
    assert_eq!(api.working_dir, folder.join("backend"));
    for (name, value) in [
        ("LOG", Some("info")),
        ("TOP", Some("1")),
        ("FROM", None),
        ("BOTH", Some("unit")),
        ("FILE", Some("1-me")),
        ("URL", Some("http://localhost:5432/")),
        ("PORT_HTTP", Some("8080")),
        ("PORT_ADMIN_X", None),
        ("PORT", None),
    ] {
        assert_eq!(variable(api, name).as_deref(), value, "{name}");
    }
    assert_eq!(api.restart.policy, RestartPolicy::Always);
    assert_eq!(api.umask, Some(0o22));
    assert_eq!(
        (api.nice, api.tty, api.essential),
        (Some(-5), Tty::Output, Essential::Failure)
    );
    let watch = api.watch.as_ref().unwrap();
    assert_eq!(
        watch.paths,
        [
            folder.join("src").to_str().unwrap(),
            folder.join("*.toml").to_str().unwrap()
        ]
    );
    assert_eq!(watch.action, WatchAction::Signal(Signal::HUP));
    let liveness = api.liveness.as_ref().unwrap();
    assert_eq!(
        liveness.check,
        Check::Exec(Command::Exec(vec!["check".into(), "$x".into()]))
    );
    let conditions = |spec: &UnitSpec| -> Vec<(String, Condition)> {
        spec.depends_on
            .iter()
            .map(|d| (d.unit.to_string(), d.condition))
            .collect()
    };
    assert_eq!(
        conditions(api),
        [
            ("db".into(), Condition::Ready),
            ("migrate".into(), Condition::Succeeded)
        ]
    );

    let worker = unit(&loaded, "worker");
    assert_eq!(
        conditions(worker),
        [
            ("db".into(), Condition::Ready),
            ("api".into(), Condition::Started)
        ]
    );
    assert!(worker.depends_on[1].restart && !worker.depends_on[1].required);
    assert_eq!(worker.restart.backoff.max, Duration::from_secs(5));
    assert_eq!(variable(worker, "BOTH").as_deref(), Some("defaults"));

    let migrate = unit(&loaded, "migrate");
    assert_eq!(migrate.timeouts.run, Some(Duration::from_secs(120)));
    let Program::Pipeline(stages) = &migrate.program else {
        panic!("{:?}", migrate.program)
    };
    assert_eq!((&*stages[0].name, &*stages[1].name), ("1", "load"));
    assert_eq!(stages[1].working_dir, Some(folder.join("sql")));
}

#[test]
fn the_resolved_configuration_is_shown_without_secrets() {
    let project = Project::of(EVERYTHING);
    let loaded = load_project(&project);
    let folder = std::fs::canonicalize(project.path()).unwrap();
    let yaml = to_yaml(&loaded.plan).replace(&*folder.to_string_lossy(), "/stack");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("resolved", yaml));
    for secret in ["hunter2", "secret@", "Bearer x"] {
        assert!(!yaml.contains(secret), "{secret}");
    }
    assert_eq!(to_json(&loaded.plan)["name"], "shop");
    // What is shown can be read again.
    let again = load(&yaml.replace("********", "x"));
    assert_eq!(again.plan.units().len(), loaded.plan.units().len());
    for spec in again.plan.units() {
        let before = unit(&loaded, spec.name.as_str());
        assert_eq!(spec.restart, before.restart);
        assert_eq!(spec.schedule, before.schedule);
        assert_eq!(spec.depends_on.len(), before.depends_on.len());
        assert_eq!(spec.timeouts, before.timeouts);
        assert_eq!(spec.shutdown, before.shutdown);
        assert_eq!(spec.liveness, before.liveness);
        assert_eq!(spec.startup, before.startup);
    }
}

#[test]
fn commands_urls_and_values_are_shown_without_their_secrets() {
    let loaded = load(
        "services:\n  a:\n    command: server --password hunter2 --token=abc DB=postgres://u:pw@h/db\n    environment:\n      PGPASS: p\n      STRIPE: sk_live_51Habc\n      CONN: Server=x;Password=pp;\n      URL2: https://h/x?token=abc&api_key=zzz\n    readiness: {http: 'http://user:pw@localhost/?token=abc'}\n    shutdown: {command: stop --secret hush}\n  b:\n    command: [server, --password, hunter2, --api-key=foo]\n    liveness: {exec: [ask, --token, abc]}\n",
    );
    let yaml = to_yaml(&loaded.plan);
    let units = yaml.split("working_dir").map(str::to_owned);
    let shown: Vec<String> = units
        .map(|part| {
            part.split_once('\n')
                .map_or(part.clone(), |(_, rest)| rest.to_owned())
        })
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("secrets", shown.join("…\n")));
    for secret in ["hunter2", "abc", "zzz", "pp;", "pw", "foo", "hush", ": p\n"] {
        assert!(!yaml.contains(secret), "{secret}");
        let json = to_json(&loaded.plan).to_string();
        assert!(
            secret.starts_with(':') || !json.contains(secret),
            "{secret}"
        );
    }
}

#[test]
fn a_dollar_sign_that_was_shown_is_read_as_itself() {
    let loaded = load(
        "services:\n  a:\n    command: [echo, '$$HOME', '$$$$', '5$']\n    description: costs 5$$ $${A}\n    environment: {run: '$$x', S: 'a$$b'}\n    readiness: {exec: 'test $HOME'}\n  b: {command: 'echo $HOME $$'}\n",
    );
    let again = load(&to_yaml(&loaded.plan));
    for spec in loaded.plan.units() {
        let read = unit(&again, spec.name.as_str());
        assert_eq!(read.program, spec.program);
        assert_eq!(read.description, spec.description);
        assert_eq!(read.environment.resolved(), spec.environment.resolved());
        assert_eq!(read.readiness, spec.readiness);
    }
}

#[test]
fn anchors_and_merge_keys() {
    let loaded = load(
        "x-base: &base {restart: always, environment: {A: '1'}}\nx-more: &more {nice: 3, restart: 'no'}\nservices:\n  a:\n    <<: [*base, *more]\n    command: run\n  b:\n    <<: *base\n    restart: on-failure\n    command: *cmd\n    environment: &env {B: &cmd go}\n".replace("command: *cmd\n    environment: &env {B: &cmd go}", "environment: {B: &cmd go}\n    command: *cmd").as_str(),
    );
    let (a, b) = (unit(&loaded, "a"), unit(&loaded, "b"));
    assert_eq!((a.restart.policy, a.nice), (RestartPolicy::Always, Some(3)));
    assert_eq!(variable(a, "A").as_deref(), Some("1"));
    assert_eq!(b.restart.policy, RestartPolicy::OnFailure);
    assert_eq!(
        (variable(b, "A"), variable(b, "B").as_deref()),
        (None, Some("go"))
    );
}

#[test]
fn numbers_and_truth_values_may_come_from_variables() {
    let mut project = Project::of(
        "services:\n  web:\n    command: [serve, 8080, true]\n    replicas: ${COUNT}\n    stdin: \"${FLAG:-true}\"\n    ports: {admin: auto}\n    shutdown: {timeout: '${GRACE:-3}s'}\n",
    );
    project.environment.insert("COUNT".into(), "3".into());
    let loaded = load_project(&project);
    let web = unit(&loaded, "web");
    assert_eq!(web.replicas, Some(3));
    assert!(web.stdin);
    assert_eq!(web.shutdown.timeout, Duration::from_secs(3));
    let Program::Command(command) = &web.program else {
        panic!("{:?}", web.program)
    };
    assert_eq!(command.argv(), ["serve", "8080", "true"]);
}

#[test]
fn the_shell_is_bash_where_there_is_one() {
    let shell = |project: &Project| {
        let loaded = load_project(project);
        let Program::Command(command) = &unit(&loaded, "a").program else {
            panic!("a pipeline")
        };
        command.argv()[0].to_owned()
    };
    let mut project = Project::of("services: {a: {command: run}}");
    assert_eq!(shell(&project), "sh");
    project.write("bin/bash", "");
    let path = format!("/nowhere:{}", project.path().join("bin").display());
    project.environment.insert("PATH".into(), path);
    assert_eq!(shell(&project), "bash");
}

/// Also where it is put together with something else, or stands where none is expected.
#[test]
fn a_secret_is_masked_wherever_it_is_interpolated() {
    let yaml = "\
services:
  a: {command: x, environment: {DB_PASSWORD: '${PW_7}', X: '${PW_7}', Y: 'pre-${PW_7}-post'}}
  b: {command: x, working_dir: '/tmp/${OWN_TOKEN}', description: 'uses ${PW_7}'}
";
    for args in [
        vec!["config"],
        vec!["config", "--output", "json"],
        vec!["explain"],
    ] {
        let ended = Pk::stack(yaml, args)
            .env("PW_7", "hunter2envfile")
            .env("OWN_TOKEN", "tok-12345678")
            .run();
        assert!(ended.stdout().contains("********"), "{ended}");
        assert!(!ended.stdout().contains("hunter2"), "{ended}");
        assert!(!ended.stdout().contains("tok-1234"), "{ended}");
    }
}

/// What a program makes up as it goes can be read only once.
#[test]
fn a_file_may_be_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let script = "\"$0\" check -f <(printf 'services:\\n  a: {command: x}\\n')";
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("NOT RUN: it needs bash");
        return;
    }
    let output = std::process::Command::new("/bin/bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_pk")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
