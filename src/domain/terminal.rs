//! What a face must know of a unit's terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How large a terminal is, in characters. Neither is ever 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

impl TerminalSize {
    /// What a terminal has until a face says otherwise.
    pub const DEFAULT: Self = Self {
        rows: 24,
        columns: 80,
    };

    /// The nearest size that a terminal can have.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Self {
        Self {
            rows: rows.clamp(1, Self::MAX),
            columns: columns.clamp(Self::NARROWEST, Self::MAX),
        }
    }

    /// Columns that a wide character takes: where it has no room at all, there is no telling
    /// where the cursor is.
    pub const NARROWEST: u16 = 2;

    /// More than any screen shows; it bounds the memory that a screen takes.
    pub const MAX: u16 = 1000;
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for TerminalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

/// Why nothing can be typed to a unit, or its screen cannot be shown.
#[derive(
    Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TerminalDenial {
    #[error("there is no such unit")]
    NoSuchUnit,
    /// It has neither `tty: true` nor `stdin: true`.
    #[error("it reads no input: `tty: true` gives it a terminal, `stdin: true` an input")]
    NoInput,
    #[error("it has no terminal: `tty: true` gives it one")]
    NoTerminal,
    #[error("it does not run")]
    NotRunning,
    /// What was typed before fills all the room there is.
    #[error("it does not read what was typed before")]
    NotReading,
}
