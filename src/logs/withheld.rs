//! Where something may begin that a regular expression would mask once the line goes on.

use std::sync::Mutex;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, nfa::thompson};

use super::capture::lock;

/// Bytes that are looked at in all; a line that takes more is withheld as a whole.
const STEPS: usize = 4 << 20;

/// Tells beginnings of what an expression matches from other text.
#[derive(Debug)]
pub(super) struct Withheld {
    /// `None`: it cannot be told.
    machine: Option<(DFA, Mutex<Cache>)>,
}

impl Withheld {
    pub fn new(pattern: &str) -> Self {
        let built = DFA::builder()
            .configure(
                DFA::config()
                    .unicode_word_boundary(true)
                    .skip_cache_capacity_check(true),
            )
            .syntax(syntax::Config::new().utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern);
        Self {
            machine: built.ok().map(|dfa| {
                let cache = Mutex::new(dfa.create_cache());
                (dfa, cache)
            }),
        }
    }

    /// The first place in `text` from which a match may still be on its way. Its length: there
    /// is none.
    pub fn from(&self, text: &[u8]) -> usize {
        let Some((dfa, cache)) = &self.machine else {
            return 0;
        };
        let mut cache = lock(cache);
        let mut left = STEPS;
        for at in 0..text.len() {
            match goes_on(dfa, &mut cache, text, at, &mut left) {
                Some(false) => {}
                Some(true) => return at,
                None => return 0,
            }
        }
        text.len()
    }
}

/// Whether what begins at `at` may be a match, or a longer one, once more comes. `None`: that
/// took too long, or cannot be told.
fn goes_on(dfa: &DFA, cache: &mut Cache, text: &[u8], at: usize, left: &mut usize) -> Option<bool> {
    let input = Input::new(text).range(at..).anchored(Anchored::Yes);
    let mut state = dfa.start_state_forward(cache, &input).ok()?;
    for byte in &text[at..] {
        *left = left.checked_sub(1)?;
        state = dfa.next_state(cache, state, *byte).ok()?;
        if state.is_dead() {
            return Some(false);
        }
        if state.is_quit() {
            return None;
        }
    }
    // A match is told one byte late. One that ends here, whatever comes, is masked as it is.
    let ends = dfa.next_eoi_state(cache, state).ok()?.is_match();
    for byte in 0..=u8::MAX {
        let next = dfa.next_state(cache, state, byte).ok()?;
        if next.is_dead() {
            continue;
        }
        if next.is_quit() || !next.is_match() || !ends || lives(dfa, cache, next)? {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether there is a way on from there.
fn lives(dfa: &DFA, cache: &mut Cache, state: LazyStateID) -> Option<bool> {
    for byte in 0..=u8::MAX {
        if !dfa.next_state(cache, state, byte).ok()?.is_dead() {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(pattern: &str, text: &'a str) -> &'a str {
        &text[..Withheld::new(pattern).from(text.as_bytes())]
    }

    #[test]
    fn what_may_become_a_match_is_withheld_and_nothing_else() {
        for (pattern, text, expected) in [
            (r"id=[0-9]+", "name: ", "name: "),
            (r"id=[0-9]+", "my i", "my "),
            (r"id=[0-9]+", "my id=", "my "),
            (r"id=[0-9]+", "my id=4", "my "),
            (r"id=[0-9]+", "my id=4, i am", "my id=4, i am"),
            (r"token=[a-z]{8}", "token=abcdefg", ""),
            (r"token=[a-z]{8}", "token=abcdefgh", "token=abcdefgh"),
            (r"\bkey\b", "a monke", "a monke"),
            (r"\bkey\b", "a ke", "a "),
            (r"\bkey\b", "a key", "a "),
            (r"key\B", "a key", "a "),
            (r"(?i)secret.*", "x Secret", "x "),
            ("a|b", "cab", "cab"),
            (r"(a|ab)c", "xab", "x"),
            // Where it cannot be told nothing is shown.
            (r"\bkey", "ä ke", ""),
        ] {
            assert_eq!(shown(pattern, text), expected, "{pattern} on {text:?}");
        }
    }
}
