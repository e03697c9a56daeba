//! What is left out of folders and globs, and by which rule.
//!
//! First that speaks wins: the unit's own `ignore`, then `.ignore` and `.gitignore` from the
//! file's folder upwards to the repository's top, the repository's and the user's excludes,
//! and last what pk leaves out by itself. A folder that is left out takes all in it with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustc_hash::FxHashMap;

/// Version control, and what editors write beside the file that is edited.
const BUILT_IN: [&str; 21] = [
    ".git/",
    ".hg/",
    ".svn/",
    ".jj/",
    "_darcs/",
    ".pijul/",
    "CVS/",
    "*~",
    ".*.sw?",
    "*.swp",
    "4913",
    ".#*",
    "\\#*\\#",
    "*___jb_tmp___",
    "*___jb_old___",
    ".goutputstream-*",
    "*.kate-swp",
    ".~lock.*",
    ".DS_Store",
    ".nfs*",
    ".pk/",
];

/// The names of files that hold rules.
pub(super) const RULE_FILES: [&str; 2] = [".ignore", ".gitignore"];

/// A rule that leaves a path out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rule {
    /// As it is written.
    pub pattern: String,
    /// Where it stands; `None`: pk's own.
    pub from: Option<PathBuf>,
    /// It is the unit's own `ignore`.
    pub own: bool,
}

/// What one unit leaves out by itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    globs: Gitignore,
    honours_files: bool,
    /// Where its output goes: that is no change of what it is made from.
    log: Option<PathBuf>,
}

impl Own {
    pub(super) fn new(
        base: &Path,
        globs: &[String],
        honours_files: bool,
        log: Option<&Path>,
    ) -> Self {
        let mut builder = GitignoreBuilder::new(base);
        for glob in globs {
            let glob = glob.strip_prefix("./").unwrap_or(glob);
            // A slash at its beginning stands for the stack's folder, but for a glob that
            // names that as well, as those of process-compose do.
            let named = Path::new(glob).strip_prefix(base).ok();
            let named = named.map(|below| format!("/{}", below.display()));
            let glob = named.as_deref().unwrap_or(glob);
            // The file was checked.
            let _ = builder.add_line(None, glob);
        }
        Self {
            globs: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            honours_files,
            log: log.map(Path::to_owned),
        }
    }
}

/// The rules of one folder, and of those above it.
#[derive(Debug)]
struct Folder {
    files: Vec<Gitignore>,
    above: Option<Arc<Folder>>,
}

/// All rules that stand in files, read as they are needed.
#[derive(Debug)]
pub(super) struct Ignoring {
    /// The stack's folder.
    base: PathBuf,
    folders: FxHashMap<OsString, Option<Arc<Folder>>>,
    user: Gitignore,
    built_in: Gitignore,
}

impl Ignoring {
    pub(super) fn new(base: &Path) -> Self {
        let mut builder = GitignoreBuilder::new("/");
        for line in BUILT_IN {
            let _ = builder.add_line(None, line);
        }
        Self {
            base: base.to_owned(),
            folders: FxHashMap::default(),
            user: Gitignore::global().0,
            built_in: builder.build().unwrap_or_else(|_| Gitignore::empty()),
        }
    }

    /// Forgets what was read: a file of rules has changed.
    pub(super) fn forget(&mut self) {
        self.folders.clear();
    }

    /// The rule that leaves `path` out, if its folder is not left out. `root`: of the folder
    /// or glob that it is below.
    pub(super) fn rule(
        &mut self,
        own: &Own,
        root: &Path,
        path: &Path,
        is_dir: bool,
    ) -> Option<Rule> {
        if let Some(log) = &own.log
            && is_log(log, path)
        {
            return Some(Rule {
                pattern: "logs.file".to_owned(),
                from: None,
                own: true,
            });
        }
        match own.globs.matched(path, is_dir) {
            Match::Ignore(glob) => {
                return Some(Rule {
                    pattern: glob.original().to_owned(),
                    from: None,
                    own: true,
                });
            }
            Match::Whitelist(_) => return None,
            Match::None => {}
        }
        if own.honours_files {
            let mut folder = path.parent().and_then(|parent| self.folder(parent, root));
            while let Some(rules) = folder {
                for file in &rules.files {
                    match file.matched(path, is_dir) {
                        Match::Ignore(glob) => return Some(of_file(glob)),
                        Match::Whitelist(_) => return None,
                        Match::None => {}
                    }
                }
                folder = rules.above.clone();
            }
            match self.user.matched(path, is_dir) {
                Match::Ignore(glob) => return Some(of_file(glob)),
                Match::Whitelist(_) => return None,
                Match::None => {}
            }
        }
        match self.built_in.matched(path, is_dir) {
            Match::Ignore(glob) => Some(Rule {
                pattern: glob.original().to_owned(),
                from: None,
                own: false,
            }),
            Match::Whitelist(_) | Match::None => None,
        }
    }

