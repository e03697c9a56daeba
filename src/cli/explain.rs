//! `pk explain`: what a unit is, what it waits for and why, as the file has it.

use serde::Serialize;

use super::args::Place;
use super::exit::End;
use super::output::Output;
use super::plain::waits;
use super::running::args::Form;
use super::running::show;
use super::wrap::wrap;
use super::{stack, words};
use crate::config::{self, suggest};
use crate::domain::event::ProbeRole;
use crate::domain::id::UnitName;
use crate::domain::known::Known;
use crate::domain::plan::Plan;
use crate::domain::secret::masked;
use crate::domain::spec::{Lifetime, UnitKind, UnitSpec};
use crate::domain::text::format_duration;

pub fn explain(place: &Place, unit: Option<&str>, form: Form, output: &Output) -> End {
    let loaded = match stack::load(place, output) {
        Ok(loaded) => loaded,
        Err(end) => return end,
    };
    let plan = &loaded.plan;
    let known = config::known_secrets(plan);
    let specs: Vec<&UnitSpec> = match unit {
        None => plan.units().iter().map(|spec| &**spec).collect(),
        Some(name) => match plan.get(name) {
            Some(spec) => vec![spec],
            None => {
                let names = plan.units().iter().map(|unit| unit.name.as_str());
                let help = suggest::did_you_mean(name, names);
                output.error(&format!("no unit is named `{name}`"), help.as_deref());
                return End::Usage;
            }
        },
    };
    if form == Form::Text {
        let pages: Vec<String> = specs.iter().map(|spec| render(spec, plan)).collect();
        return output.print(&known.mask(&pages.join("\n")));
    }
    let lines = |spec| {
        let lines = page(spec, plan).lines();
        let masked = lines.iter().map(|line| known.mask(line).into_owned());
        masked.collect()
    };
    let explained: Vec<Explained<'_>> = specs
        .iter()
        .map(|spec| Explained {
            unit: Named {
                name: &spec.name,
                kind: spec.kind,
            },
            explanation: lines(spec),
        })
        .collect();
    show::json(&explained, output)
}

/// As of a running stack, but for what only one that runs has.
#[derive(Serialize)]
struct Explained<'a> {
    unit: Named<'a>,
    explanation: Vec<String>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a UnitName,
    kind: UnitKind,
}

/// The page of one unit.
#[must_use]
pub fn render(spec: &UnitSpec, plan: &Plan) -> String {
    let text = page(spec, plan).text();
    Known::of([spec]).mask(&text).into_owned()
}

fn page(spec: &UnitSpec, plan: &Plan) -> Page {
    let mut page = Page::new(format!("{}: {}\n", spec.name, kind(spec)));
    if let Some(description) = &spec.description {
        page.row("", description.trim());
    }
    for (place, line) in words::program(&spec.program).iter().enumerate() {
        page.row(if place == 0 { "runs" } else { "" }, line);
    }
    page.row("in", &spec.working_dir.display().to_string());
    waits_for(spec, plan, &mut page);
    for (role, heading, probe) in [
        (ProbeRole::Startup, "started up when", &spec.startup),
        (ProbeRole::Readiness, "ready when", &spec.readiness),
        (ProbeRole::Liveness, "alive while", &spec.liveness),
    ] {
        if let Some(probe) = probe {
            page.row(heading, &words::check(&probe.check));
            page.row("", &words::pace(probe, role));
        }
    }
    if !spec.can_be_ready() && spec.kind == UnitKind::Service {
        page.row("ready when", "it has no probe, so it never says");
    }
    limits(spec, &mut page);
    page.row("restarts", &words::restart(&spec.restart));
    page.row("stops", &words::shutdown(&spec.shutdown));
    match spec.lifetime {
        Lifetime::Leader => {}
        Lifetime::Group => page.row("ends", "with the last of its processes"),
        Lifetime::Launched => page.row("ends", "when it is stopped, once it has launched"),
    }
    if let Some(essential) = words::essential(spec.essential) {
        page.row("essential", essential);
    }
    let needed_by = dependents(spec, plan);
    if !needed_by.is_empty() {
        page.row("needed by", &needed_by.join(", "));
    }
    page
}

/// `a service`, `a task, not started by itself`.
fn kind(spec: &UnitSpec) -> String {
    let mut text = format!("a {}", spec.kind);
    if let Some(replicas) = spec.replicas {
        text.push_str(&format!(" with {replicas} instances"));
    }
    if spec.disabled {
        text.push_str(", not started by itself");
    }
    if !spec.profiles.is_empty() {
        let profiles = spec.profiles.join(" or ");
        text.push_str(&format!(", started with the profile {profiles}"));
    }
    text
}

