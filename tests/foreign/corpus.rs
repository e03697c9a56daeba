//! Files that real projects use: each is read, and read again after conversion.
//!
//! They stand in a folder that `PK_CORPUS` names; it is no part of this project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pk::config::convert::to_native;
use pk::config::{Loaded, Report, Request, load};

/// Files whose own fault it is, by the rules of the tool that they are for.
const OWN_FAULT: [(&str, &str); 2] = [
    ("EspressoSystems__espresso-network.yaml", "is given twice"),
    // Its other processes stand in files of devbox.
    (
        "Kill-The-Backlog__Kill-The-Backlog.yaml",
        "no process is named",
    ),
];

fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("PK_CORPUS").map(PathBuf::from);
    let folder =
        named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"));
    folder.is_dir().then_some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn request(folder: &Path, name: &str) -> Request {
    Request {
        folder: folder.to_owned(),
        files: vec![name.into()],
        environment: [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        unreadable: Default::default(),
    }
}

/// Reads the file in a folder where it stands alone.
fn read(path: &Path) -> (tempfile::TempDir, Request, Result<Loaded, Report>) {
    let folder = tempfile::tempdir().unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    std::fs::copy(path, folder.path().join(&name)).unwrap();
    let request = request(folder.path(), &name);
    let read = load(&request);
    (folder, request, read)
}

#[test]
fn every_file_is_read_and_reads_the_same_after_conversion() {
    let Some(corpus) = corpus() else {
        eprintln!("did not run: there is no folder of files; name one by PK_CORPUS");
        return;
    };
    let mut wrong = Vec::new();
    let mut table = BTreeMap::new();
    for kind in ["process-compose", "procfile"] {
        for path in files(&corpus.join(kind)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (folder, _, read) = read(&path);
            let row = match read {
                Ok(loaded) => {
                    let warnings: Vec<_> =
                        loaded.warnings.iter().map(|w| w.message.clone()).collect();
                    if let Err(difference) = converted(&loaded, folder.path()) {
                        wrong.push(format!("{name} after conversion: {difference}"));
                    }
                    (format!("{} units", loaded.plan.units().len()), warnings)
                }
                Err(report) => {
                    let fault = |e: &pk::config::Diagnostic| {
                        let known = OWN_FAULT.iter().find(|(file, _)| *file == name);
                        known.is_some_and(|(_, fault)| e.message.contains(fault))
                    };
                    if !report.errors().all(fault) {
                        wrong.push(format!("{name}:\n{report}"));
                    }
                    let errors = report.errors().map(|e| e.message.clone());
                    ("ERROR".to_owned(), errors.collect())
                }
            };
            table.insert(format!("{kind}/{name}"), row);
        }
    }
    for (name, (verdict, said)) in &table {
        println!("{name}: {verdict}");
        for line in said {
            println!("    {line}");
        }
    }
    println!("{} files", table.len());
    assert!(!table.is_empty(), "an empty folder");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The plan of the converted file equals that of the file.
pub fn converted(loaded: &Loaded, folder: &Path) -> Result<(), String> {
    let text = to_native(&loaded.plan, folder, &["a note".to_owned()]);
    std::fs::write(folder.join("pk.yaml"), &text).unwrap();
    let again = load(&request(folder, "pk.yaml"));
    if loaded.plan.units().is_empty() {
        return Ok(());
    }
    let again = again.map_err(|report| format!("{report}\n{text}"))?;
    if again.plan.name() != loaded.plan.name() {
        return Err(format!("the name is {}", again.plan.name()));
    }
    let by_name = |loaded: &Loaded| {
        let units = loaded.plan.units().iter();
        units
            .map(|unit| (unit.name.to_string(), unit.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let (one, other) = (by_name(loaded), by_name(&again));
    for (name, unit) in &one {
        let Some(same) = other.get(name) else {
            return Err(format!("`{name}` is missing\n{text}"));
        };
        if unit != same {
            return Err(format!("`{name}` differs:\n{unit:#?}\n{same:#?}\n{text}"));
        }
    }
    (one.len() == other.len())
        .then_some(())
        .ok_or_else(|| "more units".to_owned())
}
