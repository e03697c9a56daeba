//! Files of other tools: what the command line says of them, and what has to be run to read
//! them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use super::args::{self, Place};
use super::exit::End;
use super::output::Output;
use super::stack;
use crate::config::Loaded;
use crate::config::foreign::{EnvCommand, Foreign, Format};
use crate::contain::{Containment, HelperEnd, StageRequest, run_helper};
use crate::domain::exit::ExitStatus;
use crate::supervisor::AutoPorts;

/// How long a command that gives a variable may take.
const ENV_COMMAND_LIMIT: Duration = Duration::from_secs(2);

/// What was typed, for the front ends.
pub fn meant(args: &args::Foreign) -> Foreign {
    Foreign {
        env_files: args.env_files.clone(),
        no_dotenv: args.disable_dotenv,
        namespaces: args.namespaces.clone(),
        strict: false,
        outputs: None,
        replicas: BTreeMap::new(),
        formation: args.formation.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

/// Loads a file whose variables may come from commands, which are not run yet.
pub fn load(
    place: &Place,
    foreign: &Foreign,
    ports: Option<&AutoPorts>,
    output: &Output,
) -> Result<Loaded, End> {
    let loaded = stack::load_with(place, foreign, ports, output)?;
    let refuse = |what: &str, help: &str| {
        output.error(what, Some(help));
        Err(End::Usage)
    };
    let other = loaded.format != Format::ProcessCompose;
    if other && !foreign.namespaces.is_empty() {
        return refuse(
            "`--namespace` is for process-compose files",
            "in pk.yaml, units have `profiles`, and `--profile` chooses",
        );
    }
    if loaded.format == Format::Native && (!foreign.env_files.is_empty() || foreign.no_dotenv) {
        return refuse(
            "`--env` and `--disable-dotenv` are for files of other tools",
            "in pk.yaml, `env_file` names the files",
        );
    }
    if loaded.format != Format::Procfile && !foreign.formation.is_empty() {
        return refuse(
            "`--scale` is for a Procfile",
            "elsewhere units have `replicas`, and `pk scale` changes them",
        );
    }
    Ok(loaded)
}

/// Runs the commands that give variables, and loads again with what they said, which
/// `foreign` keeps.
pub fn with_commands(
    loaded: &Loaded,
    place: &Place,
    foreign: &mut Foreign,
    ports: &AutoPorts,
    containment: &Containment,
    output: &Output,
) -> Result<Loaded, End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outputs = match runtime {
        Ok(runtime) => runtime.block_on(run_all(loaded, containment, output)),
        Err(error) => {
            output.error(
                &format!("cannot run the commands of the file: {error}"),
                None,
            );
            return Err(End::Failed);
        }
    };
    foreign.outputs = Some(outputs);
    stack::load_quietly(place, foreign, Some(ports), output)
}

async fn run_all(
    loaded: &Loaded,
    containment: &Containment,
    output: &Output,
) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for command in &loaded.env_commands {
        match run_one(command, loaded, containment).await {
            Ok(value) => {
                outputs.insert(command.name.clone(), value);
            }
            Err(error) => output.note(&format!(
                "`{}` of `env_cmds` is not set: {error}",
                command.name
            )),
        }
    }
    outputs
}

async fn run_one(
    command: &EnvCommand,
    loaded: &Loaded,
    containment: &Containment,
) -> Result<String, String> {
    // Its complaints are no value.
    let quiet = ["sh", "-c", "exec \"$@\" 2>/dev/null", "sh"].map(OsString::from);
    let argv = quiet
        .into_iter()
        .chain(command.argv.iter().map(OsString::from))
        .collect::<Vec<_>>();
    let environment: Vec<_> = std::env::vars_os().collect();
    let request = StageRequest::new(argv, &loaded.folder).with_environment(environment);
    let ran = run_helper(containment, &request, ENV_COMMAND_LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    match ran.end {
        HelperEnd::Exited(ExitStatus::SUCCESS) => {
            Ok(String::from_utf8_lossy(&ran.tail).trim().to_owned())
        }
        HelperEnd::Exited(status) => Err(status.to_string()),
        HelperEnd::TimedOut => Err(format!("it took longer than {ENV_COMMAND_LIMIT:?}")),
    }
}
