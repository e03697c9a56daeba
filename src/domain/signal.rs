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

/// The first and the last real-time signal; the two before them the C library keeps for itself
/// (`signal(7)`).
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

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
        if let Some(number) = real_time(bare) {
            return Some(Self(number));
        }
        NAMES
            .iter()
            .find(|(n, _)| n.strip_prefix("SIG") == Some(bare))
            .map(|&(_, number)| Self(number))
    }

    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Whether [`Signal::from_name`] knows it, as all do that a program may be sent.
    #[must_use]
    pub fn has_name(self) -> bool {
        REAL_TIME.contains(&self.0) || NAMES.iter().any(|&(_, number)| number == self.0)
    }

    /// The names that [`Signal::from_name`] knows, for messages and the schema.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|&(name, _)| name)
    }
}

/// `RTMIN+2` or `RTMAX-2`, as `kill(1)` has them.
fn real_time(bare: &str) -> Option<i32> {
    let (from, sign, rest) = if let Some(rest) = bare.strip_prefix("RTMIN") {
        (*REAL_TIME.start(), '+', rest)
    } else {
        (*REAL_TIME.end(), '-', bare.strip_prefix("RTMAX")?)
    };
    let away = match rest.strip_prefix(sign) {
        Some(away) => away.parse::<u8>().ok()?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let number = match sign {
        '+' => from + i32::from(away),
        _ => from - i32::from(away),
    };
    REAL_TIME.contains(&number).then_some(number)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|&&(_, number)| number == self.0) {
            Some((name, _)) => f.write_str(name),
            None if self.0 == *REAL_TIME.start() => f.write_str("SIGRTMIN"),
            None if REAL_TIME.contains(&self.0) => {
                write!(f, "SIGRTMIN+{}", self.0 - REAL_TIME.start())
            }
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
        assert_eq!(Signal::from_number(0), None);
    }

    #[test]
    fn real_time_signals_have_names_that_are_read_again() {
        let name = |number| Signal::from_number(number).unwrap().to_string();
        assert_eq!(name(34), "SIGRTMIN");
        assert_eq!(name(48), "SIGRTMIN+14");
        assert_eq!(name(33), "signal 33");
        for signal in (1..=64).filter_map(Signal::from_number) {
            let again = Signal::from_name(&signal.to_string());
            assert_eq!(again, signal.has_name().then_some(signal), "{signal}");
        }
        assert_eq!(Signal::from_name("rtmax-1"), Signal::from_number(63));
        for wrong in [
            "RTMIN-1",
            "RTMIN+31",
            "RTMAX+1",
            "RTMIN+",
            "RTMIN1",
            "RTMAX-300",
        ] {
            assert_eq!(Signal::from_name(wrong), None, "{wrong}");
        }
    }
}
