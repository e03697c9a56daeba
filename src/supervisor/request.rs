//! From a spec to what is to be executed.

use std::ffi::OsString;

use crate::contain::{SpawnRequest, StageRequest};
use crate::domain::id::UnitName;
use crate::domain::spec::{Command, Program, UnitSpec};

/// Variables beyond those of the operating system, later ones winning: what pk gives every
/// unit, what tells an instance who it is, what the file says.
pub(super) fn environment(
    base: &[(OsString, OsString)],
    name: &UnitName,
    spec: &UnitSpec,
) -> Vec<(OsString, OsString)> {
    let mut variables = base.to_vec();
    variables.push(("PK_INSTANCE".into(), name.as_str().into()));
    let number = spec.replicas.and_then(|_| {
        name.as_str()
            .strip_prefix(spec.name.as_str())?
            .strip_prefix('-')
    });
    if let Some(number) = number {
        variables.push(("PK_REPLICA".into(), number.into()));
    }
    variables.extend(
        spec.environment
            .resolved()
            .into_iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    variables
}

/// The stages to spawn.
pub(super) fn spawn_request(spec: &UnitSpec, environment: &[(OsString, OsString)]) -> SpawnRequest {
    match &spec.program {
        Program::Command(command) => SpawnRequest::command(stage(command, spec, environment)),
        Program::Pipeline(stages) => SpawnRequest::pipeline(
            stages
                .iter()
                .map(|own| {
                    let mut request = stage(&own.command, spec, environment);
                    request
                        .environment
                        .extend(own.environment.iter().map(|(k, v)| (k.into(), v.into())));
                    if let Some(dir) = &own.working_dir {
                        request.working_dir.clone_from(dir);
                    }
                    request
                })
                .collect(),
        ),
    }
}

/// One command in the unit's folder and environment.
pub(super) fn stage(
    command: &Command,
    spec: &UnitSpec,
    environment: &[(OsString, OsString)],
) -> StageRequest {
    StageRequest {
        argv: command.argv().into_iter().map(OsString::from).collect(),
        environment: environment.to_vec(),
        working_dir: spec.working_dir.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::UnitKind;

    #[test]
    fn the_file_wins_over_what_every_unit_gets() {
        let program = Program::Command(Command::Exec(vec!["true".into()]));
        let mut spec = UnitSpec::new("web".into(), UnitKind::Service, program, "/".into());
        spec.replicas = Some(2);
        spec.environment
            .unit
            .insert("FORCE_COLOR".into(), "0".into());
        let base = [("FORCE_COLOR".into(), "1".into())];
        let variables = environment(&base, &"web-2".into(), &spec);
        let text: Vec<String> = variables
            .iter()
            .map(|(k, v)| format!("{}={}", k.display(), v.display()))
            .collect();
        assert_eq!(
            text,
            [
                "FORCE_COLOR=1",
                "PK_INSTANCE=web-2",
                "PK_REPLICA=2",
                "FORCE_COLOR=0"
            ]
        );
    }
}
