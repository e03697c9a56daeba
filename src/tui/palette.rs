//! Finds actions by letters of what they do.

use super::keymap::Action;

/// The actions whose name or help holds the letters in order, the best first.
#[must_use]
pub fn matching(text: &str) -> Vec<Action> {
    let mut found: Vec<(i32, Action)> = (Action::ALL.iter())
        .filter_map(|action| {
            let by_name =
                score(text, action.name()).map(|score| score + 20 + starts(text, action.name()));
            let by_help = score(text, action.help());
            Some((by_name.max(by_help)?, *action))
        })
        .collect();
    found.sort_by_key(|(score, action)| (std::cmp::Reverse(*score), *action));
    found.into_iter().map(|(_, action)| action).collect()
}

/// A name is known by its first letter.
fn starts(letters: &str, name: &str) -> i32 {
    let first = letters.trim().chars().next();
    if first.is_some_and(|letter| name.starts_with(letter.to_ascii_lowercase())) {
        30
    } else {
        0
    }
}

/// How well the letters fit: letters in a row and at the start of words count.
fn score(letters: &str, text: &str) -> Option<i32> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut at, mut total, mut last) = (0, 0, None);
    for letter in letters
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace())
    {
        let found = at + text[at..].iter().position(|c| *c == letter)?;
        let starts_word = found == 0 || !text[found - 1].is_alphanumeric();
        total += match (last, starts_word) {
            (Some(last), _) if last + 1 == found => 12,
            (_, true) => 10,
            (_, false) => 1,
        };
        total -= i32::try_from(found - at).unwrap_or(0).min(5);
        last = Some(found);
        at = found + 1;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_find_it() {
        assert_eq!(matching("restart")[0], Action::Restart);
        assert_eq!(matching("rst")[0], Action::Restart);
        assert_eq!(matching("timel")[0], Action::Timeline);
        assert_eq!(matching("json")[0], Action::Pretty);
        assert_eq!(matching("").len(), Action::ALL.len());
        assert!(matching("xyzzy").is_empty());
    }
}
