//! `pk init`: the first file.

use crate::harness::Pk;

/// Runs `init` among the files, and `check` on what it wrote.
fn init(files: &[(&str, &str)]) -> (String, String) {
    let mut pk = Pk::new(["init"]);
    for (name, text) in files {
        pk = pk.file(name, text);
    }
    let folder = pk.path("");
    let output = pk.command().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = std::fs::read_to_string(folder.join("pk.yaml")).unwrap();
    let mut check = pk.command();
    // The same program on the same folder.
    let program = check.get_program().to_owned();
    check = std::process::Command::new(program);
    let checked = check.arg("-C").arg(&folder).arg("check").output().unwrap();
    let wrong = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{wrong}\n{text}");
    (text, said)
}

#[test]
fn an_empty_folder_gets_a_file_to_begin_with() {
    let (text, said) = init(&[]);
    assert!(said.contains("wrote pk.yaml, one to begin with"), "{said}");
    let pk = Pk::stack(&text, ["up", "--ci"]).start();
    pk.wait_for("web   > ready");
    pk.wait().assert_code(0);
}

#[test]
fn what_the_project_is_run_with_is_taken_over() {
    let (text, said) = init(&[("Procfile", "web: echo $PORT\nworker: sleep 1\n")]);
    assert!(said.contains("from Procfile"), "{said}");
    assert!(
        text.contains("worker:") && text.contains("Converted from"),
        "{text}"
    );
    let (text, _) = init(&[(
        "process-compose.yaml",
        "processes:\n  a: {command: 'true'}\n",
    )]);
    assert!(text.contains("  a:"), "{text}");
    let docker = "services:\n  db: {image: postgres, ports: ['5432:5432']}\n";
    let package = r#"{"name": "shop", "scripts": {"dev": "vite", "build": "vite build"}}"#;
    let (text, said) = init(&[
        ("docker-compose.yml", docker),
        ("package.json", package),
        ("yarn.lock", ""),
    ]);
    assert!(
        said.contains("from docker-compose.yml and package.json"),
        "{said}"
    );
    for part in [
        "  db:\n",
        "readiness: {tcp: 5432}",
        "[yarn, run, dev]",
        "  build:\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_file_that_is_there_stays() {
    let pk = Pk::new(["init"]).file("pk.yml", "services: {a: {command: x}}\n");
    let folder = pk.path("");
    let output = pk.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stays as it is"));
    assert!(!folder.join("pk.yaml").exists());
    let shown = Pk::new(["init", "--print"]).command().output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("services:"));
}
