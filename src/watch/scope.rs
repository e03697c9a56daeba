//! What one unit watches: the paths and globs of its file, as matchers.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// One path or glob of a unit.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As the file has it, made absolute.
    pub text: String,
    /// What is walked or, for a name without glob characters, named.
    pub root: PathBuf,
    glob: Option<Glob>,
}

#[derive(Clone, Debug)]
struct Glob {
    whole: GlobMatcher,
    /// Which folders may hold what matches, by depth below the root; none beyond the first
    /// `**`.
    folders: Vec<GlobMatcher>,
    /// How many folders deep a match may lie; `None`: any.
    depth: Option<usize>,
}

impl Pattern {
    /// A name that exists is that name, whatever characters it has.
    pub(super) fn new(text: &str) -> Self {
        let literal = Path::new(text);
        if !text.contains(['*', '?', '[', '{']) || literal.symlink_metadata().is_ok() {
            return Self::literal(text);
        }
        let parts = split(text);
        let plain = parts
            .iter()
            .take_while(|part| !part.contains(['*', '?', '[', '{']))
            .count();
        let root: PathBuf = std::iter::once(Component::RootDir.as_os_str())
            .chain(
                parts[..plain]
                    .iter()
                    .map(|part| std::ffi::OsStr::new(*part)),
            )
            .collect();
        let matcher = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).build();
            glob.ok().map(|glob| glob.compile_matcher())
        };
        // The file was checked; what is no glob after all is a name.
        let Some(whole) = matcher(text) else {
            return Self::literal(text);
        };
        let wild = &parts[plain..];
        let fixed = wild.iter().take_while(|part| **part != "**").count();
        let folders = (plain + 1..plain + fixed.min(wild.len() - 1) + 1)
            .map_while(|end| matcher(&format!("/{}", parts[..end].join("/"))))
            .collect();
        Self {
            text: text.to_owned(),
            root,
            glob: Some(Glob {
                whole,
                folders,
                depth: (fixed == wild.len()).then_some(wild.len() - 1),
            }),
        }
    }

    fn literal(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            root: PathBuf::from(text),
            glob: None,
        }
    }

    pub(super) fn is_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// Whether a file below the root is meant; what it is ignored by is another question.
    pub(super) fn takes_file(&self, path: &Path) -> bool {
        match &self.glob {
            None => path.starts_with(&self.root),
            Some(glob) => glob.whole.is_match(path),
        }
    }

    /// Whether a folder below the root may hold files that are meant.
    pub(super) fn takes_folder(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else {
            return false;
        };
        let Some(glob) = &self.glob else {
            return true;
        };
        let depth = below.components().count();
        if depth == 0 {
            return true;
        }
        if glob.depth.is_some_and(|deepest| depth > deepest) {
            return false;
        }
        match glob.folders.get(depth - 1) {
            Some(folder) => folder.is_match(path),
            // Beyond the first `**`, its own prefix has been tested above.
            None => true,
        }
    }
}

/// The parts between slashes; one within braces or brackets separates nothing.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '/' if depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(glob: &str, path: &str) -> (bool, bool) {
        let pattern = Pattern::new(glob);
        let path = Path::new(path);
        (pattern.takes_file(path), pattern.takes_folder(path))
    }

    #[test]
    fn a_glob_knows_where_it_may_match() {
        assert_eq!(Pattern::new("/w/src/**/*.rs").root, Path::new("/w/src"));
        assert_eq!(takes("/w/src/**/*.rs", "/w/src/a/b.rs"), (true, true));
        assert!(!takes("/w/src/**/*.rs", "/w/src/a/b.c").0);
        assert!(takes("/w/src/*.rs", "/w/src/a.rs").0);
        assert!(!takes("/w/src/*.rs", "/w/src/a/b.rs").0);
        assert!(!takes("/w/src/*.rs", "/w/src/a").1);
        assert!(takes("/w/*/src/**/x", "/w/one").1);
        assert!(takes("/w/*/src/**/x", "/w/one/src").1);
        assert!(!takes("/w/*/src/**/x", "/w/one/target").1);
        assert!(takes("/w/*/src/**/x", "/w/one/src/deep/er").1);
        assert!(takes("/w/{a,b/c}/*.x", "/w/b/c/1.x").0);
    }

    #[test]
    fn a_name_without_glob_characters_is_a_name() {
        let pattern = Pattern::new("/w/src");
        assert!(!pattern.is_glob());
        assert!(pattern.takes_file(Path::new("/w/src/a/b")));
        assert!(!pattern.takes_file(Path::new("/w/srcs")));
    }
}
