//! `${VAR}` in a text.
//!
//! Four forms are known: `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `${VAR:+other}`;
//! `$$` is a dollar sign, and `${unit.ports.name}` the port of another unit. What stands
//! after `:-` and `:+` may hold further ones. A `$` that no name follows is itself; one that
//! a name follows (`$HOME`) is refused, because it could be meant for pk or for a shell.
//!
//! This module is pure: what a name stands for is asked of [`Names`].

use std::ops::Range;

/// The four forms, for messages.
pub const FORMS: &str = "write `${VAR}`, `${VAR:-default}`, `${VAR:?message}` or `${VAR:+other}`; `${UNIT.ports.NAME}` is a port; `$$` is a dollar sign";

/// How deep a default may hold defaults.
const MAX_NESTING: usize = 32;

/// What names stand for.
pub trait Names {
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether it is set to what is not text.
    fn is_unreadable(&self, _name: &str) -> bool {
        false
    }

    /// A name that is set and looks like this one.
    fn similar(&self, name: &str) -> Option<String>;

    /// The port `port` of `unit`, or what is wrong with asking for it.
    fn port(&self, unit: &str, port: &str) -> Result<String, PortFault>;
}

/// Why there is no such port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFault {
    pub message: String,
    pub help: Option<String>,
}

/// Something wrong within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text.
    pub range: Range<usize>,
    pub message: String,
    pub label: String,
    pub help: Option<String>,
}

/// Replaces every reference; each that cannot be is a fault and left out.
pub fn interpolate(text: &str, names: &dyn Names, faults: &mut Vec<Fault>) -> String {
    let mut run = Run { names, faults };
    run.expand(text, 0, 0)
}

/// Whether a text holds anything that [`interpolate`] would look at.
#[must_use]
pub fn is_interpolated(text: &str) -> bool {
    memchr::memchr(b'$', text.as_bytes()).is_some()
}

/// The first `${unit.ports.name}` in a text that is left to a shell.
#[must_use]
pub fn port_reference(text: &str) -> Option<(Range<usize>, &str, &str)> {
    for (start, _) in text.match_indices("${") {
        let rest = &text[start + 2..];
        let end = rest
            .find(|c: char| !is_reference_char(c))
            .unwrap_or(rest.len());
        if rest[end..].starts_with('}')
            && let Some((unit, port)) = split_port(&rest[..end])
        {
            return Some((start..start + 2 + end + 1, unit, port));
        }
    }
    None
}

fn is_reference_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn split_port(name: &str) -> Option<(&str, &str)> {
    let (unit, port) = name.rsplit_once(".ports.")?;
    (!unit.is_empty() && !port.is_empty()).then_some((unit, port))
}

/// Whether it can name a variable: `[A-Za-z_][A-Za-z0-9_]*`.
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

struct Run<'a> {
    names: &'a dyn Names,
    faults: &'a mut Vec<Fault>,
}

