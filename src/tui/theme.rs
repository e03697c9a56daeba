//! Colours by meaning.
//!
//! A view asks for what something means, never for a colour. Without colour each meaning
//! still differs by weight, and phases by the shape of their glyph.

use ratatui::style::{Color, Modifier, Style};

use crate::domain::watch::Gravity;

/// Which colours a terminal is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThemeName {
    #[default]
    Dark,
    Light,
    /// The terminal's own sixteen.
    Sixteen,
    /// Weight and shape alone, for `NO_COLOR`.
    Plain,
}

impl ThemeName {
    pub const ALL: [Self; 4] = [Self::Dark, Self::Light, Self::Sixteen, Self::Plain];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Sixteen => "sixteen",
            Self::Plain => "plain",
        }
    }

    /// The theme of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }

    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Sixteen,
            Self::Sixteen => Self::Plain,
            Self::Plain => Self::Dark,
        }
    }
}

/// How something is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Dim,
    Good,
    Busy,
    Warning,
    Bad,
    Info,
}

impl From<Gravity> for Tone {
    fn from(gravity: Gravity) -> Self {
        match gravity {
            Gravity::Fine => Self::Plain,
            Gravity::Warning => Self::Warning,
            Gravity::Bad => Self::Bad,
        }
    }
}

/// The styles of one theme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    pub name: ThemeName,
    pub text: Style,
    pub dim: Style,
    pub strong: Style,
    pub good: Style,
    pub busy: Style,
    pub warning: Style,
    pub bad: Style,
    pub info: Style,
    /// Lines between panes; of the pane that has the keys, and of others.
    pub border: Style,
    pub border_focused: Style,
    /// The chosen row; laid over what stands there.
    pub selected: Style,
    pub selected_unfocused: Style,
    /// The top line.
    pub bar: Style,
    /// The name of the stack in it.
    pub badge: Style,
    /// The line that tells of a failure.
    pub alarm: Style,
    pub key: Style,
    /// A match of the search; the one that is looked at.
    pub hit: Style,
    pub hit_current: Style,
    /// Of a window over the rest.
    pub popup: Style,
    /// By place in the file: the names in merged logs.
    pub units: [Style; 8],
}

impl Theme {
    #[must_use]
    pub fn new(name: ThemeName) -> Self {
        match name {
            ThemeName::Dark => dark(),
            ThemeName::Light => light(),
            ThemeName::Sixteen => sixteen(),
            ThemeName::Plain => plain(),
        }
    }

    /// What stands on a line between panes, whose colour it does not take.
    #[must_use]
    pub fn title(&self) -> Style {
        let ink = self.text.fg.unwrap_or(Color::Reset);
        Style::new().fg(ink).patch(self.strong)
    }

    #[must_use]
    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => self.text,
            Tone::Dim => self.dim,
            Tone::Good => self.good,
            Tone::Busy => self.busy,
            Tone::Warning => self.warning,
            Tone::Bad => self.bad,
            Tone::Info => self.info,
        }
    }

    /// The colour of the unit at that place.
    #[must_use]
    pub fn unit(&self, place: usize) -> Style {
        self.units[place % self.units.len()]
    }
}

fn fg(index: u8) -> Style {
    Style::new().fg(Color::Indexed(index))
}

fn dark() -> Theme {
    Theme {
        name: ThemeName::Dark,
        text: Style::new(),
        dim: fg(245),
        strong: Style::new().add_modifier(Modifier::BOLD),
        good: fg(114),
        busy: fg(75),
        warning: fg(221),
        bad: fg(203).add_modifier(Modifier::BOLD),
        info: fg(110),
        border: fg(240),
        border_focused: fg(75),
        selected: Style::new().bg(Color::Indexed(238)),
        selected_unfocused: Style::new().bg(Color::Indexed(236)),
        bar: fg(252).bg(Color::Indexed(236)),
        badge: fg(16).bg(Color::Indexed(110)).add_modifier(Modifier::BOLD),
        alarm: fg(231).bg(Color::Indexed(88)),
        key: fg(110).add_modifier(Modifier::BOLD),
        hit: fg(16).bg(Color::Indexed(222)),
        hit_current: fg(16).bg(Color::Indexed(208)).add_modifier(Modifier::BOLD),
        popup: Style::new().bg(Color::Indexed(235)),
        units: [
            fg(80),
            fg(179),
            fg(141),
            fg(114),
            fg(111),
            fg(216),
            fg(151),
            fg(182),
        ],
    }
}

