//! One process into the specs of its replicas.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::fields::{Block, Fields, Given, Word};
use super::logs;
use super::policy;
use super::probe;
use super::project::Project;
use super::template::{self, Value as Var};
use super::watch;
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::lenient_env;
use crate::config::lower::Lowered;
use crate::config::lower::paths::tidy;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::tree::{Node, Value};
use crate::domain::id::UnitName;
use crate::domain::signal::Signal;
use crate::domain::spec::{
    Command, EnvMap, Environment, Lifetime, Program, Shutdown, Tty, UnitKind, UnitSpec,
};

/// One replica, and what the words in its texts stand for.
pub(super) struct Around<'a> {
    pub shell: Arc<[String]>,
    vars: &'a Var,
    environment: &'a EnvMap,
}

impl Around<'_> {
    /// What all processes are told, or else what pk is told.
    pub(super) fn variable(&self, name: &str, cx: &Cx<'_>) -> Option<String> {
        self.environment
            .get(name)
            .or_else(|| cx.os.get(name))
            .cloned()
    }

    /// The text with its templates rendered; alone if it is for somebody else.
    pub(super) fn rendered(&self, word: &Word, cx: &mut Cx<'_>) -> String {
        if !word.value.contains("{{") {
            return word.value.to_string();
        }
        match template::render(&word.value, self.vars) {
            Ok(text) => text,
            Err(what) => {
                cx.say(
                    Diagnostic::warning(
                        word.span,
                        format!("not a template of this file: {what}"),
                    )
                    .label("the text is left as it is")
                    .help("`vars` has what `{{.NAME}}` may name; `is_template_disabled: true` says that nothing is meant"),
                );
                word.value.to_string()
            }
        }
    }
}

/// A process as the merged files have it.
pub(super) struct Process<'n> {
    pub name: Arc<str>,
    pub key: Span,
    pub node: &'n Node,
    /// Somebody waits for its end.
    pub awaited: bool,
    pub replicas: u32,
}

impl Process<'_> {
    /// The names of its replicas, as the file's own program gives them.
    pub(super) fn replica_names(&self) -> Vec<String> {
        if self.replicas == 1 {
            return vec![self.name.to_string()];
        }
        let width = self.replicas.to_string().len();
        (0..self.replicas)
            .map(|number| format!("{}-{number:0width$}", self.name))
            .collect()
    }
}

/// The spec of one replica, still without dependencies.
pub(super) fn lower(
    process: &Process<'_>,
    number: u32,
    replica: &str,
    name: &str,
    project: &Project,
    cx: &mut Cx<'_>,
) -> Lowered {
    let empty = crate::config::tree::Map::default();
    let fields = match &process.node.value {
        Value::Map(_) => Fields::of(process.node, Block::Process, cx),
        Value::Scalar(scalar) if scalar.is_null() => None,
        Value::Scalar(_) | Value::Seq(_) => Fields::of(process.node, Block::Process, cx),
    };
    let fields = fields.unwrap_or(Fields {
        map: &empty,
        block: Block::Process,
    });
    if number == 0 {
        fields.warn_unknown(project.strict, cx);
        logs::warn_of_no_effect(&fields, cx);
    }
    let vars = variables(&fields, number, project, cx);
    let around = Around {
        shell: project.shell.clone(),
        vars: &vars,
        environment: &project.environment,
    };
    let working_dir = match fields.text("working_dir", cx) {
        Some(word) if !word.value.is_empty() => in_home(&around.rendered(&word, cx), project, cx),
        _ => project.base.clone(),
    };
    let daemon = fields.is("is_daemon", cx);
    let program = program(process, &fields, &around, project, cx);
    let restart = policy::restart(&fields, cx);
    let kind = if fields.get("schedule").is_some()
        || (process.awaited
            && !daemon
            && restart.restart.policy != crate::domain::spec::RestartPolicy::Always)
    {
        UnitKind::Task
    } else {
        UnitKind::Service
    };
    let mut spec = UnitSpec::new(UnitName::new(name), kind, program, working_dir.clone());
    spec.restart = restart.restart;
    spec.essential = restart.essential;
    if daemon {
        spec.lifetime = Lifetime::Launched;
    }
    spec.environment = environment(&fields, &around, replica, number, &working_dir, project, cx);
    spec.description = fields
        .text("description", cx)
        .map(|word| around.rendered(&word, cx));
    if let Some(codes) = fields.get("success_exit_codes") {
        policy::success_codes(codes, &mut spec.success_exit_codes, cx);
    }
    terminal(&fields, &mut spec, cx);
    spec.shutdown = policy::shutdown(&fields, &around, spec.tty, cx);
    probes(&fields, &around, &mut spec, cx);
    spec.watch = watch::watch(&fields, &working_dir, cx);
    policy::schedule(&fields, &mut spec, cx);
    spec.logs = logs::logs(&fields, &around, number, process.replicas, project, cx);
    disabled(&fields, process, project, &mut spec, cx);
    Lowered {
        spec: Arc::new(spec),
        key: process.key,
        edges: Vec::new(),
        ports: Vec::new(),
        replicas: None,
    }
}

