//! Colours, and whether to use them.

use anstyle::{AnsiColor, Color, Style};

/// What decides about colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColorEnv {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` or `FORCE_COLOR` is set and neither empty nor 0.
    pub forced: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
}

impl ColorEnv {
    /// Reads the variables through `var`.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| var(name).is_some_and(|value| !value.is_empty());
        let on = |name| var(name).is_some_and(|value| !value.is_empty() && value != "0");
        Self {
            no_color: set("NO_COLOR"),
            forced: on("CLICOLOR_FORCE") || on("FORCE_COLOR"),
            dumb: var("TERM").is_some_and(|term| term == "dumb"),
        }
    }

    /// Whether a stream gets colour.
    #[must_use]
    pub fn allows(self, terminal: bool) -> bool {
        !self.no_color && (self.forced || (terminal && !self.dumb))
    }
}

/// Paints texts, or leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Painter {
    color: bool,
}

impl Painter {
    #[must_use]
    pub fn new(color: bool) -> Self {
        Self { color }
    }

    #[must_use]
    pub fn has_color(self) -> bool {
        self.color
    }

    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint(ink(AnsiColor::Green), text)
    }

    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint(ink(AnsiColor::Red).bold(), text)
    }

    #[must_use]
    pub fn warning(self, text: &str) -> String {
        self.paint(ink(AnsiColor::Yellow), text)
    }
}

/// Red is left out: it means failure.
const UNIT_COLORS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// The colour of the unit in that place of the file: the same in every run.
#[must_use]
pub fn unit(place: usize) -> Style {
    ink(UNIT_COLORS[place % UNIT_COLORS.len()])
}

fn ink(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> ColorEnv {
        ColorEnv::read(|name| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn who_decides_about_colour() {
        assert!(env(&[]).allows(true));
        assert!(!env(&[]).allows(false));
        assert!(!env(&[("NO_COLOR", "1")]).allows(true));
        assert!(env(&[("NO_COLOR", "")]).allows(true));
        assert!(env(&[("CLICOLOR_FORCE", "1")]).allows(false));
        assert!(env(&[("FORCE_COLOR", "3")]).allows(false));
        assert!(!env(&[("CLICOLOR_FORCE", "0")]).allows(false));
        assert!(!env(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).allows(true));
        assert!(!env(&[("TERM", "dumb")]).allows(true));
    }

    #[test]
    fn without_colour_a_text_stays_as_it_is() {
        assert_eq!(Painter::new(false).bad("x"), "x");
        assert_eq!(Painter::new(true).dim("x"), "\u{1b}[2mx\u{1b}[0m");
    }
}
