//! Files that change while `pk up` runs, as a person sees it.

mod builds;
mod commands;
mod faults;
mod saves;
mod sum;
mod tasks;

use std::path::Path;

use crate::harness::{Running, poll};

/// A service that says what it has read.
const READER: &str = "\
services:
  api:
    command: echo \"has $(cat src/a)\"; exec sleep 1000
    watch: {paths: [src], debounce: 20ms}
";

/// Writes as most programs do: the file is truncated, then written.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Writes beside the file and renames over it, as most editors do.
fn replace(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    let new = path.with_file_name(".new~");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Waits until files are watched: what is saved before is found all the same, but as one
/// change with what follows.
fn armed(pk: &Running) {
    poll("the watch", || {
        let status = pk.pk(["watch", "status", "--output", "json"]);
        status.stdout().contains("\"unit\"").then_some(())
    });
}

/// How often a unit was started.
fn starts(pk: &Running, unit: &str) -> usize {
    pk.so_far().matches(&format!("{unit} > started")).count()
}