fn variables(fields: &Fields<'_>, number: u32, project: &Project, cx: &mut Cx<'_>) -> Var {
    let mut vars = project.vars.clone();
    if let Some(entry) = fields.get("vars") {
        match Var::of(&entry.value) {
            Var::Map(own) => vars.extend(own),
            _ => cx.say(super::fields::mismatch(&entry.value, "a map of variables")),
        }
    }
    vars.insert("PC_REPLICA_NUM".to_owned(), Var::Int(i64::from(number)));
    Var::Map(vars)
}

fn in_home(path: &str, project: &Project, cx: &Cx<'_>) -> PathBuf {
    let home = cx.os.get("HOME").filter(|home| home.starts_with('/'));
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => tidy(&Path::new(home).join(rest)),
        _ => tidy(&project.base.join(path)),
    }
}

fn program(
    process: &Process<'_>,
    fields: &Fields<'_>,
    around: &Around<'_>,
    project: &Project,
    cx: &mut Cx<'_>,
) -> Program {
    let command = fields
        .text("command", cx)
        .filter(|word| !word.value.is_empty());
    let entrypoint = fields
        .texts("entrypoint", cx)
        .filter(|list| !list.is_empty());
    if let (Some(command), Some(list)) = (&command, &entrypoint) {
        cx.say(
            Diagnostic::warning(
                list[0].key,
                format!(
                    "{} has both `command` and `entrypoint`",
                    quoted(&process.name)
                ),
            )
            .label("this one has no effect")
            .and(command.key, "this one is executed"),
        );
    }
    let elevated = fields.is("is_elevated", cx);
    let command = match (command, entrypoint) {
        (Some(word), _) => {
            let script = if fields.is("is_template_disabled", cx) {
                word.value.to_string()
            } else {
                around.rendered(&word, cx)
            };
            Command::Shell {
                shell: around.shell.clone(),
                script,
            }
        }
        (None, Some(list)) => {
            Command::Exec(list.iter().map(|word| word.value.to_string()).collect())
        }
        (None, None) => {
            cx.say(
                Diagnostic::warning(
                    process.key,
                    format!("{} has nothing to execute", quoted(&process.name)),
                )
                .label("it will end at once, with success")
                .help("write `command: …`"),
            );
            Command::Shell {
                shell: around.shell.clone(),
                script: "true".to_owned(),
            }
        }
    };
    Program::Command(if elevated {
        let argv = command.argv();
        let words = project.elevated.iter().map(String::as_str).chain(argv);
        Command::Exec(words.map(str::to_owned).collect())
    } else {
        command
    })
}

