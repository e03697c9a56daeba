//! Writes a plan as a file of pk's own.
//!
//! Reading that file gives the same plan. Nothing is masked: this is not for showing but for
//! keeping, and who may read the one file may read the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::domain::plan::Plan;
use crate::domain::spec::{
    Check, Command, Condition, Dependency, EnvMap, Essential, Lifetime, LogSpec, OnFailure, Probe,
    Program, Restart, Schedule, Shutdown, SuccessCodes, Tty, UnitKind, UnitSpec, Watch,
    WatchAction, When,
};
use crate::domain::text::{format_duration, format_size, parse_size};

/// The file as text, to be written into `folder`. `notes` become comments at its top.
#[must_use]
pub fn to_native(plan: &Plan, folder: &Path, notes: &[String]) -> String {
    let mut out = Map::new();
    let name = folder.file_name().map(|name| name.to_string_lossy());
    if name.as_deref() != Some(plan.name()) {
        out.insert("name".to_owned(), escaped(plan.name()).into());
    }
    // What is read from a `.env` stands below already.
    out.insert("env_file".to_owned(), json!([]));
    let empty = Arc::new(EnvMap::new());
    let stack = plan
        .units()
        .first()
        .map_or(&empty, |unit| &unit.environment.stack);
    if !stack.is_empty() {
        out.insert("environment".to_owned(), variables(stack));
    }
    let shell = plan.units().iter().find_map(|unit| shell_of(unit));
    if let Some(shell) = &shell {
        out.insert("shell".to_owned(), words(shell));
    }
    for (key, kind) in [("services", UnitKind::Service), ("tasks", UnitKind::Task)] {
        let units: Map<String, Value> = plan
            .units()
            .iter()
            .filter(|unit| unit.kind == kind)
            .map(|spec| (spec.name.to_string(), unit(spec, folder)))
            .collect();
        if !units.is_empty() {
            out.insert(key.to_owned(), Value::Object(units));
        }
    }
    let value = Value::Object(out);
    let body = match serde_saphyr::to_string(&value) {
        Ok(text) => text,
        // Every value above is a plain map, list or scalar, and JSON is YAML.
        Err(_) => format!("{value:#}"),
    };
    let mut text = String::new();
    for note in notes {
        for line in note.lines() {
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
    }
    text.push_str(body.trim_end());
    text.push('\n');
    text
}

/// What the shell commands of a unit are handed to; one and the same for all of them.
fn shell_of(spec: &UnitSpec) -> Option<Arc<[String]>> {
    let of = |command: &Command| match command {
        Command::Shell { shell, .. } => Some(shell.clone()),
        Command::Exec(_) => None,
    };
    let program = match &spec.program {
        Program::Command(command) => of(command),
        Program::Pipeline(stages) => stages.iter().find_map(|stage| of(&stage.command)),
    };
    let probes = [&spec.readiness, &spec.liveness, &spec.startup];
    program
        .or_else(|| spec.shutdown.command.as_ref().and_then(of))
        .or_else(|| {
            probes
                .into_iter()
                .flatten()
                .find_map(|probe| match &probe.check {
                    Check::Exec(command) => of(command),
                    _ => None,
                })
        })
}

/// A text in which nothing is replaced.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn words(list: &[String]) -> Value {
    list.iter().map(|word| escaped(word)).collect()
}

fn variables(map: &EnvMap) -> Value {
    let entries = map
        .iter()
        .map(|(name, value)| (name.clone(), escaped(value).into()));
    Value::Object(entries.collect())
}

fn command(command: &Command) -> Value {
    match command {
        // The shell's own, so that nothing is replaced in it.
        Command::Shell { script, .. } => script.clone().into(),
        Command::Exec(argv) => words(argv),
    }
}

fn path(path: &str, folder: &Path) -> String {
    let path = Path::new(path);
    let shown = match path.strip_prefix(folder) {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => path,
    };
    escaped(&shown.to_string_lossy())
}

fn size(bytes: u64) -> String {
    let text = format_size(bytes);
    if parse_size(&text) == Ok(bytes) {
        text
    } else {
        format!("{bytes}B")
    }
}

