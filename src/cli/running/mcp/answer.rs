//! What an agent is told: text that has an end.

/// The longest answer that is not a log, in bytes.
const MAX: usize = 48 << 10;

/// Why a tool did not do what it was asked: for the agent to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub String);

impl Refusal {
    pub fn new(what: impl Into<String>, help: Option<&str>) -> Self {
        let what = what.into();
        Self(match help {
            Some(help) => format!("{what}\n{help}"),
            None => what,
        })
    }
}

pub(super) type Answer = Result<String, Refusal>;

/// Lines, as many as fit, and how many did not.
pub(super) fn bounded(lines: impl IntoIterator<Item = String>, how: &str) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for line in lines {
        if left_out > 0 || text.len() + line.len() > MAX {
            left_out += 1;
            continue;
        }
        text.push_str(&line);
        text.push('\n');
    }
    if left_out > 0 {
        text.push_str(&format!("({left_out} more lines left out; {how})\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let line = "x".repeat(1000);
        let text = bounded(vec![line; 100], "name fewer");
        assert!(text.len() < MAX + 100);
        assert!(
            text.ends_with("(51 more lines left out; name fewer)\n"),
            "{text}"
        );
        assert_eq!(bounded(["a".to_owned()], ""), "a\n");
    }
}