/// Later wins: what the whole project has, what the process is told of itself (unless the
/// project says otherwise), its file, its own list.
fn environment(
    fields: &Fields<'_>,
    around: &Around<'_>,
    replica: &str,
    number: u32,
    working_dir: &Path,
    project: &Project,
    cx: &mut Cx<'_>,
) -> Environment {
    let stack = project.environment.clone();
    let mut unit = EnvMap::new();
    // Where one process does without the `.env`, each of the others has it for itself.
    if !project.shared_dotenv && !fields.is("is_dotenv_disabled", cx) {
        let own = project.dotenv.iter();
        unit.extend(
            own.filter(|(name, _)| !stack.contains_key(*name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    for (name, value) in [
        ("PC_PROC_NAME", replica.to_owned()),
        ("PC_REPLICA_NUM", number.to_string()),
    ] {
        if !stack.contains_key(name) {
            unit.entry(name.to_owned()).or_insert(value);
        }
    }
    if let Some(file) = fields.text("env_file", cx) {
        unit.extend(env_file(&file, working_dir, project, cx));
    }
    if let Some(entry) = fields.get("environment") {
        let entries = super::project::pairs(&entry.value, cx);
        for (word, name, value) in entries {
            let value = around.rendered(
                &Given {
                    value: value.into(),
                    ..word
                },
                cx,
            );
            unit.insert(name, value);
        }
    }
    Environment { stack, unit }
}

fn env_file(file: &Word, working_dir: &Path, project: &Project, cx: &mut Cx<'_>) -> EnvMap {
    let path = tidy(&working_dir.join(&*file.value));
    match cx.sources.read(&path) {
        Ok(id) => lenient_env::parse(cx.sources.get(id).text()),
        Err(error) => {
            let message = format!("the env file `{}` {error}", cx.sources.show(&path));
            cx.say(if project.strict {
                Diagnostic::meaning(file.span, message).label("refused because of `is_strict`")
            } else {
                Diagnostic::warning(file.span, message).label("it is passed over")
            });
            EnvMap::new()
        }
    }
}

fn terminal(fields: &Fields<'_>, spec: &mut UnitSpec, cx: &mut Cx<'_>) {
    if fields.is("is_interactive", cx) {
        spec.tty = Tty::Full;
        spec.stdin = true;
    } else if fields.is("is_tty", cx) {
        spec.tty = Tty::Full;
    }
    spec.foreground = fields.is("is_foreground", cx);
    if spec.foreground {
        spec.tty = Tty::Full;
    }
    if fields.is("is_elevated", cx) {
        // A password may be asked for.
        spec.stdin = true;
    }
}

fn probes(fields: &Fields<'_>, around: &Around<'_>, spec: &mut UnitSpec, cx: &mut Cx<'_>) {
    let working_dir = spec.working_dir.clone();
    let readiness = probe::probe(fields, "readiness_probe", around, &working_dir, cx);
    let liveness = probe::probe(fields, "liveness_probe", around, &working_dir, cx);
    if let Some(line) = fields
        .text("ready_log_line", cx)
        .filter(|l| !l.value.is_empty())
    {
        if let Some(probe) = &readiness {
            cx.say(
                Diagnostic::meaning(line.key, "both `ready_log_line` and `readiness_probe`")
                    .label("the second way to be ready")
                    .and(probe.key, "the first one")
                    .help("keep one of them"),
            );
        }
        spec.readiness = Some(probe::log_line(&line.value));
    } else if let Some(lowered) = readiness {
        spec.timeouts.ready = Some(lowered.ready_within);
        spec.readiness = Some(lowered.probe);
    }
    if let Some(mut lowered) = liveness {
        let acts = spec.lifetime == Lifetime::Launched
            || spec.restart.policy != crate::domain::spec::RestartPolicy::No;
        if acts {
            lowered.probe.on_failure = crate::domain::spec::OnFailure::default();
            spec.liveness = Some(lowered.probe);
        } else {
            cx.say(
                Diagnostic::warning(
                    lowered.key,
                    "this liveness probe would do nothing but write a line",
                )
                .label("it is left out")
                .help(
                    "with `availability: {restart: on_failure}` its failure restarts the process",
                ),
            );
        }
    }
}

fn disabled(
    fields: &Fields<'_>,
    process: &Process<'_>,
    project: &Project,
    spec: &mut UnitSpec,
    cx: &mut Cx<'_>,
) {
    spec.disabled |= fields.is("disabled", cx);
    if let Some(word) = fields.text("is_disabled", cx) {
        match &*word.value {
            "true" => spec.disabled = true,
            "false" => spec.disabled = false,
            "" => {}
            other => cx.say(
                Diagnostic::warning(
                    word.span,
                    format!("{} is neither `true` nor `false`", quoted(other)),
                )
                .label("it has no effect"),
            ),
        }
    }
    if project.disabled.iter().any(|name| **name == *process.name) {
        spec.disabled = true;
    }
    // It is started by hand alone.
    spec.disabled |= spec.foreground;
    if let Some(entry) = fields.get("mcp") {
        spec.disabled = true;
        if let Some(mcp) = Fields::of(&entry.value, Block::Mcp, cx) {
            mcp.warn_unknown(false, cx);
        }
        cx.say(
            Diagnostic::warning(entry.key_span, "`mcp` makes no tool of a process here")
                .label("the process is disabled, as it would be")
                .help("`pk mcp` gives agents the whole stack; `pk run` runs a task"),
        );
    }
}

/// A grace period or signal that the file may leave out.
pub(super) fn default_shutdown(tty: Tty) -> Shutdown {
    let mut shutdown = Shutdown::default();
    if tty != Tty::No {
        // What a terminal that goes away sends.
        shutdown.signal = Signal::HUP;
    }
    shutdown
}

pub(super) fn seconds(given: Option<Given<i64>>) -> Option<Duration> {
    let given = given?.value;
    (given > 0).then(|| Duration::from_secs(u64::try_from(given).unwrap_or(0)))
}