fn light() -> Theme {
    Theme {
        name: ThemeName::Light,
        text: fg(235),
        dim: fg(242),
        strong: fg(232).add_modifier(Modifier::BOLD),
        good: fg(28),
        busy: fg(25),
        warning: fg(130),
        bad: fg(160).add_modifier(Modifier::BOLD),
        info: fg(24),
        border: fg(250),
        border_focused: fg(25),
        selected: Style::new().bg(Color::Indexed(153)),
        selected_unfocused: Style::new().bg(Color::Indexed(254)),
        bar: fg(235).bg(Color::Indexed(254)),
        badge: fg(231).bg(Color::Indexed(25)).add_modifier(Modifier::BOLD),
        alarm: fg(231).bg(Color::Indexed(124)),
        key: fg(25).add_modifier(Modifier::BOLD),
        hit: fg(16).bg(Color::Indexed(222)),
        hit_current: fg(16).bg(Color::Indexed(214)).add_modifier(Modifier::BOLD),
        popup: fg(235).bg(Color::Indexed(255)),
        units: [
            fg(30),
            fg(94),
            fg(91),
            fg(28),
            fg(25),
            fg(131),
            fg(65),
            fg(96),
        ],
    }
}

fn ansi(color: Color) -> Style {
    Style::new().fg(color)
}

fn sixteen() -> Theme {
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    Theme {
        name: ThemeName::Sixteen,
        text: Style::new(),
        dim: Style::new().add_modifier(Modifier::DIM),
        strong: Style::new().add_modifier(Modifier::BOLD),
        good: ansi(Color::Green),
        busy: ansi(Color::Cyan),
        warning: ansi(Color::Yellow),
        bad: ansi(Color::Red).add_modifier(Modifier::BOLD),
        info: ansi(Color::Blue),
        border: Style::new().add_modifier(Modifier::DIM),
        border_focused: ansi(Color::Cyan),
        selected: reversed,
        selected_unfocused: Style::new().add_modifier(Modifier::BOLD),
        bar: reversed,
        badge: ansi(Color::Cyan).add_modifier(Modifier::REVERSED | Modifier::BOLD),
        alarm: ansi(Color::White)
            .bg(Color::Red)
            .add_modifier(Modifier::BOLD),
        key: ansi(Color::Cyan).add_modifier(Modifier::BOLD),
        hit: ansi(Color::Black).bg(Color::Yellow),
        hit_current: ansi(Color::Black)
            .bg(Color::Magenta)
            .add_modifier(Modifier::BOLD),
        popup: Style::new(),
        units: [
            ansi(Color::Cyan),
            ansi(Color::Yellow),
            ansi(Color::Magenta),
            ansi(Color::Green),
            ansi(Color::Blue),
            ansi(Color::LightCyan),
            ansi(Color::LightYellow),
            ansi(Color::LightMagenta),
        ],
    }
}

fn plain() -> Theme {
    let (bold, dim) = (
        Style::new().add_modifier(Modifier::BOLD),
        Style::new().add_modifier(Modifier::DIM),
    );
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
    Theme {
        name: ThemeName::Plain,
        text: Style::new(),
        dim,
        strong: bold,
        good: Style::new(),
        busy: Style::new(),
        warning: bold,
        bad: bold,
        info: Style::new(),
        border: dim,
        border_focused: bold,
        selected: reversed,
        selected_unfocused: bold,
        bar: reversed,
        badge: reversed.add_modifier(Modifier::BOLD),
        alarm: reversed.add_modifier(Modifier::BOLD),
        key: bold,
        hit: underlined,
        hit_current: reversed,
        popup: Style::new(),
        units: [Style::new(); 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_theme_has_no_colour_at_all() {
        let theme = Theme::new(ThemeName::Plain);
        let mut styles = vec![
            theme.text,
            theme.dim,
            theme.strong,
            theme.good,
            theme.busy,
            theme.warning,
            theme.bad,
            theme.info,
            theme.border,
            theme.border_focused,
            theme.selected,
            theme.selected_unfocused,
            theme.bar,
            theme.badge,
            theme.alarm,
            theme.key,
            theme.hit,
            theme.hit_current,
            theme.popup,
        ];
        styles.extend(theme.units);
        assert!(
            styles
                .iter()
                .all(|style| style.fg.is_none() && style.bg.is_none())
        );
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for theme in ThemeName::ALL {
            assert_eq!(ThemeName::parse(theme.as_str()), Some(theme));
        }
        assert_eq!(ThemeName::parse("nope"), None);
    }
}
