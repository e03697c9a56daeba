//! Paths of the file into absolute ones.

use std::path::{Component, Path, PathBuf};

use crate::config::context::Cx;
use crate::config::decode::Text;
use crate::config::source::Span;

/// A path, relative to the folder of the file that names it; `~/` is the user's own folder.
pub(in crate::config) fn absolute(path: &Text, span: Span, cx: &Cx<'_>) -> PathBuf {
    let home = cx.os.get("HOME").filter(|home| home.starts_with('/'));
    if let (Some(rest), Some(home)) = (path.strip_prefix("~/"), home) {
        return tidy(&Path::new(home).join(rest));
    }
    tidy(&cx.sources.get(span.file).folder().join(&**path))
}

/// The same for a path that may be a glob.
pub(in crate::config) fn absolute_text(path: &Text, span: Span, cx: &Cx<'_>) -> String {
    absolute(path, span, cx).to_string_lossy().into_owned()
}

/// Without `.` and, where nothing but a name stands before it, `..`.
///
/// Symbolic links make `a/../b` other than `b`, but no one who writes it means that.
pub(in crate::config) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                out.push(component);
            }
        }
    }
    out
}
