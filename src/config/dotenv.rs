//! Files of variables (`.env`).
//!
//! One `NAME=value` per line; `export` before it and `#` comments are allowed. A value in
//! single quotes is taken as it is; in double quotes it may span lines and hold the escapes
//! `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. Without quotes it ends at a ` #` or the line's end.
//! Outside of single quotes `${VAR}` is replaced as in the configuration itself.
//!
//! This module is pure: it gets the text, and what names stand for.

use std::ops::Range;

use super::interpolate::{self, Fault, Names, PortFault, is_variable_name};
use crate::domain::spec::EnvMap;

/// Reads a file's text. What cannot be read is a fault, with its bytes in `text`.
pub fn parse(text: &str, outer: &dyn Names) -> (EnvMap, Vec<Fault>) {
    let mut reader = Reader {
        text,
        at: 0,
        values: EnvMap::new(),
        faults: Vec::new(),
        outer,
    };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    while reader.at < text.len() {
        reader.line();
    }
    (reader.values, reader.faults)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: EnvMap,
    faults: Vec<Fault>,
    outer: &'a dyn Names,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The rest of the line, without its end.
    fn line_rest(&self) -> &'a str {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        rest[..end].trim_end_matches('\r')
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn fault(&mut self, range: Range<usize>, message: String, help: &str) {
        self.faults.push(Fault {
            range,
            message,
            label: String::new(),
            help: (!help.is_empty()).then(|| help.to_owned()),
        });
    }

    fn line(&mut self) {
        self.skip_blanks();
        let line = self.line_rest();
        if line.is_empty() || line.starts_with('#') {
            return self.skip_line();
        }
        if let Some(after) = line.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.at += "export".len();
            self.skip_blanks();
        }
        let line = self.line_rest();
        let Some(equals) = line.find('=') else {
            let range = self.at..self.at + line.trim_end().len();
            self.fault(
                range,
                "this line is not of the form `NAME=value`".into(),
                "a comment starts with `#`",
            );
            return self.skip_line();
        };
        let name = line[..equals].trim_end();
        if !is_variable_name(name) {
            let range = self.at..self.at + name.len().max(1);
            let shown = super::snippet::quoted(name);
            self.fault(
                range,
                format!("{shown} cannot name a variable"),
                "a name has letters, digits and `_`, and does not start with a digit",
            );
            return self.skip_line();
        }
        self.at += equals + 1;
        self.skip_blanks();
        if let Some(value) = self.value() {
            self.values.insert(name.to_owned(), value);
        }
        self.skip_line();
    }

    fn value(&mut self) -> Option<String> {
        match self.rest().chars().next() {
            Some('\'') => self.single_quoted(),
            Some('"') => self.double_quoted(),
            _ => {
                let line = self.line_rest();
                let end = line
                    .match_indices('#')
                    .map(|(at, _)| at)
                    .find(|&at| at == 0 || line[..at].ends_with([' ', '\t']))
                    .unwrap_or(line.len());
                let raw = line[..end].trim_end();
                let start = self.at;
                self.at += raw.len();
                let shift = |range: Range<usize>| start + range.start..start + range.end;
                self.expand(raw, shift)
            }
        }
    }

    fn single_quoted(&mut self) -> Option<String> {
        let start = self.at;
        let body = &self.text[start + 1..];
        let Some(len) = body.find('\'') else {
            self.unterminated(start, '\'');
            return None;
        };
        self.at = start + 1 + len + 1;
        self.nothing_after();
        Some(body[..len].to_owned())
    }

    fn double_quoted(&mut self) -> Option<String> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let end = start + 1 + at + 1;
                    self.at = end;
                    self.nothing_after();
                    return self.expand(&value, |_| start..end);
                }
                '\\' => match chars.next().map(|(_, escaped)| escaped) {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some('$') => value.push_str("$$"),
                    Some(other @ ('"' | '\\')) => value.push(other),
                    Some(other) => value.extend(['\\', other]),
                    None => {}
                },
                c => value.push(c),
            }
        }
        self.unterminated(start, '"');
        None
    }

    fn unterminated(&mut self, start: usize, quote: char) {
        self.fault(
            start..start + 1,
            "a quoted value that never ends".into(),
            &format!("close it with `{quote}`"),
        );
        // What follows cannot be told apart from the value.
        self.at = self.text.len();
    }

    fn nothing_after(&mut self) {
        let line = self.line_rest();
        let after = line.trim_start();
        if !after.is_empty() && !after.starts_with('#') {
            let from = self.at + line.len() - after.len();
            self.fault(
                from..from + after.trim_end().len(),
                "text behind a quoted value".into(),
                "quote the whole value, or put `#` before a comment",
            );
        }
    }

    fn expand(
        &mut self,
        raw: &str,
        place: impl Fn(Range<usize>) -> Range<usize>,
    ) -> Option<String> {
        let names = Earlier {
            values: &self.values,
            outer: self.outer,
        };
        let mut faults = Vec::new();
        let value = interpolate::interpolate(raw, &names, &mut faults);
        let good = faults.is_empty();
        for mut fault in faults {
            fault.range = place(fault.range);
            if fault.message.ends_with("without braces") {
                let also = "single quotes keep a `$` as it is";
                fault.help = fault.help.map(|help| format!("{help}; {also}"));
            }
            self.faults.push(fault);
        }
        good.then_some(value)
    }
}

