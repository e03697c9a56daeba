//! Finds what a misspelt word was meant to be.

/// The candidate that is closest to `word`, if one is close enough to be meant.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer than this is no misspelt name, and the distance costs its square.
    if word.is_empty() || word.len() > 100 {
        return None;
    }
    let folded = fold(word);
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit.max(3))
        .filter_map(|candidate| {
            let target = fold(candidate);
            let distance = strsim::damerau_levenshtein(&folded, &target);
            let prefix = folded.len() >= 3 && target.starts_with(&folded);
            (distance <= limit || prefix).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Spellings that differ only in this are the same word to a person.
fn fold(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// What other tools call the same.
const SYNONYMS: [(&str, &str); 12] = [
    ("service_healthy", "ready"),
    ("process_healthy", "ready"),
    ("healthy", "ready"),
    ("service_started", "started"),
    ("process_started", "started"),
    ("service_completed_successfully", "succeeded"),
    ("process_completed_successfully", "succeeded"),
    ("process_completed", "completed"),
    ("process_log_ready", "log_ready"),
    ("unless-stopped", "always"),
    ("never", "no"),
    ("failed", "failure"),
];

/// Keys of other tools, and the one here that says the same.
const FOREIGN_KEYS: [(&str, &str); 24] = [
    ("env", "environment"),
    ("environments", "environment"),
    ("env_vars", "environment"),
    ("cmd", "command"),
    ("entrypoint", "command"),
    ("exec", "command"),
    ("script", "command"),
    ("workdir", "working_dir"),
    ("cwd", "working_dir"),
    ("dir", "working_dir"),
    ("healthcheck", "readiness"),
    ("readiness_probe", "readiness"),
    ("liveness_probe", "liveness"),
    ("startup_probe", "startup"),
    ("availability", "restart"),
    ("is_daemon", "lifetime"),
    ("processes", "services"),
    ("jobs", "tasks"),
    ("needs", "depends_on"),
    ("dependencies", "depends_on"),
    ("is_tty", "tty"),
    ("is_foreground", "foreground"),
    ("http_get", "http"),
    ("period_seconds", "interval"),
];

/// What to write instead of a key of another tool.
#[must_use]
pub fn foreign_key(word: &str, known: &[&str]) -> Option<String> {
    if matches!(word, "image" | "build" | "container_name") && known.contains(&"command") {
        return Some("pk runs commands, not containers: write `command: …`".to_owned());
    }
    let (_, own) = FOREIGN_KEYS.iter().find(|(other, _)| *other == word)?;
    known
        .contains(own)
        .then(|| format!("the key is called `{own}` here"))
}

/// ``did you mean `x`?``
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word);
    let known = synonym
        .map(|&(_, own)| own)
        .filter(|own| candidates.contains(own));
    let meant = known.or_else(|| closest(word, candidates))?;
    Some(format!("did you mean `{meant}`?"))
}

/// `` `a`, `b` or `c` ``
#[must_use]
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_not() {
        let keys = ["depends_on", "readiness", "restart", "tty"];
        assert_eq!(closest("dependson", keys), Some("depends_on"));
        assert_eq!(closest("depends-on", keys), Some("depends_on"));
        assert_eq!(closest("Readyness", keys), Some("readiness"));
        assert_eq!(closest("image", keys), None);
        assert_eq!(closest("x", keys), None);
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
