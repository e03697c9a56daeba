//! Secrets by their value: what a variable with a secret's name holds is one wherever it stands.

use std::borrow::Cow;
use std::fmt;

use super::secret::{MASK, is_secret_name};
use super::spec::{Program, UnitSpec};

/// The shortest secret that is looked for, in bytes: shorter ones are in too many lines.
pub const MIN_SECRET: usize = 8;

/// Whether the value of that variable is looked for elsewhere.
#[must_use]
pub fn is_known_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) && !names_a_place(name) && is_maskable(value)
}

/// Whether the value of a variable with a secret's name is looked for in what units write:
/// it is long enough, and more than a word (`production`, `Bearer_token`).
#[must_use]
pub fn is_maskable(value: &str) -> bool {
    let word = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | ' ' | '.');
    let mixed = {
        // A word has its capitals in front; `aHmXqPwZ` is none.
        let inner = value.chars().skip(1);
        let upper = inner.clone().filter(char::is_ascii_uppercase).count();
        let lower = inner.filter(char::is_ascii_lowercase).count();
        upper > 0 && lower > 0
    };
    value.trim().len() >= MIN_SECRET && (mixed || !value.chars().all(word))
}

/// Where a secret is, which is none: `SSH_AUTH_SOCK`, `PASSWORD_FILE`.
fn names_a_place(name: &str) -> bool {
    let last = name.rsplit('_').next().unwrap_or_default();
    ["SOCK", "FILE", "PATH", "DIR", "URL", "HOST"]
        .iter()
        .any(|place| last.eq_ignore_ascii_case(place))
}

/// Values that are secrets, the longest first.
#[derive(Clone, Default)]
pub struct Known(Vec<String>);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Known {
    /// Of the variables of these units.
    pub fn of<'a>(units: impl IntoIterator<Item = &'a UnitSpec>) -> Self {
        let mut known = Self::default();
        for unit in units {
            known.add(unit.environment.resolved());
            if let Program::Pipeline(stages) = &unit.program {
                for stage in stages {
                    let variables = stage.environment.iter();
                    known.add(variables.map(|(name, value)| (name.as_str(), value.as_str())));
                }
            }
        }
        known
    }

    /// And of these variables.
    pub fn add<'a>(&mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, value) in variables {
            if is_known_secret(name, value) && !self.0.iter().any(|known| known == value) {
                self.0.push(value.to_owned());
            }
        }
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text with all of them masked.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in &self.0 {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), MASK));
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let mut known = Known::default();
        known.add([
            ("DB_PASSWORD", "hunter2env"),
            ("API_TOKEN", "hunter2environment"),
            ("MODE_TOKEN", "production"),
            ("PASSWORD_FILE", "/run/secrets/db1"),
            ("NAME", "plain-value-1"),
        ]);
        assert_eq!(
            known.mask("a hunter2environment, hunter2env in /run/secrets/db1: production"),
            "a ********, ******** in /run/secrets/db1: production"
        );
        assert_eq!(known.mask("plain-value-1"), "plain-value-1");
    }

    #[test]
    fn words_are_no_secrets() {
        for word in [
            "production",
            "short1",
            "my-service",
            "Developer",
            "ALL_CAPS_WORD",
        ] {
            assert!(!is_maskable(word), "{word}");
        }
        for secret in ["s3cr3t-pass", "aHmXqPwZyTbN", "12345678", "pa ss/word"] {
            assert!(is_maskable(secret), "{secret}");
        }
    }
}
