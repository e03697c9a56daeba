//! Goes through what a pattern means, folder by folder.

use std::io;
use std::path::{Path, PathBuf};

use super::ignoring::{Ignoring, Own, Rule};
use super::scope::Pattern;

/// Is told what is there.
pub(super) trait Visitor {
    /// Before its entries are read. `false`: do not go on at all.
    fn folder(&mut self, path: &Path) -> bool;
    fn file(&mut self, path: &Path, is_link: bool);
    fn ignored(&mut self, path: &Path, rule: Rule);
    fn unreadable(&mut self, path: &Path, error: &io::Error);
}

/// Goes through `start` and what is below it. Symbolic links are followed, but for those that
/// lead to where the walk is anyway.
pub(super) fn walk(
    ignoring: &mut Ignoring,
    own: &Own,
    pattern: &Pattern,
    start: &Path,
    visitor: &mut impl Visitor,
) {
    let mut folders = vec![start.to_owned()];
    let mut ground = Vec::new();
    while let Some(folder) = folders.pop() {
        if !visitor.folder(&folder) {
            return;
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // It is gone again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                visitor.unreadable(&folder, &error);
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(mut kind) = entry.file_type() else {
                continue;
            };
            let is_link = kind.is_symlink();
            if is_link {
                // One that leads nowhere is nothing yet.
                let Ok(target) = std::fs::metadata(&path) else {
                    continue;
                };
                kind = target.file_type();
            }
            let meant = if kind.is_dir() {
                pattern.takes_folder(&path)
            } else {
                kind.is_file() && pattern.takes_file(&path)
            };
            if !meant {
                continue;
            }
            if let Some(rule) = ignoring.rule(own, &pattern.root, &path, kind.is_dir()) {
                visitor.ignored(&path, rule);
            } else if kind.is_file() {
                visitor.file(&path, is_link);
            } else if !is_link || leads_elsewhere(&path, &pattern.root, &mut ground) {
                folders.push(path);
            }
        }
    }
}

/// Whether a link leads to folders that the walk does not come to otherwise, nor to one that
/// holds the walk itself. `ground`: where links have led before.
fn leads_elsewhere(link: &Path, root: &Path, ground: &mut Vec<PathBuf>) -> bool {
    let Ok(target) = link.canonicalize() else {
        return false;
    };
    if ground.is_empty() {
        ground.push(root.canonicalize().unwrap_or_else(|_| root.to_owned()));
    }
    let known = |there: &PathBuf| target.starts_with(there) || there.starts_with(&target);
    if ground.iter().any(known) {
        return false;
    }
    ground.push(target);
    true
}
