//! Takes out of a text what differs from run to run.

use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

static PID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bpid \d+").unwrap());

/// A time after one of the words that pk puts before it.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(after|in) (\d+(\.\d+)?(us|ms|s)|\d+m\d\ds)").unwrap());

/// Process numbers become `PID`, times that were measured become `TIME`, the test's folder
/// becomes `DIR`.
pub fn filtered(text: &str, folder: &Path) -> String {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let text = text
        .replace(&real.display().to_string(), "DIR")
        .replace(&folder.display().to_string(), "DIR");
    let text = PID.replace_all(&text, "pid PID");
    TIME.replace_all(&text, |found: &Captures<'_>| format!("{} TIME", &found[1]))
        .into_owned()
}

#[test]
fn what_differs_is_taken_out() {
    assert_eq!(
        filtered(
            "a > started, pid 12\nx ended after 1.3s in /tmp/x/y",
            Path::new("/tmp/x")
        ),
        "a > started, pid PID\nx ended after TIME in DIR/y"
    );
}