impl Run<'_> {
    /// `base` is where `text` starts in the whole.
    fn expand(&mut self, text: &str, base: usize, nesting: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(found) = memchr::memchr(b'$', &text.as_bytes()[at..]) {
            let dollar = at + found;
            out.push_str(&text[at..dollar]);
            let rest = &text[dollar + 1..];
            if rest.starts_with('$') {
                out.push('$');
                at = dollar + 2;
            } else if let Some(braced) = rest.strip_prefix('{') {
                let Some(len) = closing_brace(braced) else {
                    self.fault(
                        base + dollar..base + text.len(),
                        "a `${` without its `}`",
                        "",
                        None,
                    );
                    return out;
                };
                let end = dollar + 2 + len + 1;
                let inner = &text[dollar + 2..end - 1];
                let whole = base + dollar..base + end;
                self.reference(inner, base + dollar + 2, whole, nesting, &mut out);
                at = end;
            } else {
                let name_len = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let name = &rest[..name_len];
                if is_variable_name(name) {
                    self.fault(
                        base + dollar..base + dollar + 1 + name_len,
                        &format!("`${name}` without braces"),
                        "",
                        Some(format!(
                            "write `${{{name}}}` for the value of the variable, `$${name}` for the text itself"
                        )),
                    );
                } else {
                    out.push('$');
                    out.push_str(name);
                }
                at = dollar + 1 + name_len;
            }
        }
        out.push_str(&text[at..]);
        out
    }

    fn reference(
        &mut self,
        inner: &str,
        base: usize,
        whole: Range<usize>,
        nesting: usize,
        out: &mut String,
    ) {
        let name_len = inner
            .find(|c: char| !is_reference_char(c))
            .unwrap_or(inner.len());
        let (mut name, mut rest) = inner.split_at(name_len);
        if !is_variable_name(name) && split_port(name).is_none() {
            // `${VAR-x}`: the dash belongs to the operator.
            let len = inner
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(inner.len());
            (name, rest) = inner.split_at(len);
        }
        if rest.is_empty()
            && let Some((unit, port)) = split_port(name)
        {
            return match self.names.port(unit, port) {
                Ok(value) => out.push_str(&value),
                Err(fault) => self.fault(whole, &fault.message, "", fault.help),
            };
        }
        if nesting >= MAX_NESTING {
            return self.fault(whole, "defaults nested too deep", "", None);
        }
        let operator = rest.get(..2).unwrap_or_default();
        let known = matches!(operator, ":-" | ":?" | ":+");
        if !is_variable_name(name) || (!rest.is_empty() && !known) {
            return self.malformed(name, rest, inner, whole);
        }
        if self.names.is_unreadable(name) {
            return self.fault(
                whole,
                &format!("the value of the variable `{name}` is not UTF-8"),
                "it is set, but pk can only insert text here",
                Some(format!("set `{name}` to UTF-8 text")),
            );
        }
        let value = self.names.variable(name);
        let given = value.as_deref().is_some_and(|value| !value.is_empty());
        let argument = rest.get(2..).unwrap_or_default();
        let argument_at = base + name.len() + 2;
        match operator {
            ":-" if !given => out.push_str(&self.expand(argument, argument_at, nesting + 1)),
            ":+" if given => out.push_str(&self.expand(argument, argument_at, nesting + 1)),
            ":+" => {}
            ":?" if !given => {
                let said = if argument.is_empty() {
                    format!("`{name}` is not set")
                } else {
                    format!("`{name}` is not set: {argument}")
                };
                self.fault(whole, &said, "", None);
            }
            _ => match value {
                Some(value) => out.push_str(&value),
                None => {
                    let help = match self.names.similar(name) {
                        Some(similar) => format!(
                            "did you mean `${{{similar}}}`? `${{{name}:-default}}` gives a default"
                        ),
                        None => format!("set it, or give a default: `${{{name}:-default}}`"),
                    };
                    self.fault(
                        whole,
                        &format!("the variable `{name}` is not set"),
                        "neither the environment nor an env file has it",
                        Some(help),
                    );
                }
            },
        }
    }

    fn malformed(&mut self, name: &str, rest: &str, inner: &str, whole: Range<usize>) {
        let suggestion = match rest.chars().next() {
            Some(operator @ ('-' | '?' | '+' | '=')) if is_variable_name(name) => {
                let operator = if operator == '=' { '-' } else { operator };
                Some(format!("${{{name}:{operator}{}}}", &rest[1..]))
            }
            _ if is_variable_name(inner.trim()) => Some(format!("${{{}}}", inner.trim())),
            _ => None,
        };
        let help = match suggestion {
            Some(suggestion) => format!("did you mean `{suggestion}`? {FORMS}"),
            None => FORMS.to_owned(),
        };
        let shown = super::snippet::quoted(&format!("${{{inner}}}"));
        self.fault(
            whole,
            &format!("{shown} is not a form that pk knows"),
            "",
            Some(help),
        );
    }

    fn fault(&mut self, range: Range<usize>, message: &str, label: &str, help: Option<String>) {
        self.faults.push(Fault {
            range,
            message: message.to_owned(),
            label: label.to_owned(),
            help,
        });
    }
}

/// The length of what stands before the `}` that closes it.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'$') => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
#[path = "interpolate_tests.rs"]
mod tests;