    /// The same for a path whose folders were not tested: the first rule from the root down.
    pub(super) fn rule_on_the_way(
        &mut self,
        own: &Own,
        root: &Path,
        path: &Path,
        is_dir: bool,
    ) -> Option<Rule> {
        let below = path.strip_prefix(root).ok()?;
        let mut at = root.to_owned();
        let mut parts = below.components().peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            let is_dir = is_dir || parts.peek().is_some();
            if let Some(rule) = self.rule(own, root, &at, is_dir) {
                return Some(rule);
            }
        }
        None
    }

    fn folder(&mut self, folder: &Path, root: &Path) -> Option<Arc<Folder>> {
        if let Some(known) = self.folders.get(folder.as_os_str()) {
            return known.clone();
        }
        let is_top = folder.join(".git").symlink_metadata().is_ok();
        // Outside of a repository, what stands above the stack is somebody else's.
        let within = (folder != self.base && folder.starts_with(&self.base))
            || (folder != root && folder.starts_with(root))
            || has_repository_above(folder);
        let above = match folder.parent() {
            Some(parent) if !is_top && within => self.folder(parent, root),
            Some(_) | None => None,
        };
        let mut files = Vec::new();
        for name in RULE_FILES {
            files.extend(read(&folder.join(name), folder));
        }
        if is_top {
            files.extend(read(&folder.join(".git/info/exclude"), folder));
        }
        let rules = if files.is_empty() {
            above
        } else {
            Some(Arc::new(Folder { files, above }))
        };
        self.folders.insert(folder.into(), rules.clone());
        rules
    }
}

fn has_repository_above(folder: &Path) -> bool {
    let mut above = folder.ancestors().skip(1);
    above.any(|folder| folder.join(".git").symlink_metadata().is_ok())
}

fn read(file: &Path, folder: &Path) -> Option<Gitignore> {
    if !file.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(folder);
    // A line that is no rule is left out, as git does.
    let _ = builder.add(file);
    builder.build().ok()
}

fn of_file(glob: &ignore::gitignore::Glob) -> Rule {
    Rule {
        pattern: glob.original().to_owned(),
        from: glob.from().map(Path::to_owned),
        own: false,
    }
}

/// The file itself, and what it is rotated to.
fn is_log(log: &Path, path: &Path) -> bool {
    if path == log {
        return true;
    }
    let (Some(name), Some(other)) = (log.file_name(), path.file_name()) else {
        return false;
    };
    let name = name.as_encoded_bytes();
    let rest = other.as_encoded_bytes().strip_prefix(name);
    path.parent() == log.parent() && rest.is_some_and(|rest| rest.starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(own: &[&str], files: &[(&str, &str)], path: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for (name, text) in files {
            let file = base.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let globs: Vec<String> = own.iter().map(ToString::to_string).collect();
        let own = Own::new(base, &globs, true, Some(&base.join("out.log")));
        let rule = Ignoring::new(base).rule_on_the_way(&own, base, &base.join(path), false);
        rule.map(|rule| rule.pattern)
    }

    #[test]
    fn the_nearest_rule_wins_and_can_be_named() {
        let files = [(".gitignore", "*.log\n/dist\n"), ("a/.gitignore", "!b.log")];
        assert_eq!(rule(&[], &files, "x.log").as_deref(), Some("*.log"));
        assert_eq!(rule(&[], &files, "a/b.log"), None);
        assert_eq!(rule(&[], &files, "dist/deep/x").as_deref(), Some("/dist"));
        assert_eq!(rule(&["!*.log"], &files, "x.log"), None);
        assert_eq!(
            rule(&["gen/**"], &files, "gen/x").as_deref(),
            Some("gen/**")
        );
    }

    #[test]
    fn a_glob_that_names_the_stacks_folder_is_meant_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let left_out = |glob: &str, path: &str| {
            let glob = base.join(glob).display().to_string();
            let own = Own::new(base, &[glob], true, None);
            let rule = Ignoring::new(base).rule_on_the_way(&own, base, &base.join(path), false);
            rule.is_some()
        };
        assert!(left_out("src/**/gen", "src/deep/gen/x"));
        assert!(left_out("src/gen/*.c", "src/gen/a.c"));
        assert!(!left_out("src/**/gen", "gen/x"));
    }

    #[test]
    fn what_editors_and_version_control_write_is_left_out() {
        for name in [
            ".git/index",
            "a.rs~",
            ".a.rs.swp",
            "4913",
            ".#a.rs",
            "#a.rs#",
            "a.rs___jb_tmp___",
            "out.log",
            "out.log.1",
        ] {
            assert!(rule(&[], &[], name).is_some(), "{name}");
        }
        for name in ["a.rs", ".env", ".gitignore", "out.logs", "swp"] {
            assert_eq!(rule(&[], &[], name), None, "{name}");
        }
    }
}
