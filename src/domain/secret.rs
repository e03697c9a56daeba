//! Which variables hold secrets, and how their values are shown.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const MASK: &str = "********";

/// Parts of a variable's name, between underscores, that make its value a secret.
const SECRET_WORDS: [&str; 15] = [
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PRIVATE",
    "KEY",
    "AUTH",
];

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    // The shells' own current and former folder.
    if name == "PWD" || name == "OLDPWD" {
        return false;
    }
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| SECRET_WORDS.iter().any(|w| word.eq_ignore_ascii_case(w)))
        || ["password", "secret", "token", "apikey"]
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word))
}

/// The value to show for a variable: masked if its name says so; otherwise with the
/// password of a URL masked.
#[must_use]
pub fn masked<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if value.is_empty() {
        return Cow::Borrowed(value);
    }
    if is_secret_name(name) {
        return Cow::Borrowed(MASK);
    }
    masked_url(value)
}

/// `scheme://user:password@host` with the password masked.
#[must_use]
pub fn masked_url(value: &str) -> Cow<'_, str> {
    let Some(scheme_end) = value.find("://") else {
        return Cow::Borrowed(value);
    };
    let rest = &value[scheme_end + 3..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let Some(at) = authority.rfind('@') else {
        return Cow::Borrowed(value);
    };
    let Some(colon) = authority[..at].find(':') else {
        return Cow::Borrowed(value);
    };
    let start = scheme_end + 3 + colon + 1;
    let end = scheme_end + 3 + at;
    Cow::Owned(format!("{}{MASK}{}", &value[..start], &value[end..]))
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
            "apiKey_TOKEN",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PWD", "PATH", "MONKEY", "KEYBOARD", "AUTHOR", "PORT"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn the_password_of_a_url_is_masked() {
        assert_eq!(
            masked("DATABASE_URL", "postgres://me:hunter2@db:5432/x"),
            "postgres://me:********@db:5432/x"
        );
        assert_eq!(
            masked("DATABASE_URL", "postgres://me@db/x:y@z"),
            "postgres://me@db/x:y@z"
        );
        assert_eq!(masked("DB_PASSWORD", "hunter2"), MASK);
        assert_eq!(masked("DB_PASSWORD", ""), "");
    }
}
