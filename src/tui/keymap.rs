//! What may be done, and which key does it.
//!
//! One table: the help, the palette, the footer and the keys all come from it, so none of
//! them can promise what another does not do.

use std::collections::BTreeMap;

use super::key::{Key, NoKey};

/// Where a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Wherever the keys go.
    Everywhere,
    /// While the units have the keys, in whichever view.
    Units,
    /// While the log has them.
    Log,
    /// While they go to a unit's terminal.
    Terminal,
}

impl Place {
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Units => "units",
            Self::Log => "log",
            Self::Terminal => "typing into a terminal",
        }
    }
}

macro_rules! actions {
    ($( $action:ident $name:literal $place:ident [$($key:literal)*] $help:literal; )*) => {
        /// Something that a key or the palette does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($action,)* }

        impl Action {
            /// All of them, in the order of the help.
            pub const ALL: &[Self] = &[$(Self::$action,)*];

            /// As the configuration names it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$action => $name,)* }
            }

            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$action => $help,)* }
            }

            #[must_use]
            pub fn place(self) -> Place {
                match self { $(Self::$action => Place::$place,)* }
            }

            fn default_keys(self) -> &'static [&'static str] {
                match self { $(Self::$action => &[$($key,)*],)* }
            }
        }
    };
}

actions! {
    Help "help" Everywhere ["?" "f1"] "all keys";
    Palette "palette" Everywhere [":" "ctrl-p"] "every command by name";
    Quit "quit" Everywhere ["q" "f10" "ctrl-c"] "leave: stop the stack, or detach";
    Focus "focus" Everywhere ["tab"] "keys to the next pane";
    FocusBack "focus-back" Everywhere ["backtab"] "keys to the pane before";
    Overview "overview" Everywhere ["1"] "view: overview";
    Graph "graph" Everywhere ["2"] "view: what depends on what";
    Timeline "timeline" Everywhere ["3"] "view: how the start went";
    Details "details" Everywhere ["4" "f3" "i"] "view: all about one unit";
    ToFailure "to-failure" Everywhere ["!"] "go to the unit that failed";
    Zoom "zoom" Everywhere ["z"] "this pane alone, and back";
    ZoomLog "zoom-log" Everywhere ["f4"] "log alone, and back";
    ZoomUnits "zoom-units" Everywhere ["f8"] "units alone, and back";
    Grow "grow" Everywhere [">"] "more room for the units";
    Shrink "shrink" Everywhere ["<"] "less room for the units";
    Split "split" Everywhere ["|"] "a pane for the unit, or for each marked one; and away";
    Stack "stack" Everywhere ["\\"] "panes beside, or above each other";
    GrowPane "grow-pane" Everywhere ["+"] "more room for this pane";
    ShrinkPane "shrink-pane" Everywhere ["-"] "less room for this pane";
    OnePane "one-pane" Everywhere ["X"] "one pane again, that of the chosen unit";
    Type "type" Everywhere ["I"] "type into the terminal of the unit";
    Terminal "terminal" Everywhere ["L"] "of a unit with a terminal: its screen, or its lines";
    Scope "scope" Everywhere ["l"] "log of: the chosen unit, the marked ones, all";
    Follow "follow" Everywhere ["f" "f5"] "log: follow the end, or stay";
    Wrap "wrap" Everywhere ["w" "f6"] "log: wrap long lines, or pan";
    Times "times" Everywhere ["t"] "log: times off, absolute, relative";
    Find "find" Everywhere ["ctrl-f"] "search in the log";
    NextMatch "next-match" Everywhere ["n" "ctrl-n"] "log: next match, further down";
    PreviousMatch "previous-match" Everywhere ["N"] "log: match before, further up";
    OnlyMatches "only-matches" Everywhere ["&"] "log: matching lines alone, and back";
    Pretty "pretty" Everywhere ["p"] "log: JSON over several lines, and back";
    Clear "clear" Everywhere ["ctrl-k"] "log: hide what is there so far, and back";
    Copy "copy" Everywhere ["y" "ctrl-s"] "copy the marked log lines, or those in view";
    Up "up" Units ["up" "k"] "unit above";
    Down "down" Units ["down" "j"] "unit below";
    PageUp "page-up" Units ["pageup" "ctrl-u"] "a page up";
    PageDown "page-down" Units ["pagedown" "ctrl-d"] "a page down";
    First "first" Units ["home" "g"] "first unit";
    Last "last" Units ["end" "G"] "last unit";
    Left "left" Units ["left" "h"] "fold the group; in the graph, what it needs";
    Right "right" Units ["right"] "unfold the group; in the graph, what needs it";
    Open "open" Units ["enter"] "fold or unfold; of a unit, keys to its log";
    Mark "mark" Units ["space" "m"] "mark the unit for what comes next";
    Unmark "unmark" Units ["u"] "unmark all";
    Filter "filter" Units ["/"] "units whose name or state holds a text";
    Sort "sort" Units ["o"] "sort by the next column";
    Reverse "reverse" Units ["O"] "sort the other way round";
    Grouping "grouping" Units ["v"] "group by kind, by profile, not at all";
    HideIdle "hide-idle" Units ["a"] "hide what neither runs nor has failed, and back";
    Start "start" Units ["s" "f7"] "start; of a task, run it";
    Stop "stop" Units ["x" "f9"] "stop";
    Restart "restart" Units ["r" "ctrl-r"] "restart";
    Kill "kill" Units ["K"] "kill, without grace";
    Signal "signal" Units ["S" "ctrl-x"] "send a signal";
    Scale "scale" Units ["c" "f2"] "change the number of instances";
    Enable "enable" Units ["e"] "enable";
    Disable "disable" Units ["d"] "disable: stop, and let nothing start it";
    LogUp "log-up" Log ["up" "k"] "line above";
    LogDown "log-down" Log ["down" "j"] "line below";
    LogPageUp "log-page-up" Log ["pageup" "ctrl-u" "b"] "a page up";
    LogPageDown "log-page-down" Log ["pagedown" "ctrl-d" "space"] "a page down";
    LogFirst "log-first" Log ["home" "g"] "oldest line that is kept";
    LogLast "log-last" Log ["end" "G"] "newest line, and follow";
    LogLeft "log-left" Log ["left" "h"] "pan left";
    LogRight "log-right" Log ["right"] "pan right";
    LogMark "log-mark" Log ["m"] "mark the line, to copy it";
    LogFind "log-find" Log ["/"] "search in the log";
    LogJump "log-jump" Log ["enter"] "choose the unit that wrote the line";
    Reload "reload" Everywhere ["ctrl-l"] "read the file again, and change what has changed";
    Edit "edit" Everywhere ["ctrl-e"] "edit the file in $EDITOR";
    Theme "theme" Everywhere ["T" "ctrl-t"] "next theme: dark, light, sixteen colours, plain";
    Mouse "mouse" Everywhere ["M"] "leave the mouse to the terminal, and back";
    Redraw "redraw" Everywhere ["ctrl-y"] "draw the screen anew";
    Suspend "suspend" Everywhere ["ctrl-z"] "suspend pk; the stack runs on";
    LeaveTerminal "leave-terminal" Terminal ["ctrl-]" "f12"] "keys to pk again";
    Back "back" Everywhere ["esc"] "back: end the search, the filter, the zoom";
}