fn waits_for(spec: &UnitSpec, plan: &Plan, page: &mut Page) {
    if spec.depends_on.is_empty() {
        page.row("waits for", "nothing");
    }
    for (place, dependency) in spec.depends_on.iter().enumerate() {
        let wish = waits::wish(dependency.unit.as_str(), dependency.condition);
        let why = plan
            .get(dependency.unit.as_str())
            .map_or("", |on| words::why_condition(dependency, on));
        let mut text = format!("{wish}, as {why}");
        if dependency.restart {
            text.push_str("; restarts with it");
        }
        if !dependency.required {
            text.push_str("; goes without it if it cannot be had");
        }
        page.row(if place == 0 { "waits for" } else { "" }, &text);
    }
}

fn limits(spec: &UnitSpec, page: &mut Page) {
    let timeouts = &spec.timeouts;
    for (heading, limit, what) in [
        (
            "waits up to",
            timeouts.wait,
            "for all that, then is skipped",
        ),
        (
            "ready within",
            timeouts.ready,
            "of its start, or it has failed",
        ),
        (
            "runs up to",
            timeouts.run,
            "then it is stopped and has failed",
        ),
    ] {
        if let Some(limit) = limit {
            page.row(heading, &format!("{} {what}", format_duration(limit)));
        }
    }
}

fn dependents(spec: &UnitSpec, plan: &Plan) -> Vec<String> {
    let Some(index) = plan.graph().find(spec.name.as_str()) else {
        return Vec::new();
    };
    let mut units: Vec<_> = plan
        .graph()
        .dependents(index)
        .map(|(unit, _)| unit)
        .collect();
    units.sort_unstable();
    units.dedup();
    units
        .iter()
        .map(|&unit| plan.unit(unit).name.to_string())
        .collect()
}

/// The variables of a unit, secrets masked, as rows of such a page.
#[must_use]
pub fn environment(spec: &UnitSpec) -> Vec<String> {
    let mut page = Page::new(String::new());
    for (place, (name, value)) in spec.environment.resolved().into_iter().enumerate() {
        let heading = if place == 0 { "environment" } else { "" };
        page.row(heading, &format!("{name}={}", masked(name, value)));
    }
    page.text().lines().map(str::to_owned).collect()
}

/// What is to be said: a first line, and rows of a heading and a text.
struct Page {
    title: String,
    rows: Vec<(&'static str, String)>,
}

impl Page {
    fn new(title: String) -> Self {
        Self {
            title,
            rows: Vec::new(),
        }
    }

    /// Without a heading it goes on with the row before it.
    fn row(&mut self, heading: &'static str, text: &str) {
        self.rows.push((heading, text.to_owned()));
    }

    /// For people: in two columns, wrapped at 80.
    fn text(&self) -> String {
        const INDENT: usize = 19;
        const WIDTH: usize = 80 - INDENT;
        let mut text = self.title.clone();
        for (heading, row) in &self.rows {
            for (place, line) in wrap(row, WIDTH).iter().enumerate() {
                let heading = if place == 0 { heading } else { "" };
                let row = format!("  {heading:<15}  {line}");
                text.push_str(row.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// For programs: a line a row, without the first.
    fn lines(&self) -> Vec<String> {
        let line = |(heading, text): &(&str, String)| format!("{heading} {text}");
        let lines = self.rows.iter().map(line);
        lines.map(|line| line.trim().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::spec::{
        Check, Command, Condition, Dependency, Probe, Program, RestartPolicy,
    };

    #[test]
    fn a_unit_in_plain_words() {
        let program = || {
            Program::Command(Command::Shell {
                shell: ["sh".to_owned(), "-c".to_owned()].into(),
                script: "node server.js\n".into(),
            })
        };
        let mut db = UnitSpec::new("db".into(), UnitKind::Service, program(), "/w".into());
        db.readiness = Some(Probe::new(Check::Tcp {
            host: "127.0.0.1".into(),
            port: 5432,
        }));
        let mut api = UnitSpec::new("api".into(), UnitKind::Service, program(), "/w".into());
        api.depends_on = vec![Dependency {
            unit: "db".into(),
            condition: Condition::Ready,
            restart: true,
            required: true,
        }];
        api.restart.policy = RestartPolicy::OnFailure;
        api.timeouts.wait = Some(Duration::from_secs(30));
        let plan = Plan::new("x", vec![Arc::new(db), Arc::new(api)]).unwrap();
        assert_eq!(
            render(&plan.units()[1], &plan),
            "\
api: a service
  runs             node server.js
  in               /w
  waits for        db to be ready, as it has a readiness probe; restarts with it
  ready when       it has no probe, so it never says
  waits up to      30s for all that, then is skipped
  restarts         when it fails, at most 5 times in 1m, after a wait of 200ms
                   that grows to 30s
  stops            by SIGTERM to all its processes; what is left after 10s is
                   killed
"
        );
        assert_eq!(
            render(&plan.units()[0], &plan),
            "\
db: a service
  runs             node server.js
  in               /w
  waits for        nothing
  ready when       127.0.0.1:5432 accepts a connection
                   looked at often at first, then every 10s, each time for up to
                   1s; 3 failures in a row make it unready
  restarts         never by itself
  stops            by SIGTERM to all its processes; what is left after 10s is
                   killed
  needed by        api
"
        );
    }
}