/// The variables of earlier lines; those of the surroundings win.
struct Earlier<'a> {
    values: &'a EnvMap,
    outer: &'a dyn Names,
}

impl Names for Earlier<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let outer = self.outer.variable(name);
        outer.or_else(|| self.values.get(name).cloned())
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.outer.is_unreadable(name)
    }

    fn similar(&self, name: &str) -> Option<String> {
        let here = super::suggest::closest(name, self.values.keys().map(String::as_str));
        here.map(str::to_owned).or_else(|| self.outer.similar(name))
    }

    fn port(&self, _: &str, _: &str) -> Result<String, PortFault> {
        Err(PortFault {
            message: "an env file cannot name the port of a unit".to_owned(),
            help: Some("put the variable under `environment`".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Outer;

    impl Names for Outer {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/h".to_owned())
        }

        fn similar(&self, _: &str) -> Option<String> {
            None
        }

        fn port(&self, _: &str, _: &str) -> Result<String, PortFault> {
            unreachable!("not asked by a file of variables")
        }
    }

    #[test]
    fn the_forms() {
        let text = "\u{feff}# c\n A=1 # one\nexport B = two words \r\nC='a $x # b'\nD=\"a\\n${A}\\$x\nnext\" # c\nE=\nF=x#y\nG=${HOME}/${E:-z}\nH='a\nb'";
        let (values, faults) = parse(text, &Outer);
        assert_eq!(faults, []);
        let pairs: Vec<_> = values
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "a $x # b"),
                ("D", "a\n1$x\nnext"),
                ("E", ""),
                ("F", "x#y"),
                ("G", "/h/z"),
                ("H", "a\nb"),
            ]
        );
    }

    #[test]
    fn faults_have_places() {
        for (text, part, message) in [
            (
                "A=1\nnope\n",
                "nope",
                "this line is not of the form `NAME=value`",
            ),
            ("1A=2", "1A", "`1A` cannot name a variable"),
            ("A='x' y", "y", "text behind a quoted value"),
            ("A=1\nB=\"x", "\"", "a quoted value that never ends"),
            ("A=x${NO}", "${NO}", "the variable `NO` is not set"),
            ("A=pa$word", "$word", "`$word` without braces"),
        ] {
            let (_, faults) = parse(text, &Outer);
            assert_eq!(faults.len(), 1, "{text}");
            assert_eq!(&text[faults[0].range.clone()], part, "{text}");
            assert_eq!(faults[0].message, message);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([A-C]|=|['\"#$\\\\ \n\r]|[$][{]|[}]|export|.){0,40}") {
            let (_, faults) = parse(&text, &Outer);
            for fault in faults {
                prop_assert!(text.get(fault.range).is_some());
            }
        }

        #[test]
        fn single_quotes_keep_everything(value in "[^'\0]{0,30}") {
            let (values, faults) = parse(&format!("A='{value}'\nB=1"), &Outer);
            prop_assert!(faults.is_empty());
            prop_assert_eq!(values.get("A"), Some(&value));
        }
    }
}
