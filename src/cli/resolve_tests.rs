use clap::Parser as _;

use super::*;
use crate::cli::args::{Cli, Command};
use crate::domain::spec::{Command as Run, Condition, Dependency, Stage};

fn unit(name: &str, kind: UnitKind, on: &[&str]) -> UnitSpec {
    let program = Program::Command(Run::Exec(vec!["true".into()]));
    let mut spec = UnitSpec::new(name.into(), kind, program, "/".into());
    spec.depends_on = on
        .iter()
        .map(|unit| Dependency {
            unit: (*unit).into(),
            condition: Condition::Started,
            restart: false,
            required: true,
        })
        .collect();
    spec
}

fn plan() -> Arc<Plan> {
    let mut debug = unit("debug", UnitKind::Service, &[]);
    debug.profiles = vec!["dev".into()];
    let mut pipe = unit("pipe", UnitKind::Task, &[]);
    pipe.program = Program::Pipeline(vec![Stage {
        name: "1".into(),
        command: Run::Exec(vec!["true".into()]),
        environment: Default::default(),
        working_dir: None,
    }]);
    let units = vec![
        unit("db", UnitKind::Service, &[]),
        unit("migrate", UnitKind::Task, &["db"]),
        unit("api", UnitKind::Service, &["db", "migrate"]),
        debug,
        pipe,
    ];
    Arc::new(Plan::new("x", units.into_iter().map(Arc::new).collect()).unwrap())
}

fn resolve(line: &str) -> Result<Wanted, Vec<String>> {
    let cli = Cli::parse_from(["pk"].into_iter().chain(line.split(' ')));
    let wanted = match &cli.command {
        Command::Up(args) => up(args, plan()),
        Command::Run(args) => run(args, plan()),
        _ => panic!("neither up nor run"),
    };
    wanted.map_err(|mistakes| {
        let text = |m: &Mistake| format!("{} ({})", m.what, m.help.clone().unwrap_or_default());
        mistakes.iter().map(text).collect()
    })
}

fn names(wanted: &Wanted) -> String {
    let names: Vec<&str> = wanted.units.iter().map(UnitName::as_str).collect();
    names.join(" ")
}

#[test]
fn units_come_with_what_they_require() {
    let names_of = |line| names(&resolve(line).unwrap());
    assert_eq!(names_of("up"), "api db migrate pipe");
    assert_eq!(names_of("up --profile dev"), "api db debug migrate pipe");
    assert_eq!(names_of("up api"), "api db migrate");
    assert_eq!(names_of("up api --no-deps"), "api");
    assert_eq!(names_of("run migrate"), "db migrate");
}

#[test]
fn ends_are_chosen() {
    let ci = resolve("up --ci").unwrap().options;
    assert!(ci.abort_on_failure && ci.ends_when_done);
    let from = resolve("up --exit-code-from api").unwrap().options;
    assert_eq!(from.ends_with, Some("api".into()));
    assert_eq!(from.code_from, Some("api".into()));
    let run = resolve("run migrate").unwrap().options;
    assert_eq!(run.ends_with, Some("migrate".into()));
    let keep = resolve("run migrate --keep").unwrap().options;
    assert_eq!(keep.ends_with, None);
    assert_eq!(keep.code_from, Some("migrate".into()));
}

#[test]
fn all_mistakes_are_told_with_help() {
    assert_eq!(
        resolve("up apo migrat --profile deb --exit-code-from nobody").unwrap_err(),
        [
            "no unit has the profile `deb` (did you mean `dev`?)",
            "no unit is named `apo` (did you mean `api`?)",
            "no unit is named `migrat` (did you mean `migrate`?)",
            "no unit is named `nobody` (there is db, migrate, api, debug, pipe)",
        ]
    );
    assert_eq!(
        resolve("up db --exit-code-from api").unwrap_err(),
        ["`api` is not among the units that are started (name it beside the units to start)"]
    );
    assert_eq!(
        resolve("run api").unwrap_err(),
        ["`api` is a service, and `run` runs tasks (start it with `pk up api`)"]
    );
    assert_eq!(
        resolve("run migrat").unwrap_err(),
        ["no task is named `migrat` (did you mean `migrate`?)"]
    );
    assert_eq!(
        resolve("run zzz").unwrap_err(),
        ["no task is named `zzz` (there is migrate, pipe)"]
    );
}

#[test]
fn arguments_go_to_the_task_alone() {
    let wanted = resolve("run migrate -- --to 7").unwrap();
    let argv = |name| match &wanted.plan.get(name).unwrap().program {
        Program::Command(command) => command.argv().join(" "),
        Program::Pipeline(_) => String::new(),
    };
    assert_eq!(argv("migrate"), "true --to 7");
    assert_eq!(argv("db"), "true");
    assert_eq!(
        resolve("run pipe -- x").unwrap_err(),
        ["`pipe` is a pipeline, which takes no arguments (a task with a `command` does)"]
    );
}
