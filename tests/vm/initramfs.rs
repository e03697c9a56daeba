//! The whole of a small system in one file: what the kernel unpacks into memory and starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const CONSOLE: u32 = 0o020_600;

/// An archive in the kernel's format (`cpio -H newc`, `buffer-format.rst`).
#[derive(Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    entries: u32,
}

impl Initramfs {
    /// Adds a file of the host, with every library that it is linked to.
    pub fn program(&mut self, from: &Path, to: &str) {
        self.file(to, 0o755, &std::fs::read(from).unwrap());
        // It says which libraries it would load; of a static program it says that and fails.
        let listed = Command::new("ldd").arg(from).output().unwrap();
        for word in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            let library = Path::new(word);
            if word.starts_with('/') && library.is_file() {
                self.file(word, 0o755, &std::fs::read(library).unwrap());
            }
        }
    }

    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        self.entry(path, 0o100_000 | mode, (0, 0), bytes);
    }

    pub fn folder(&mut self, path: &str) {
        self.parents(&Path::new(path).join("x"));
    }

    pub fn link(&mut self, path: &str, to: &str) {
        self.entry(path, LINK, (0, 0), to.as_bytes());
    }

    /// The console, which the first process is given to speak through.
    pub fn console(&mut self) {
        self.entry("/dev/console", CONSOLE, (5, 1), b"");
    }

    fn parents(&mut self, path: &Path) {
        let parents: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_path_buf).collect();
        for parent in parents.into_iter().rev().skip(1) {
            if self.folders.insert(parent.clone()) {
                self.write(&parent.to_string_lossy(), FOLDER, (0, 0), b"");
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), bytes: &[u8]) {
        self.parents(Path::new(path));
        self.write(path, mode, device, bytes);
    }

    fn write(&mut self, path: &str, mode: u32, device: (u32, u32), bytes: &[u8]) {
        let name = path.trim_start_matches('/');
        self.entries += 1;
        let length = u32::try_from(bytes.len()).unwrap();
        let name_length = u32::try_from(name.len()).unwrap() + 1;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            length,
            0,
            0,
            device.0,
            device.1,
            name_length,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.write("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }
}

/// The program without what a debugger would want, which is most of it, where that can be had.
pub fn stripped(program: &Path, folder: &Path) -> PathBuf {
    let to = folder.join("stripped");
    let done = Command::new("strip")
        .arg("-s")
        .arg("-o")
        .arg(&to)
        .arg(program)
        .status();
    if done.is_ok_and(|status| status.success()) {
        to
    } else {
        program.to_owned()
    }
}
