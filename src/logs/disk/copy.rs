//! Plain copies of what units write, where the file asks for them, rotated.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::logs::capture::PlainCopy;

/// The open copies; instances of one unit may share a file.
#[derive(Debug, Default)]
pub struct Copies {
    open: HashMap<PathBuf, Copy>,
}

#[derive(Debug, Default)]
struct Copy {
    file: Option<File>,
    size: u64,
    /// Bytes that could not be written, and why.
    lost: u64,
    reason: String,
}

impl Copies {
    /// Adds lines to the copy.
    pub fn write(&mut self, to: &PlainCopy, text: &[u8]) {
        let copy = self.open.entry(to.file.clone()).or_default();
        if let Err(error) = copy.write(to, text) {
            copy.lost += text.len() as u64;
            copy.reason = error.to_string();
            // Perhaps it can be opened again.
            copy.file = None;
        }
    }

    /// What is missing in which copy.
    pub fn troubles(&self) -> Vec<String> {
        let lossy = self.open.iter().filter(|(_, copy)| copy.lost > 0);
        lossy
            .map(|(file, copy)| {
                format!(
                    "`logs.file` {} lacks {} bytes: {}",
                    file.display(),
                    copy.lost,
                    copy.reason
                )
            })
            .collect()
    }
}

impl Copy {
    fn write(&mut self, to: &PlainCopy, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.open(&to.file)?;
        }
        if self.size > 0 && self.size + text.len() as u64 > to.max_size {
            rotate(to)?;
            self.open(&to.file)?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_all(text)?;
        self.size += text.len() as u64;
        Ok(())
    }

    fn open(&mut self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }
}

/// `file` becomes `file.1`, that `file.2`, and so on; the oldest goes.
fn rotate(to: &PlainCopy) -> io::Result<()> {
    if to.max_files == 0 {
        return std::fs::remove_file(&to.file);
    }
    for number in (1..to.max_files).rev() {
        match std::fs::rename(numbered(&to.file, number), numbered(&to.file, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(&to.file, numbered(&to.file, 1))
}

fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_rotated_by_size_and_number() {
        let dir = tempfile::tempdir().unwrap();
        let to = PlainCopy {
            file: dir.path().join("deep/api.log"),
            max_size: 8,
            max_files: 2,
        };
        let mut copies = Copies::default();
        for text in [
            "one\n",
            "two\n",
            "three\n",
            "four\n",
            "longer than a file\n",
            "six\n",
        ] {
            copies.write(&to, text.as_bytes());
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join("deep").join(name)).ok();
        assert_eq!(read("api.log").as_deref(), Some("six\n"));
        assert_eq!(read("api.log.1").as_deref(), Some("longer than a file\n"));
        assert_eq!(read("api.log.2").as_deref(), Some("four\n"));
        assert_eq!(read("api.log.3"), None);
        assert!(copies.troubles().is_empty());
    }
}
