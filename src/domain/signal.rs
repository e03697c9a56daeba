//! Signals by name and number.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signal of the operating system, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Signal(#[schemars(with = "String")] i32);

/// The numbers of Linux on x86, ARM and RISC-V (`signal(7)`); the ones that other Unixes
/// number otherwise are left out there.
const NAMES: &[(&str, i32)] = &[
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGSEGV", 11),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    #[cfg(target_os = "linux")]
    ("SIGBUS", 7),
    #[cfg(target_os = "linux")]
    ("SIGUSR1", 10),
    #[cfg(target_os = "linux")]
    ("SIGUSR2", 12),
    #[cfg(target_os = "linux")]
    ("SIGCHLD", 17),
    #[cfg(target_os = "linux")]
    ("SIGCONT", 18),
    #[cfg(target_os = "linux")]
    ("SIGSTOP", 19),
    #[cfg(target_os = "linux")]
    ("SIGTSTP", 20),
    #[cfg(target_os = "linux")]
    ("SIGTTIN", 21),
    #[cfg(target_os = "linux")]
    ("SIGTTOU", 22),
    #[cfg(target_os = "linux")]
    ("SIGURG", 23),
    #[cfg(target_os = "linux")]
    ("SIGXCPU", 24),
    #[cfg(target_os = "linux")]
    ("SIGXFSZ", 25),
    #[cfg(target_os = "linux")]
    ("SIGWINCH", 28),
    #[cfg(not(target_os = "linux"))]
    ("SIGBUS", 10),
    #[cfg(not(target_os = "linux"))]
    ("SIGUSR1", 30),
    #[cfg(not(target_os = "linux"))]
    ("SIGUSR2", 31),
    #[cfg(not(target_os = "linux"))]
    ("SIGCHLD", 20),
    #[cfg(not(target_os = "linux"))]
    ("SIGCONT", 19),
    #[cfg(not(target_os = "linux"))]
    ("SIGSTOP", 17),
    #[cfg(not(target_os = "linux"))]
    ("SIGTSTP", 18),
    #[cfg(not(target_os = "linux"))]
    ("SIGWINCH", 28),
];

impl Signal {
    pub const HUP: Self = Self(1);
    pub const INT: Self = Self(2);
    pub const KILL: Self = Self(9);
    pub const PIPE: Self = Self(13);
    pub const TERM: Self = Self(15);

    /// A signal of that number, if there is one (1 to 64).
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// A signal by its name, with or without `SIG`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES
            .iter()
            .find(|(n, _)| n.strip_prefix("SIG") == Some(bare))
            .map(|&(_, number)| Self(number))
    }

    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// The names that [`Signal::from_name`] knows, for messages and the schema.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|&(name, _)| name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|&&(_, number)| number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_prefix("signal ").unwrap_or(&text).parse().ok();
        number
            .and_then(Self::from_number)
            .or_else(|| Self::from_name(&text))
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no signal")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_spelling() {
        assert_eq!(Signal::from_name("SIGTERM"), Some(Signal::TERM));
        assert_eq!(Signal::from_name("term"), Some(Signal::TERM));
        assert_eq!(Signal::from_name("SIGNOPE"), None);
        assert_eq!(Signal::from_name(""), None);
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!(
            Signal::from_number(64).map(|s| s.to_string()),
            Some("signal 64".into())
        );
        assert_eq!(Signal::from_number(0), None);
    }
}