impl Action {
    /// The action of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (Self::ALL.iter().copied()).find(|action| action.name() == name)
    }
}

/// Which key does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    keys: BTreeMap<Action, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let keys = (Action::ALL.iter())
            .map(|action| {
                let keys = action.default_keys().iter();
                (*action, keys.filter_map(|key| key.parse().ok()).collect())
            })
            .collect();
        Self { keys }
    }
}

/// Why a rebinding is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    #[error("no action is named `{0}`")]
    UnknownAction(String),
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error("`{key}` is given to both `{first}` and `{second}`")]
    Taken {
        key: String,
        first: &'static str,
        second: &'static str,
    },
    #[error("`{0}` must keep a key")]
    NoWayOut(&'static str),
}

impl Keymap {
    /// The defaults with other keys for some actions; a key that is given away is taken from
    /// whoever had it by default.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn rebound(wishes: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<BindError>> {
        let mut keymap = Self::default();
        let mut errors = Vec::new();
        let mut wanted: Vec<(Action, Vec<Key>)> = Vec::new();
        for (name, keys) in wishes {
            let Some(action) = Action::parse(name) else {
                errors.push(BindError::UnknownAction(name.clone()));
                continue;
            };
            let mut parsed = Vec::new();
            for key in keys {
                match key.parse() {
                    Ok(key) => parsed.push(key),
                    Err(error) => errors.push(BindError::NoKey(error)),
                }
            }
            wanted.push((action, parsed));
        }
        for (action, keys) in &wanted {
            for key in keys {
                for (other, taken) in &mut keymap.keys {
                    if clash(*action, *other) {
                        taken.retain(|taken| taken != key);
                    }
                }
            }
        }
        for (place, (action, keys)) in wanted.iter().enumerate() {
            for (other, others) in &wanted[..place] {
                errors.extend(
                    (keys.iter())
                        .filter(|key| clash(*action, *other) && others.contains(key))
                        .map(|key| BindError::Taken {
                            key: key.to_string(),
                            first: other.name(),
                            second: action.name(),
                        }),
                );
            }
            keymap.keys.insert(*action, keys.clone());
        }
        for out in [Action::Quit, Action::LeaveTerminal] {
            if keymap.of(out).is_empty() {
                errors.push(BindError::NoWayOut(out.name()));
            }
        }
        if errors.is_empty() {
            Ok(keymap)
        } else {
            Err(errors)
        }
    }

    /// What the key does there.
    #[must_use]
    pub fn action(&self, key: Key, place: Place) -> Option<Action> {
        let bound = |place| {
            (self.keys.iter()).find(|(action, keys)| action.place() == place && keys.contains(&key))
        };
        let elsewhere = || match place {
            // All else is the unit's.
            Place::Terminal => None,
            Place::Everywhere | Place::Units | Place::Log => bound(Place::Everywhere),
        };
        bound(place).or_else(elsewhere).map(|(action, _)| *action)
    }

    /// The keys of an action, the one to show first.
    #[must_use]
    pub fn of(&self, action: Action) -> &[Key] {
        self.keys.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The key to show, short.
    #[must_use]
    pub fn label(&self, action: Action) -> Option<String> {
        self.of(action).first().map(|key| short(*key))
    }
}

