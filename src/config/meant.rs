//! What a single text was meant to be where a list or a map is expected.
//!
//! This module owns guesses alone: they are shown to a person and never acted on.

use super::tree::{Node, Value};

const SHELLS: [&str; 6] = ["bash", "sh", "zsh", "dash", "ksh", "fish"];

/// The list that was meant by one text.
pub(super) fn as_list(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let mut words: Vec<&str> = scalar
        .text
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect();
    if let [word] = words[..]
        && SHELLS.contains(&word)
    {
        words.push("-c");
    }
    let odd = |c: char| c.is_control() || "[]{}#&*!|>'\"%@`:".contains(c);
    let fits = !words.is_empty() && scalar.text.len() <= 60 && !scalar.text.contains(odd);
    (fits && !scalar.is_null()).then(|| format!("did you mean `[{}]`?", words.join(", ")))
}

/// The unit that was meant by one text.
pub(super) fn as_unit(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let text = scalar.text.trim();
    let fits = !text.is_empty() && text.len() <= 60 && !text.contains('\n');
    fits.then(|| format!("write `command: {text}` below the name"))
}
