//! From a spec to what is to be executed.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::contain::{SpawnRequest, StageRequest};
use crate::domain::id::UnitName;
use crate::domain::spec::{Command, Port, Program, UnitSpec, port_variable};

/// Variables beyond those of the operating system, later ones winning: what pk gives every
/// unit, what tells an instance who it is, what the file says.
pub(super) fn environment(
    base: &[(OsString, OsString)],
    name: &UnitName,
    spec: &UnitSpec,
) -> Vec<(OsString, OsString)> {
    let mut variables = base.to_vec();
    variables.push(("PK_INSTANCE".into(), name.as_str().into()));
    if let Some(number) = replica(name, spec) {
        variables.push(("PK_REPLICA".into(), number.to_string().into()));
    }
    variables.extend(
        spec.environment
            .resolved()
            .into_iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    variables
}

/// The number of an instance among the replicas of its unit, from 1.
pub(super) fn replica(name: &UnitName, spec: &UnitSpec) -> Option<u32> {
    spec.replicas?;
    let number = name.as_str().strip_prefix(spec.name.as_str())?;
    number.strip_prefix('-')?.parse().ok()
}

/// Tells an instance the numbers of its own ports, where they are not those of its unit. What
/// the file itself says a variable is stays so.
pub(super) fn add_ports(
    environment: &mut [(OsString, OsString)],
    spec: &UnitSpec,
    ports: &BTreeMap<String, u16>,
) {
    for (name, port) in &spec.ports {
        let (Port::Auto(Some(of_unit)), Some(own)) = (port, ports.get(name)) else {
            continue;
        };
        let of_unit = of_unit.to_string();
        for (variable, value) in environment.iter_mut() {
            let is_port = *variable == *port_variable(name) || *variable == *"PORT";
            if is_port && *value == *of_unit {
                *value = own.to_string().into();
            }
        }
    }
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
