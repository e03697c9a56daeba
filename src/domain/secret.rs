//! What is a secret in a configuration, and how it is shown.
//!
//! This module owns the rules, and is the only place for them: by the name of a variable, an
//! option or a query parameter, by the place in a URL, and by the shape of the value itself.
//! Whoever shows configuration to a person passes it through here.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of a secret.
pub const MASK: &str = "********";

/// Parts of a name, between underscores, that make its value a secret.
const SECRET_WORDS: [&str; 13] = [
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "CREDENTIAL",
    "CREDENTIALS",
    "PRIVATE",
    "KEY",
    "KEYS",
    "AUTH",
];

/// What makes a secret wherever it stands in a name.
const SECRET_PARTS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
];

/// Headers that bear secrets under names that no variable has.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// Whether a variable, an option or a parameter of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    // The shells' own current and former folder.
    if name == "PWD" || name == "OLDPWD" {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_secret_word)
        || SECRET_PARTS.iter().any(|part| lower.contains(part))
        || SECRET_HEADERS.contains(&lower.as_str())
}

/// `word` is in lower case.
fn is_secret_word(word: &str) -> bool {
    // `PGPASS` and `DBPASS` are passwords; these are words of the language.
    let pass = word.ends_with("pass") && !matches!(word, "bypass" | "compass" | "encompass");
    pass || SECRET_WORDS.iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// The value to show for a variable or a header: masked if its name says so; otherwise with
/// the secrets within it masked.
#[must_use]
pub fn masked<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if value.is_empty() {
        return Cow::Borrowed(value);
    }
    if is_secret_name(name) {
        return Cow::Borrowed(MASK);
    }
    masked_text(value)
}

/// A kind of place in a text where a secret may stand.
struct Rule {
    /// `Err`: it does not compile, and then nothing is shown at all.
    pattern: Result<Regex, regex::Error>,
    /// Whether the group `name` must be a secret name for the group `value` to be one.
    by_name: bool,
}

impl Rule {
    fn new(pattern: &str, by_name: bool) -> Self {
        Self {
            pattern: Regex::new(pattern),
            by_name,
        }
    }
}

/// In this order, each on what the ones before it left.
static RULES: LazyLock<[Rule; 7]> = LazyLock::new(|| {
    [
        // `scheme://user:password@host`.
        Rule::new(
            r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@'"]*:(?<value>[^\s/?#'"]+)@"#,
            false,
        ),
        // A connection string, where values may hold blanks: `Server=x;Password=p p;`.
        Rule::new(
            r#";(?<name>[A-Za-z][A-Za-z0-9_ -]*?)\s*=\s*(?<value>[^;'"&\n=]+)"#,
            true,
        ),
        // `NAME=value`: an assignment, an option, a query parameter.
        Rule::new(
            r#"(?<name>[A-Za-z][A-Za-z0-9_.-]*)=(?<value>"[^"\n]*"?|'[^'\n]*'?|[^\s&;'"]+)"#,
            true,
        ),
        // `--name value`.
        Rule::new(
            r#"(?:^|\s)--?(?<name>[A-Za-z][A-Za-z0-9_-]*)\s+(?<value>"[^"\n]*"?|'[^'\n]*'?|[^\s'"&;|<>-][^\s'"&;|<>]*)"#,
            true,
        ),
        // `Name: value`, as a header and in JSON.
        Rule::new(
            r#"(?<name>[A-Za-z][A-Za-z0-9_-]*)(?:["']\s*:\s*["']?|:\s+)(?<value>[^'"\n]+)"#,
            true,
        ),
        // `Password = value`, as in connection strings and ini files.
        Rule::new(
            r#"(?i)\b(?<name>password|pwd)\s+=\s*(?<value>[^;'"&\n]+)"#,
            true,
        ),
        // Shapes that the issuers gave them so that they are found: Stripe, OpenAI, GitHub,
        // GitLab, Slack, AWS, JSON web tokens, private keys.
        Rule::new(
            r"\b(?<value>[sr]k_(?:live|test)_[A-Za-z0-9]+|sk-[A-Za-z0-9_-]{16,}|gh[opsur]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abpors]-[A-Za-z0-9-]{8,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)|-----BEGIN [A-Z ]*PRIVATE KEY-----(?<more>[\s\S]*)",
            false,
        ),
    ]
});

/// A text with the secrets within it masked: a script, a URL, a connection string.
#[must_use]
pub fn masked_text(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for rule in RULES.iter() {
        let Ok(pattern) = &rule.pattern else {
            return Cow::Borrowed(MASK);
        };
        let replaced = pattern.replace_all(&shown, |found: &Captures<'_>| replace(rule, found));
        if let Cow::Owned(replaced) = replaced {
            shown = Cow::Owned(replaced);
        }
    }
    shown
}

/// What a rule found, masked if it is a secret.
fn replace(rule: &Rule, found: &Captures<'_>) -> String {
    let all = found.get(0).map_or("", |all| all.as_str());
    let start = found.get(0).map_or(0, |all| all.start());
    let Some(value) = found.name("value").or_else(|| found.name("more")) else {
        return all.to_owned();
    };
    let secret = !rule.by_name
        || found
            .name("name")
            .is_some_and(|name| is_secret_name(name.as_str()));
    if !secret || is_reference(value.as_str()) {
        return all.to_owned();
    }
    let (from, to) = (value.start() - start, value.end() - start);
    // What was quoted stays so.
    let quote = value
        .as_str()
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''));
    let quote = quote.map(String::from).unwrap_or_default();
    format!("{}{quote}{MASK}{quote}{}", &all[..from], &all[to..])
}