/// A key in as few columns as it can be told by.
#[must_use]
pub fn short(key: Key) -> String {
    let text = key.to_string();
    let text = text.replace("ctrl-", "^").replace("alt-", "M-");
    match text.as_str() {
        "up" => "↑".to_owned(),
        "down" => "↓".to_owned(),
        "left" => "←".to_owned(),
        "right" => "→".to_owned(),
        "enter" => "⏎".to_owned(),
        "pageup" => "pgup".to_owned(),
        "pagedown" => "pgdn".to_owned(),
        _ => text,
    }
}

/// Whether one key cannot do both.
fn clash(one: Action, other: Action) -> bool {
    let places = (one.place(), other.place());
    match places {
        (Place::Terminal, _) | (_, Place::Terminal) => places.0 == places.1,
        (Place::Everywhere, _) | (_, Place::Everywhere) => true,
        (Place::Units | Place::Log, _) => places.0 == places.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let strings = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
        (pairs.iter())
            .map(|(name, keys)| ((*name).to_owned(), strings(keys)))
            .collect()
    }

    #[test]
    fn by_default_every_action_has_keys_and_no_two_share_one() {
        let keymap = Keymap::default();
        for action in Action::ALL {
            assert_eq!(
                keymap.of(*action).len(),
                action.default_keys().len(),
                "{action:?}"
            );
            assert!(!keymap.of(*action).is_empty(), "{action:?}");
            for other in Action::ALL.iter().filter(|other| *other != action) {
                if clash(*action, *other) {
                    for key in keymap.of(*action) {
                        assert!(
                            !keymap.of(*other).contains(key),
                            "{key}: {action:?}, {other:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_that_is_given_away_is_taken_from_its_owner() {
        let keymap = Keymap::rebound(&wishes(&[("kill", &["x"]), ("stop", &["X", "f9"])])).unwrap();
        let key = |text: &str| text.parse().unwrap();
        assert_eq!(keymap.action(key("x"), Place::Units), Some(Action::Kill));
        assert_eq!(keymap.action(key("X"), Place::Units), Some(Action::Stop));
        assert_eq!(keymap.action(key("K"), Place::Units), None);
        assert_eq!(keymap.action(key("j"), Place::Log), Some(Action::LogDown));
    }

    #[test]
    fn all_mistakes_are_told() {
        let errors = Keymap::rebound(&wishes(&[
            ("nope", &["x"]),
            ("stop", &["super-x"]),
            ("start", &["r"]),
            ("restart", &["r"]),
            ("quit", &[]),
        ]))
        .unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 4, "{errors:#?}");
    }
}
