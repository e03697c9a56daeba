//! Finds a `[` or `{` that is never closed.
//!
//! The parser says where it lost its way, which is often far behind the bracket itself. This
//! reads just enough of YAML to tell brackets from text; it must not judge anything else.

/// The byte of the innermost bracket that is open where the text ends.
pub(super) fn unclosed(text: &str) -> Option<usize> {
    let mut open: Vec<(usize, char)> = Vec::new();
    // Lines further to the right than this belong to a block of text.
    let mut block: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_text = line.trim().is_empty() || block.is_some_and(|at| indent > at);
        if !is_text {
            block = None;
            scan(line, start, &mut open);
            let content = line.trim_end().trim_end_matches(['-', '+']);
            if open.is_empty() && content.ends_with(['|', '>']) {
                block = Some(indent);
            }
        }
        start += line.len();
    }
    open.last().map(|&(at, _)| at)
}

/// `start`: where the line stands in the text.
fn scan(line: &str, start: usize, open: &mut Vec<(usize, char)>) {
    // What the token before ended with: a value may start behind these alone.
    let mut before = ':';
    let mut blank = true;
    let mut quote: Option<char> = None;
    for (at, c) in line.char_indices() {
        if let Some(end) = quote {
            if c == end {
                quote = None;
            }
            continue;
        }
        let starts = matches!(before, ':' | '-' | ',' | '[' | '{');
        match c {
            '#' if blank => return,
            '"' | '\'' if starts => quote = Some(c),
            '[' | '{' if starts && (blank || matches!(before, '[' | '{' | ',')) => {
                open.push((start + at, c));
            }
            ']' | '}' => {
                let opener = if c == ']' { '[' } else { '{' };
                if open.last().is_some_and(|&(_, last)| last == opener) {
                    open.pop();
                }
            }
            _ => {}
        }
        blank = c.is_whitespace();
        if !blank {
            before = c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn the_bracket_that_is_open_is_found() {
        assert_eq!(unclosed("a: {b: {c: x}\nd: [1, 2]\n"), Some(3));
        assert_eq!(unclosed("a: [b, 'c]'\n"), Some(3));
        for text in [
            "a: {b: [c]}\n",
            "a: echo { x [\n",
            "a: |\n  { x\n  [ y\nb: c\n",
            "a: \"{\" # {\n",
        ] {
            assert_eq!(unclosed(text), None, "{text}");
        }
    }
}
