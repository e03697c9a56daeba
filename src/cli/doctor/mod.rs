//! `pk doctor`: what pk finds on this machine, and what that means for a stack here.
//!
//! It looks, and changes one thing alone: what a pk that was killed had left is ended, as by
//! the next `pk up`.

mod bundle;
mod machine;
mod project;

use serde::Serialize;

use super::args::{Doctor, Place};
use super::exit::End;
use super::output::Output;
use super::running::args::Form;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Fine,
    /// It works, and could be better.
    Weak,
    /// It does not work.
    Bad,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A word or two; stays the same.
    pub about: &'static str,
    pub standing: Standing,
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    fn new(about: &'static str, standing: Standing, what: impl Into<String>) -> Self {
        Self {
            about,
            standing,
            what: what.into(),
            help: None,
        }
    }

    fn fine(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(about, Standing::Fine, what)
    }

    fn weak(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(about, Standing::Weak, what)
    }

    fn bad(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(about, Standing::Bad, what)
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    findings: &'a [Finding],
}

pub fn doctor(place: &Place, args: &Doctor, output: &Output) -> End {
    let mut findings = machine::look();
    findings.extend(project::look(place));
    let end = if findings.iter().any(|one| one.standing == Standing::Bad) {
        End::Failed
    } else {
        End::Fine
    };
    if let Some(file) = &args.bundle {
        let text = text(&findings, super::style::Painter::new(false));
        return match bundle::write(place, file, &text, output) {
            End::Fine => end,
            failed => failed,
        };
    }
    let shown = match args.output {
        Form::Text => output.print(&text(&findings, output.out)),
        Form::Json => {
            let report = Report {
                version: env!("CARGO_PKG_VERSION"),
                findings: &findings,
            };
            super::running::show::json(&report, output)
        }
    };
    match shown {
        End::Fine => end,
        failed => failed,
    }
}

fn text(findings: &[Finding], painter: super::style::Painter) -> String {
    let width = findings
        .iter()
        .map(|one| one.about.len())
        .max()
        .unwrap_or(0);
    let mut text = format!("pk {}\n", env!("CARGO_PKG_VERSION"));
    for one in findings {
        let (word, about) = (
            match one.standing {
                Standing::Fine => painter.good("fine"),
                Standing::Weak => painter.warning("weak"),
                Standing::Bad => painter.bad("bad "),
            },
            one.about,
        );
        text.push_str(&format!("{word}  {about:width$}  {}\n", one.what));
        if let Some(help) = &one.help {
            text.push_str(&format!("      {:width$}  {help}\n", ""));
        }
    }
    text
}