fn unit(spec: &UnitSpec, folder: &Path) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    if let Some(text) = &spec.description {
        put("description", escaped(text).into());
    }
    match &spec.program {
        Program::Command(own) => put("command", command(own)),
        Program::Pipeline(stages) => put(
            "pipeline",
            stages
                .iter()
                .map(|stage| {
                    json!({
                        "name": escaped(&stage.name),
                        "command": command(&stage.command),
                        "environment": variables(&stage.environment),
                    })
                })
                .collect(),
        ),
    }
    if spec.working_dir != folder {
        put(
            "working_dir",
            path(&spec.working_dir.to_string_lossy(), folder).into(),
        );
    }
    if !spec.environment.unit.is_empty() {
        put("environment", variables(&spec.environment.unit));
    }
    if !spec.depends_on.is_empty() {
        put("depends_on", dependencies(&spec.depends_on));
    }
    for (key, given) in [
        ("readiness", &spec.readiness),
        ("liveness", &spec.liveness),
        ("startup", &spec.startup),
    ] {
        if let Some(given) = given {
            put(key, probe(given, folder));
        }
    }
    if spec.restart != Restart::default() {
        put("restart", restart(&spec.restart));
    }
    if spec.success_exit_codes != SuccessCodes::default() {
        let codes = spec.success_exit_codes.codes.iter().map(|code| json!(code));
        let signals = spec.success_exit_codes.signals.iter();
        let signals = signals.map(|signal| json!(signal.to_string()));
        put("success_exit_codes", codes.chain(signals).collect());
    }
    let limits = [
        ("wait", spec.timeouts.wait),
        ("ready", spec.timeouts.ready),
        ("run", spec.timeouts.run),
    ];
    let limits: Map<String, Value> = limits
        .into_iter()
        .filter_map(|(key, limit)| Some((key.to_owned(), format_duration(limit?).into())))
        .collect();
    if !limits.is_empty() {
        put("timeouts", Value::Object(limits));
    }
    if spec.shutdown != Shutdown::default() {
        put("shutdown", shutdown(&spec.shutdown));
    }
    match spec.lifetime {
        Lifetime::Leader => {}
        Lifetime::Group => put("lifetime", "group".into()),
        Lifetime::Launched => put("lifetime", "launched".into()),
    }
    if let Some(given) = &spec.watch {
        put("watch", watch(given, folder));
    }
    match spec.tty {
        Tty::No => {}
        Tty::Full => put("tty", true.into()),
        Tty::Output => put("tty", "output".into()),
    }
    for (key, flag) in [
        ("stdin", spec.stdin),
        ("disabled", spec.disabled),
        ("foreground", spec.foreground),
    ] {
        if flag {
            put(key, true.into());
        }
    }
    if let Some(given) = &spec.schedule {
        put("schedule", schedule(given));
    }
    match spec.essential {
        Essential::No => {}
        Essential::Any => put("essential", true.into()),
        Essential::Failure => put("essential", "failure".into()),
        Essential::Skipped => put("essential", "skipped".into()),
        Essential::FailureOrSkipped => put("essential", "failure_or_skipped".into()),
    }
    if !spec.logs.is_empty() {
        put("logs", logs(&spec.logs, folder));
    }
    Value::Object(out)
}

fn dependencies(list: &[Dependency]) -> Value {
    let entry = |dependency: &Dependency| {
        let condition: &str = dependency.condition.as_str();
        let mut record = BTreeMap::from([("condition", Value::from(condition))]);
        if dependency.restart {
            record.insert("restart", true.into());
        }
        if !dependency.required {
            record.insert("required", false.into());
        }
        let value = if record.len() == 1 {
            condition.into()
        } else {
            json!(record)
        };
        (dependency.unit.to_string(), value)
    };
    if list
        .iter()
        .all(|dependency| dependency.condition == Condition::Started)
        && list.iter().all(|d| !d.restart && d.required)
    {
        let entries = list.iter().map(|d| (d.unit.to_string(), "started".into()));
        return Value::Object(entries.collect());
    }
    Value::Object(list.iter().map(entry).collect())
}

fn probe(probe: &Probe, folder: &Path) -> Value {
    let mut out = Map::new();
    let check = match &probe.check {
        Check::Http(http) => {
            let mut record = Map::new();
            record.insert("url".to_owned(), escaped(&http.url).into());
            if http.method != "GET" {
                record.insert("method".to_owned(), http.method.clone().into());
            }
            if !http.headers.is_empty() {
                record.insert("headers".to_owned(), variables(&http.headers));
            }
            let status = http.status.iter().map(|range| {
                if range.first == range.last {
                    json!(range.first)
                } else {
                    json!(range.to_string())
                }
            });
            record.insert("status".to_owned(), status.collect());
            if let Some(body) = &http.body {
                record.insert("body".to_owned(), escaped(&body.0).into());
            }
            Value::Object(record)
        }
        Check::Tcp { host, port } => format!("{host}:{port}").into(),
        Check::Exec(own) => command(own),
        Check::File(file) => path(&file.to_string_lossy(), folder).into(),
        Check::Port(name) => escaped(name).into(),
        Check::Log(pattern) => escaped(&pattern.0).into(),
        Check::Notify => true.into(),
    };
    out.insert(probe.check.kind().to_owned(), check);
    let usual = Probe::new(Check::Notify);
    for (key, own, usual) in [
        ("interval", probe.interval, usual.interval),
        ("timeout", probe.timeout, usual.timeout),
        ("initial_delay", probe.initial_delay, usual.initial_delay),
    ] {
        if own != usual {
            out.insert(key.to_owned(), format_duration(own).into());
        }
    }
    for (key, own, usual) in [
        (
            "success_threshold",
            probe.success_threshold,
            usual.success_threshold,
        ),
        (
            "failure_threshold",
            probe.failure_threshold,
            usual.failure_threshold,
        ),
    ] {
        if own != usual {
            out.insert(key.to_owned(), own.into());
        }
    }
    if probe.on_failure == OnFailure::Restart {
        out.insert("on_failure".to_owned(), "restart".into());
    }
    Value::Object(out)
}

