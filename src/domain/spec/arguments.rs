//! Arguments that a task is given when it is run by name.
//!
//! They must reach the command as they are, whatever they hold: no shell may split, expand
//! or execute them.

use std::path::Path;

use super::Command;

/// Why a command cannot be given arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// The shell may not be one that has positional parameters.
    #[error("its shell is `{0}`, and how that takes arguments is not known")]
    UnknownShell(String),
    /// The script is more than one plain command and says nothing of arguments.
    #[error("its command does not say where they go")]
    NoPlace,
}

/// Shells whose scripts see the arguments that follow a name after `-c` as `$1` and so on.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"];

impl Command {
    /// The same command with further arguments behind it.
    ///
    /// A list gets them at its end. A script gets them as its positional parameters; one
    /// that is a single plain command and does not speak of them gets `"$@"` at its end.
    ///
    /// # Errors
    /// There is no place where they would surely be arguments.
    pub fn with_args(&self, args: &[String]) -> Result<Self, ArgumentsError> {
        if args.is_empty() {
            return Ok(self.clone());
        }
        let (shell, script) = match self {
            Self::Exec(argv) => return Ok(Self::Exec(argv.iter().chain(args).cloned().collect())),
            Self::Shell { shell, script } => (shell, script),
        };
        let name = shell.first().map(String::as_str).unwrap_or_default();
        let known = Path::new(name)
            .file_name()
            .is_some_and(|name| SHELLS.iter().any(|shell| name == *shell));
        if !known {
            return Err(ArgumentsError::UnknownShell(name.to_owned()));
        }
        let script = if speaks_of_arguments(script) {
            script.clone()
        } else if is_plain_command(script) {
            format!("{} \"$@\"", script.trim_end())
        } else {
            return Err(ArgumentsError::NoPlace);
        };
        let mut argv: Vec<String> = shell.to_vec();
        argv.push(script);
        argv.push(name.to_owned());
        argv.extend(args.iter().cloned());
        Ok(Self::Exec(argv))
    }
}

/// Whether the script names its positional parameters: `$@`, `$1`, `${2:-x}`, `$#`.
fn speaks_of_arguments(script: &str) -> bool {
    let parameter = |c: char| matches!(c, '@' | '*' | '#' | '1'..='9');
    script.match_indices('$').any(|(at, _)| {
        let after = &script[at + 1..];
        after
            .strip_prefix('{')
            .unwrap_or(after)
            .starts_with(parameter)
    })
}

/// Whether something that is appended to the script becomes an argument of its one command:
/// outside of quotes nothing ends, joins, groups, redirects or comments, and every quote is
/// closed.
fn is_plain_command(script: &str) -> bool {
    let mut chars = script.trim().chars();
    let mut quote = None;
    let mut any = false;
    while let Some(c) = chars.next() {
        any = true;
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            // What it takes the meaning from; at the very end, that of what is appended.
            (_, '\\') if chars.next().is_none() => return false,
            (_, '\\') => {}
            (_, '`') => return false,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, _) if "\n;|&<>(){}#".contains(c) => return false,
            (None, _) => {}
        }
    }
    any && quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(shell: &[&str], script: &str) -> Result<Vec<String>, ArgumentsError> {
        let command = Command::Shell {
            shell: shell.iter().map(ToString::to_string).collect(),
            script: script.to_owned(),
        };
        let args = ["a b".to_owned(), "$HOME".to_owned()];
        let command = command.with_args(&args)?;
        Ok(command.argv().into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_plain_command_gets_them_at_its_end() {
        let argv = given(&["/bin/sh", "-c"], "echo hi ").unwrap();
        assert_eq!(
            argv,
            ["/bin/sh", "-c", "echo hi \"$@\"", "/bin/sh", "a b", "$HOME"]
        );
    }

    #[test]
    fn a_script_that_speaks_of_them_gets_them_there_alone() {
        for script in [
            "echo \"first=$1 n=$#\"",
            "for a in \"$@\"; do echo $a; done",
            "x=${2:-y}; echo",
        ] {
            let argv = given(&["bash", "-c"], script).unwrap();
            assert_eq!(argv[2..], [script, "bash", "a b", "$HOME"]);
        }
    }

    #[test]
    fn where_they_would_be_commands_they_are_refused() {
        for script in [
            "echo one\necho two",
            "echo hi;",
            "cat <<X\nx\nX",
            "echo hi # x",
            "a | b",
            "x \\",
            "(a)",
        ] {
            assert_eq!(
                given(&["bash", "-c"], script),
                Err(ArgumentsError::NoPlace),
                "{script}"
            );
        }
        assert_eq!(
            given(&["python3", "-c"], "print(1)"),
            Err(ArgumentsError::UnknownShell("python3".into()))
        );
    }

    #[test]
    fn a_list_gets_them_whatever_it_is() {
        let command = Command::Exec(vec!["python3".into(), "x.py".into()]);
        let command = command.with_args(&["; rm".to_owned()]).unwrap();
        assert_eq!(command.argv(), ["python3", "x.py", "; rm"]);
    }

    #[test]
    fn quotes_keep_a_script_one_command_if_they_are_closed() {
        for (script, is_one) in [
            ("echo 'a; b' \"c | d\"", true),
            ("echo a\\;b", true),
            ("echo 'a", false),
            ("echo \"`date`\"", false),
            ("echo a\\", false),
            ("", false),
        ] {
            assert_eq!(is_plain_command(script), is_one, "{script}");
        }
    }
}
