//! `check`, `config`, `schema`, `graph` and `explain`.

use crate::harness::Pk;

const STACK: &str = "\
name: shop
environment:
  API_TOKEN: hush
services:
  db:
    command: [perl, db.pl]
    readiness: {tcp: 5432}
  api:
    command: node server.js
    description: The API
    depends_on:
      db: {condition: ready, restart: true}
      migrate: succeeded
    restart: on-failure
    timeouts: {run: 30s}
    shutdown: {signal: SIGINT, timeout: 3s}
tasks:
  migrate:
    command: ./migrate
    depends_on: [db]
";

#[test]
fn a_good_file_is_one_line() {
    Pk::stack(STACK, ["check"])
        .stdout("pk.yaml: 2 services, 1 task\n")
        .stderr("")
        .run();
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    let yaml = "\
services:
  api:
    comand: node server.js
    depends_on: [bd]
  db:
    command: perl db.pl
    restart: sometimes
";
    let ended = Pk::stack(yaml, ["check"]).code(2).stdout("").run();
    let stderr = ended.stderr();
    for text in [
        "pk.yaml:3:5",
        "comand",
        "`command`",
        "pk.yaml:7:14",
        "sometimes",
    ] {
        assert!(stderr.contains(text), "{text}\n{ended}");
    }
    assert!(!stderr.contains('\u{1b}'), "{ended}");
}

#[test]
fn mistakes_are_coloured_where_colour_is_asked_for() {
    let ended = Pk::stack("services: 3\n", ["check"])
        .env("CLICOLOR_FORCE", "1")
        .code(2)
        .run();
    assert!(ended.stderr().contains("\u{1b}["), "{ended}");
}

#[test]
fn no_file_is_an_error_that_shows_one() {
    let ended = Pk::new(["up"]).code(2).stdout("").run();
    assert!(ended.stderr().contains("no `pk.yaml` in"), "{ended}");
    assert!(ended.stderr().contains("command: "), "{ended}");
}

#[test]
fn config_masks_secrets() {
    let yaml = Pk::stack(STACK, ["config"]).stderr("").run();
    assert!(!yaml.stdout().contains("hush"), "{yaml}");
    assert!(yaml.stdout().contains("API_TOKEN"), "{yaml}");
    let json = Pk::stack(STACK, ["config", "--output", "json"])
        .stderr("")
        .run();
    assert!(!json.stdout().contains("hush"), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(value["name"], "shop");
    assert_eq!(
        value["services"]["api"]["depends_on"]["migrate"],
        "succeeded"
    );
    assert_eq!(value["services"]["api"]["shutdown"]["timeout"], "3s");
}

#[test]
fn the_schema_is_json() {
    let ended = Pk::new(["schema"]).stderr("").run();
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert!(schema["properties"]["services"].is_object());
}

#[test]
fn the_tree_has_what_waits_above_what_is_waited_for() {
    Pk::stack(STACK, ["graph"])
        .stdout(
            "\
api
├─ db: ready, restarts with it
└─ migrate (task): succeeded
   └─ db: ready
",
        )
        .stderr("")
        .run();
}

#[test]
fn the_graph_for_programs_has_nodes_and_edges() {
    let ended = Pk::stack(STACK, ["graph", "--format", "json"])
        .stderr("")
        .run();
    let graph: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(graph["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(
        graph["edges"][0],
        serde_json::json!({
            "from": "api", "to": "db", "condition": "ready", "restart": true, "required": true,
        })
    );
}

#[test]
fn a_unit_is_explained() {
    Pk::stack(STACK, ["explain", "api"])
        .stdout(
            "\
api: a service
                   The API
  runs             node server.js
  in               DIR
  waits for        db to be ready, as it has a readiness probe; restarts with it
                   migrate to succeed, as it is a task
  ready when       it has no probe, so it never says
  runs up to       30s then it is stopped and has failed
  restarts         when it fails, at most 5 times in 1m, after a wait of 200ms
                   that grows to 30s
  stops            by SIGINT to all its processes; what is left after TIME is
                   killed
",
        )
        .stderr("")
        .run();
    Pk::stack(STACK, ["explain", "apy"])
        .code(2)
        .stdout("")
        .stderr("error: no unit is named `apy`\n  help: did you mean `api`?\n")
        .run();
    let all = Pk::stack(STACK, ["explain"]).stderr("").run();
    all.assert_order(&["db: a service", "api: a service", "migrate: a task"]);
}

#[test]
fn every_file_that_was_asked_for_is_named() {
    Pk::stack(
        "services: {a: {command: run}}\n",
        ["check", "-f", "pk.yaml", "-f", "b.yaml"],
    )
    .file("b.yaml", "services: {b: {command: run}}\n")
    .stdout("pk.yaml, b.yaml: 2 services\n")
    .stderr("")
    .run();
}

#[test]
fn explain_masks_secrets() {
    let yaml = "\
services:
  a:
    command: [server, --password, hunter2, --url=postgres://u:hush@h/db]
    readiness: {http: 'http://localhost/?token=abc'}
    liveness: {exec: ask --api-key=abc}
";
    for form in ["text", "json"] {
        let ended = Pk::stack(yaml, ["explain", "a", "--output", form])
            .stderr("")
            .run();
        ended.assert_hides(&["hunter2", "hush", "abc"]);
        ended.assert_shows(&["--password ********", "token=********"]);
    }
}

#[test]
fn a_program_is_told_the_same() {
    let ended = Pk::stack(STACK, ["explain", "api", "--output", "json"])
        .stderr("")
        .run();
    let explained: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    let unit = serde_json::json!({"name": "api", "kind": "service"});
    assert_eq!(explained[0]["unit"], unit);
    let lines = &explained[0]["explanation"];
    assert_eq!(lines[1], "runs node server.js");
    assert_eq!(
        lines[3],
        "waits for db to be ready, as it has a readiness probe; restarts with it"
    );
}

#[test]
fn the_graph_for_graphviz_and_mermaid() {
    Pk::stack(STACK, ["graph", "--format", "dot"])
        .stdout(
            "\
digraph \"shop\" {
  rankdir=LR;
  \"db\" [shape=box, label=\"db\"];
  \"api\" [shape=box, label=\"api\"];
  \"migrate\" [shape=ellipse, label=\"migrate\"];
  \"api\" -> \"db\" [label=\"ready, restarts\", style=solid];
  \"api\" -> \"migrate\" [label=\"succeeded\", style=solid];
  \"migrate\" -> \"db\" [label=\"ready\", style=solid];
}
",
        )
        .stderr("")
        .run();
    Pk::stack(STACK, ["graph", "--format", "mermaid"])
        .stdout(
            "\
flowchart LR
  u0[\"db\"]
  u1[\"api\"]
  u2([\"migrate\"])
  u1 -->|ready, restarts| u0
  u1 -->|succeeded| u2
  u2 -->|ready| u0
",
        )
        .stderr("")
        .run();
}
