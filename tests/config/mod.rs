//! The configuration floor, driven as a face drives it: files in, plan or report out.

mod agreement;
mod cases;
mod golden;
mod hostile;
mod resolved;
mod scale;
mod several;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pk::config::{Loaded, Report, Request, load};

/// A folder with files in it.
pub struct Project {
    folder: tempfile::TempDir,
    pub files: Vec<PathBuf>,
    pub environment: BTreeMap<String, String>,
}

impl Project {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            files: Vec::new(),
            environment: [("HOME", "/home/me"), ("USER", "me"), ("PATH", "/nowhere")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// The text of `pk.yaml`, then further files, each after a line `=== NAME`.
    pub fn of(text: &str) -> Self {
        let project = Self::new();
        let mut parts = text.split("=== ");
        project.write("pk.yaml", parts.next().unwrap_or_default());
        for part in parts {
            let (name, body) = part.split_once('\n').unwrap();
            project.write(name.trim(), body);
        }
        project
    }

    pub fn write(&self, name: &str, body: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn load(&self) -> Result<Loaded, Report> {
        load(&Request {
            folder: std::fs::canonicalize(self.path()).unwrap(),
            files: self.files.clone(),
            environment: self.environment.clone(),
            unreadable: [String::from("NOT_TEXT")].into(),
        })
    }

    /// The report as a person gets it, with the folder's own name left out.
    pub fn rendered(&self) -> String {
        let folder = std::fs::canonicalize(self.path()).unwrap();
        let text = match self.load() {
            Err(report) => report.render(false),
            Ok(loaded) => {
                let warnings =
                    pk::config::diagnostic::render(&loaded.warnings, &loaded.sources, false);
                format!("no errors\n\n{warnings}")
            }
        };
        text.replace(&format!("{}", folder.display()), "/stack")
    }
}