fn restart(restart: &Restart) -> Value {
    let backoff = restart.backoff;
    let limit = |limit: Option<Value>| limit.unwrap_or_else(|| "unlimited".into());
    json!({
        "policy": restart.policy,
        "backoff": format!(
            "{}..{}",
            format_duration(backoff.initial),
            format_duration(backoff.max)
        ),
        "factor": backoff.factor,
        "jitter": backoff.jitter,
        "max_restarts": limit(restart.max_restarts.map(Value::from)),
        "window": limit(restart.window.map(|window| format_duration(window).into())),
        "reset_after": format_duration(restart.reset_after),
    })
}

fn shutdown(shutdown: &Shutdown) -> Value {
    let mut out = Map::new();
    let usual = Shutdown::default();
    if shutdown.signal != usual.signal {
        out.insert("signal".to_owned(), shutdown.signal.to_string().into());
    }
    if let Some(own) = &shutdown.command {
        out.insert("command".to_owned(), command(own));
    }
    if !shutdown.send_keys.is_empty() {
        out.insert("send_keys".to_owned(), words(&shutdown.send_keys));
    }
    if shutdown.timeout != usual.timeout {
        let timeout = format_duration(shutdown.timeout);
        out.insert("timeout".to_owned(), timeout.into());
    }
    if shutdown.leader_only {
        out.insert("leader_only".to_owned(), true.into());
    }
    Value::Object(out)
}

fn watch(watch: &Watch, folder: &Path) -> Value {
    let mut out = Map::new();
    let paths = watch.paths.iter().map(|own| path(own, folder));
    out.insert("paths".to_owned(), paths.collect());
    if !watch.ignore.is_empty() {
        out.insert("ignore".to_owned(), words(&watch.ignore));
    }
    out.insert(
        "debounce".to_owned(),
        format_duration(watch.debounce).into(),
    );
    if let Some(own) = &watch.run {
        out.insert("run".to_owned(), command(own));
    }
    if let WatchAction::Signal(signal) = watch.action {
        out.insert("action".to_owned(), json!({"signal": signal.to_string()}));
    }
    if watch.cascade {
        out.insert("cascade".to_owned(), true.into());
    }
    if !watch.gitignore {
        out.insert("gitignore".to_owned(), false.into());
    }
    Value::Object(out)
}

fn schedule(schedule: &Schedule) -> Value {
    let mut out = Map::new();
    match &schedule.when {
        When::Every(every) => {
            out.insert("every".to_owned(), format_duration(*every).into());
        }
        When::Cron {
            expression,
            timezone,
        } => {
            out.insert("cron".to_owned(), escaped(expression).into());
            if let Some(zone) = timezone {
                out.insert("timezone".to_owned(), escaped(zone).into());
            }
        }
    }
    let overlap = json!(schedule.overlap);
    if overlap != json!("skip") {
        out.insert("overlap".to_owned(), overlap);
    }
    if schedule.at_start {
        out.insert("at_start".to_owned(), true.into());
    }
    Value::Object(out)
}

fn logs(logs: &LogSpec, folder: &Path) -> Value {
    let mut out = Map::new();
    if let Some(file) = &logs.file {
        out.insert(
            "file".to_owned(),
            path(&file.to_string_lossy(), folder).into(),
        );
    }
    if let Some(bytes) = logs.max_size {
        out.insert("max_size".to_owned(), size(bytes).into());
    }
    if let Some(files) = logs.max_files {
        out.insert("max_files".to_owned(), files.into());
    }
    if !logs.redact.is_empty() {
        let patterns = logs.redact.iter().map(|pattern| escaped(&pattern.0));
        out.insert("redact".to_owned(), patterns.collect());
    }
    Value::Object(out)
}
