//! Several files: merged, included, found.

use std::path::PathBuf;

use pk::config::{Report, Request, load};
use pk::domain::spec::{Program, RestartPolicy};

use super::Project;

fn messages(report: &Report) -> Vec<String> {
    let diagnostics = report.diagnostics.iter();
    diagnostics
        .map(|d| {
            let place = d.span().map(|span| report.sources.place(span).to_string());
            format!("{}: {}", place.unwrap_or_default(), d.message)
        })
        .collect()
}

#[test]
fn later_files_lie_over_earlier_ones() {
    let mut project = Project::of(
        "name: base\nservices:\n  web:\n    command: [a, b]\n    restart: always\n    environment: {A: 1, B: 1, C: 1}\n    working_dir: low\n  gone: {command: x}\n=== sub/over.yaml\nservices:\n  web:\n    command: [c]\n    environment: {B: 2, C: null}\n    working_dir: high\n  gone:\n  new: {command: y, nice: null}\n",
    );
    project.files = vec![PathBuf::from("pk.yaml"), PathBuf::from("sub/over.yaml")];
    let loaded = project.load().unwrap();
    let folder = std::fs::canonicalize(project.path()).unwrap();
    let web = loaded.plan.get("web").unwrap();
    let Program::Command(command) = &web.program else {
        panic!("a pipeline")
    };
    assert_eq!(command.argv(), ["c"]);
    assert_eq!(web.restart.policy, RestartPolicy::Always);
    let variables: Vec<_> = web
        .environment
        .unit
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(variables, ["A=1", "B=2"]);
    assert_eq!(web.working_dir, folder.join("sub/high"));
    assert!(loaded.plan.get("gone").is_none());
    assert_eq!(
        loaded.plan.get("new").unwrap().working_dir,
        folder.join("sub")
    );
    assert_eq!(loaded.folder, folder);
}

#[test]
fn an_included_file_has_its_own_scope() {
    let project = Project::of(
        "include: [db/pk.yaml]\nenvironment: {A: main, B: main}\nenv_file: main.env\nshell: [one, -c]\ndefaults: {services: {restart: always, nice: 1}}\nservices:\n  web: {command: run, depends_on: [db]}\n=== main.env\nM=1\nN=1\n=== db/pk.yaml\nname: ignored\nenvironment: {B: \"db-${N}\"}\nenv_file: [db.env]\nshell: [two, -c]\ndefaults: {services: {nice: 2}}\nservices:\n  db: {command: run, env_file: unit.env}\n=== db/db.env\nN=2\n=== db/unit.env\nU=${N}${M}\n",
    );
    let loaded = project.load().unwrap_or_else(|report| panic!("{report}"));
    let folder = std::fs::canonicalize(project.path()).unwrap();
    let (web, db) = (
        loaded.plan.get("web").unwrap(),
        loaded.plan.get("db").unwrap(),
    );
    assert_eq!(
        loaded.plan.name(),
        folder.file_name().unwrap().to_str().unwrap()
    );
    assert_eq!((web.nice, db.nice), (Some(1), Some(2)));
    assert_eq!(db.restart.policy, RestartPolicy::Always);
    assert_eq!(db.working_dir, folder.join("db"));
    let (web, db) = (web.environment.resolved(), db.environment.resolved());
    assert_eq!(
        (web["A"], web["B"], web["M"], web["N"]),
        ("main", "main", "1", "1")
    );
    assert_eq!(
        (db["A"], db["B"], db["M"], db["N"], db["U"]),
        ("main", "db-2", "1", "2", "21")
    );
    assert_eq!(loaded.sources.iter().count(), 5);
}

#[test]
fn a_file_that_is_included_twice_is_read_once() {
    let project = Project::of(
        "include: [a.yaml, b.yaml]\n=== a.yaml\ninclude: c.yaml\n=== b.yaml\ninclude: c.yaml\n=== c.yaml\nservices: {c: {command: run}}\n",
    );
    assert_eq!(project.load().unwrap().plan.units().len(), 1);
}

#[test]
fn the_mistakes_of_all_files_come_in_one_run() {
    let project = Project::of(
        "include: [a.yaml, missing.yaml, broken.yaml]\nservices:\n  web: {command: run, tyt: 1, depends_on: [nope], env_file: x.env}\n=== a.yaml\nservices:\n  a: {command: run, nice: 99}\n=== broken.yaml\nservices: [\n=== x.env\n1=2\n",
    );
    let found = messages(&project.load().unwrap_err());
    for part in [
        "`missing.yaml` does not exist",
        "unknown key `tyt`",
        "`nope`",
        "x.env:1:1",
        "a.yaml:2:27",
        "broken.yaml:",
    ] {
        assert!(
            found.iter().any(|line| line.contains(part)),
            "{part}: {found:#?}"
        );
    }
}

#[test]
fn the_os_wins_over_env_files_for_interpolation_alone() {
    let mut project =
        Project::of("services: {a: {command: run, description: \"${WHO}\"}}\n=== .env\nWHO=file\n");
    project.environment.insert("WHO".into(), "os".into());
    let loaded = project.load().unwrap();
    let a = loaded.plan.get("a").unwrap();
    assert_eq!(a.description.as_deref(), Some("os"));
    assert_eq!(a.environment.resolved()["WHO"], "file");
}

#[test]
fn the_file_is_found_from_below() {
    let project = Project::of("services: {a: {command: run}}");
    project.write("x/y/z", "");
    project.write("pk.yml", "");
    project.write("Procfile", "");
    let folder = std::fs::canonicalize(project.path()).unwrap();
    let mut request = Request {
        folder: folder.join("x/y"),
        files: Vec::new(),
        environment: project.environment.clone(),
        unreadable: Default::default(),
    };
    let loaded = load(&request).unwrap();
    assert_eq!(loaded.folder, folder);
    assert_eq!(
        loaded.passed_over,
        [folder.join("pk.yml"), folder.join("Procfile")]
    );

    std::fs::remove_file(folder.join("pk.yaml")).unwrap();
    std::fs::remove_file(folder.join("pk.yml")).unwrap();
    let text = load(&request).unwrap_err().to_string();
    assert!(text.contains("Procfile` starts no process"), "{text}");
    std::fs::remove_file(folder.join("Procfile")).unwrap();
    let text = load(&request).unwrap_err().to_string();
    assert!(
        text.contains("no `pk.yaml` in") && text.contains("command: python3"),
        "{text}"
    );

    request.files = vec![PathBuf::from("nope.yaml")];
    let text = load(&request).unwrap_err().to_string();
    assert!(
        text.contains("the file `nope.yaml` does not exist"),
        "{text}"
    );
}

#[test]
fn a_folder_in_the_place_of_the_file_is_named() {
    let project = Project::new();
    std::fs::create_dir(project.path().join("pk.yaml")).unwrap();
    let text = project.rendered();
    assert!(
        text.contains("`/stack/pk.yaml` is a folder, not a file"),
        "{text}"
    );
}

#[test]
fn a_tilde_is_the_folder_of_the_user() {
    let project = Project::of("services: {a: {command: run, working_dir: ~/x}}");
    let loaded = project.load().unwrap();
    let dir = &loaded.plan.get("a").unwrap().working_dir;
    assert_eq!(dir, &PathBuf::from("/home/me/x"));
}
