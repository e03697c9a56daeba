//! `pk doctor --bundle FILE`: one file for who is to help, without secrets.

use std::io::Write as _;
use std::path::Path;

use super::super::args::Place;
use super::super::exit::End;
use super::super::output::{Output, reason};
use super::super::running::reach;
use super::super::stack;
use crate::config;
use crate::control::protocol::{LogPage, LogQuery};
use crate::control::{Found, wire};
use crate::domain::plan::Plan;
use crate::domain::secret::{is_secret_name, masked, masked_text};

/// The last lines of all units.
const LINES: usize = 500;

/// A value that is shorter would be found in words that are none of its business.
const SHORTEST: usize = 4;

pub(super) fn write(place: &Place, file: &Path, findings: &str, output: &Output) -> End {
    let text = gather(place, findings, output);
    // For the user alone, and never in the place of another file.
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            output.note(&format!(
                "wrote {}: read it before you hand it on; secrets are masked as far as they can \
                 be told",
                file.display()
            ));
            End::Fine
        }
        Err(error) => {
            let error = reason(&error);
            output.error(&format!("cannot write `{}`: {error}", file.display()), None);
            End::Failed
        }
    }
}

fn gather(place: &Place, findings: &str, output: &Output) -> String {
    let mut text = findings.to_owned();
    let mut section = |title: &str, body: &str| {
        text.push_str(&format!("\n== {title}\n\n{}\n", body.trim_end()));
    };
    let mut secrets = secrets_of(std::env::vars());
    let loaded = stack::request(place)
        .ok()
        .map(|request| config::load(&request));
    match &loaded {
        Some(Ok(loaded)) => {
            secrets.extend(secrets_of_plan(&loaded.plan));
            section(
                "the file, as pk understands it",
                &config::to_yaml(&loaded.plan),
            );
        }
        Some(Err(report)) => section("mistakes of the file", &report.render(false)),
        None => {}
    }
    let variables: Vec<String> = std::env::vars()
        .map(|(name, value)| format!("{name}={}", masked(&name, &value)))
        .collect();
    section("environment", &variables.join("\n"));
    if let Ok(Some(found)) = reach::find(place, output) {
        let asked = reach::block_on(output, async {
            let state: Result<serde_json::Value, _> = wire::get(&found.socket, "/v1/state").await;
            let own: Result<serde_json::Value, _> =
                wire::get(&found.socket, "/v1/diagnostics").await;
            let lines = lines(&found).await;
            Ok((state, own, lines))
        });
        if let Ok((state, own, lines)) = asked {
            match state {
                Ok(state) => section("state of the stack", &format!("{state:#}")),
                Err(error) => section("state of the stack", &error.to_string()),
            }
            match own {
                Ok(own) => section("pk itself", &format!("{own:#}")),
                Err(error) => section("pk itself", &error.to_string()),
            }
            section("last lines of the units", &lines);
        }
    }
    hide(&text, &secrets)
}

async fn lines(found: &Found) -> String {
    let query = LogQuery {
        last: Some(LINES),
        ..LogQuery::default()
    };
    match wire::post::<LogPage>(&found.socket, "/v1/logs", &query).await {
        Ok(page) => {
            let lines = page.lines.iter();
            let lines = lines.map(|line| format!("{} {}: {}", line.time, line.unit, line.text));
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

fn secrets_of(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let secret = variables.filter(|(name, value)| is_secret_name(name) && value.len() >= SHORTEST);
    secret.map(|(_, value)| value).collect()
}

fn secrets_of_plan(plan: &Plan) -> Vec<String> {
    let units = plan.units().iter();
    let all = units.flat_map(|unit| unit.environment.resolved());
    secrets_of(all.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// Without the values that are secrets by their names, wherever they stand, nor what looks
/// like one.
fn hide(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    let mut secrets: Vec<&String> = secrets.iter().collect();
    // One may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret.as_str(), "***");
    }
    let lines = text.lines().map(|line| masked_text(line).into_owned());
    let mut text = lines.collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let variables = [
            ("API_TOKEN", "hunter22"),
            ("SHORT_KEY", "ab"),
            ("HOME", "/root"),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = secrets_of(owned.into_iter());
        assert_eq!(secrets, ["hunter22"]);
        let hidden = hide("sent hunter22 to postgres://me:pw@db/x\n/root\n", &secrets);
        assert!(
            !hidden.contains("hunter22") && !hidden.contains(":pw@"),
            "{hidden}"
        );
        assert!(hidden.contains("/root"));
    }
}