/// `$NAME` tells where a secret is, which is no secret.
fn is_reference(value: &str) -> bool {
    let value = value.trim_matches('"');
    let Some(rest) = value.strip_prefix('$') else {
        return false;
    };
    let name = rest
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(rest);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Arguments with the secrets in them masked, also one that its option's name tells.
#[must_use]
pub fn masked_args(args: &[String]) -> Vec<Cow<'_, str>> {
    let option = |arg: &'_ str| arg.starts_with('-') && !arg.contains(['=', ' ']);
    let mut shown = Vec::with_capacity(args.len());
    for (place, arg) in args.iter().enumerate() {
        let told = place
            .checked_sub(1)
            .and_then(|before| args.get(before))
            .is_some_and(|before| option(before) && is_secret_name(before));
        shown.push(match arg.split_once('=') {
            _ if told && !arg.starts_with('-') => Cow::Borrowed(MASK),
            // It is one word, so that all behind the sign is the value.
            Some((name, value)) if is_one_name(name) && !value.is_empty() => {
                let hidden = masked(name, value);
                if hidden == value {
                    Cow::Borrowed(arg.as_str())
                } else {
                    Cow::Owned(format!("{name}={hidden}"))
                }
            }
            _ => masked_text(arg),
        });
    }
    shown
}

fn is_one_name(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_secrets() {
        for name in [
            "DB_PASSWORD",
            "api_token",
            "AWS_SECRET_ACCESS_KEY",
            "PGPASSWORD",
            "PGPASS",
            "DB_PASS",
            "apiKey_TOKEN",
            "--api-key",
            "Authorization",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "PWD",
            "PATH",
            "MONKEY",
            "KEYBOARD",
            "AUTHOR",
            "PORT",
            "BYPASS",
            "COMPASS",
            "PASSENGER",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_value_is_masked_by_its_name_or_within() {
        assert_eq!(masked("DB_PASSWORD", "hunter2"), MASK);
        assert_eq!(masked("DB_PASSWORD", ""), "");
        for (value, shown) in [
            (
                "postgres://me:hunter2@db:5432/x",
                "postgres://me:********@db:5432/x",
            ),
            ("postgres://me@db/x:y@z", "postgres://me@db/x:y@z"),
            (
                "redis://:a@h,redis://:b@i",
                "redis://:********@h,redis://:********@i",
            ),
            (
                "https://h/x?token=abc&api_key=zzz&page=2",
                "https://h/x?token=********&api_key=********&page=2",
            ),
            ("Server=x;Password=pp;", "Server=x;Password=********;"),
            (
                "Server=x;Password=two words;Timeout=3",
                "Server=x;Password=********;Timeout=3",
            ),
            (
                "Host=x;Password=a b;Api Key=c d",
                "Host=x;Password=********;Api Key=********",
            ),
            ("Pwd = pp;Server=x", "Pwd = ********;Server=x"),
            ("sk_live_51Habc", MASK),
            (
                "a plain text, key to nothing",
                "a plain text, key to nothing",
            ),
        ] {
            assert_eq!(masked("VALUE", value), shown);
        }
    }

    #[test]
    fn a_script_is_shown_without_its_secrets() {
        for (script, shown) in [
            (
                "server --password hunter2 --token=abc DB=postgres://u:pw@h/db",
                "server --password ******** --token=******** DB=postgres://u:********@h/db",
            ),
            (
                "DB_PASS='a b' run --password \"c d\" --verbose",
                "DB_PASS='********' run --password \"********\" --verbose",
            ),
            (
                "curl -H 'Authorization: Bearer abc' https://h/",
                "curl -H 'Authorization: ********' https://h/",
            ),
            (
                "curl -d '{\"password\":\"abc\", \"a\": 1}'",
                "curl -d '{\"password\":\"********\", \"a\": 1}'",
            ),
            (
                "run --token $TOKEN --password=${PW} --key --force",
                "run --token $TOKEN --password=${PW} --key --force",
            ),
            ("sort --key=2 | uniq", "sort --key=******** | uniq"),
            ("npm run dev -- --port 3000", "npm run dev -- --port 3000"),
        ] {
            assert_eq!(masked_text(script), shown);
        }
    }

    #[test]
    fn arguments_are_masked_one_by_one() {
        let args = [
            "server",
            "--password",
            "hunter2",
            "--api-key=foo bar",
            "--token",
            "--force",
            "-e",
            "DB_PASSWORD=x y",
            "http://h/?token=abc",
        ]
        .map(str::to_owned);
        assert_eq!(
            masked_args(&args),
            [
                "server",
                "--password",
                MASK,
                "--api-key=********",
                "--token",
                "--force",
                "-e",
                "DB_PASSWORD=********",
                "http://h/?token=********",
            ]
        );
    }
}
