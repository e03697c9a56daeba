//! Keys of a map, read one by one, with a word about every one that means nothing.
//!
//! Scalars are taken as the YAML library of process-compose takes them: any scalar is a
//! text, `yes` is true. What it refuses and is plain in meaning is taken with a warning.

use std::sync::Arc;

use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::suggest::{closest, one_of};
use crate::config::tree::{Entry, Map, Node, Scalar, Value, parse_bool, parse_int};

/// A value with the places of its key and itself.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub key: Span,
    pub span: Span,
    pub value: T,
}

pub(super) type Word = Given<Arc<str>>;

/// The blocks of a file and the keys they have, to say where a misplaced key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Project,
    Process,
    Availability,
    Shutdown,
    Probe,
    Exec,
    HttpGet,
    Dependency,
    Log,
    Rotation,
    Schedule,
    Watch,
    WatchPath,
    Shell,
    Mcp,
}

impl Block {
    /// How a message names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Project => "the file",
            Self::Process => "a process",
            Self::Availability => "`availability`",
            Self::Shutdown => "`shutdown`",
            Self::Probe => "a probe",
            Self::Exec => "`exec`",
            Self::HttpGet => "`http_get`",
            Self::Dependency => "a dependency",
            Self::Log => "`log_configuration`",
            Self::Rotation => "`rotation`",
            Self::Schedule => "`schedule`",
            Self::Watch => "`watch`",
            Self::WatchPath => "a watched path",
            Self::Shell => "`shell`",
            Self::Mcp => "`mcp`",
        }
    }

    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Project => &[
                "version",
                "name",
                "processes",
                "environment",
                "env_cmds",
                "vars",
                "disable_env_expansion",
                "extends",
                "is_strict",
                "log_level",
                "log_length",
                "log_location",
                "log_configuration",
                "log_format",
                "shell",
                "ordered_shutdown",
                "is_tui_disabled",
                "mcp_server",
                "file_names",
                "env_file_names",
                "dot_env_vars",
            ],
            Self::Process => &[
                "name",
                "command",
                "entrypoint",
                "args",
                "executable",
                "replica_num",
                "replica_name",
                "original_config",
                "working_dir",
                "environment",
                "env_file",
                "is_dotenv_disabled",
                "vars",
                "is_template_disabled",
                "description",
                "disabled",
                "is_disabled",
                "depends_on",
                "availability",
                "shutdown",
                "readiness_probe",
                "liveness_probe",
                "ready_log_line",
                "success_exit_codes",
                "is_daemon",
                "launch_timeout_seconds",
                "is_foreground",
                "is_tty",
                "is_interactive",
                "is_elevated",
                "namespace",
                "replicas",
                "schedule",
                "watch",
                "mcp",
                "log_location",
                "log_configuration",
                "disable_ansi_colors",
                "truncate_log",
                "monitor_for",
                "monitor_silence_threshold",
                "extends",
            ],
            Self::Availability => &[
                "restart",
                "backoff_seconds",
                "max_restarts",
                "exit_on_end",
                "exit_on_skipped",
            ],
            Self::Shutdown => &[
                "command",
                "timeout_seconds",
                "signal",
                "parent_only",
                "send_keys",
            ],
            Self::Probe => &[
                "exec",
                "http_get",
                "initial_delay_seconds",
                "period_seconds",
                "timeout_seconds",
                "success_threshold",
                "failure_threshold",
            ],
            Self::Exec => &["command", "working_dir"],
            Self::HttpGet => &[
                "host",
                "scheme",
                "path",
                "port",
                "num_port",
                "headers",
                "status_code",
            ],
            Self::Dependency => &["condition"],
            Self::Log => &[
                "rotation",
                "fields_order",
                "disable_json",
                "timestamp_format",
                "no_color",
                "no_metadata",
                "add_timestamp",
                "flush_each_line",
            ],
            Self::Rotation => &[
                "directory",
                "filename",
                "max_size_mb",
                "max_backups",
                "max_age_days",
                "compress",
            ],
            Self::Schedule => &[
                "cron",
                "timezone",
                "interval",
                "run_on_start",
                "max_concurrent",
            ],
            Self::Watch => &[
                "paths",
                "debounce",
                "cascade",
                "max_entries",
                "buffer_size",
                "disable_default_excludes",
            ],
            Self::WatchPath => &["path", "include", "exclude"],
            Self::Shell => &[
                "shell_command",
                "shell_argument",
                "elevated_shell_command",
                "elevated_shell_argument",
            ],
            Self::Mcp => &["type", "arguments", "timeout"],
        }
    }

    /// The key itself, if any block has it.
    pub(super) fn key(text: &str) -> Option<&'static str> {
        let mut keys = Self::ALL.into_iter().flat_map(|block| block.keys());
        keys.find(|key| **key == text).copied()
    }

    const ALL: [Self; 15] = [
        Self::Process,
        Self::Availability,
        Self::Shutdown,
        Self::Probe,
        Self::HttpGet,
        Self::Exec,
        Self::Dependency,
        Self::Log,
        Self::Rotation,
        Self::Schedule,
        Self::Watch,
        Self::WatchPath,
        Self::Shell,
        Self::Project,
        Self::Mcp,
    ];
}

/// What docker compose and others call it, and where it is said here.
const FOREIGN: [(&str, &str); 30] = [
    ("restart", "write `availability: {restart: …}`"),
    (
        "restart_policy",
        "write `availability: {restart: …}` in the process",
    ),
    ("env", "the key is called `environment`"),
    ("envs", "the key is called `environment`"),
    ("env_vars", "the key is called `environment`"),
    (
        "env_files",
        "the key is called `env_file`, and names one file",
    ),
    (
        "ports",
        "a process needs none; wait for a port with `readiness_probe: {http_get: …}`",
    ),
    (
        "port",
        "a process needs none; wait for a port with `readiness_probe: {http_get: …}`",
    ),
    (
        "profiles",
        "write `namespace: …` and choose with `-n NAMESPACE`",
    ),
    (
        "healthcheck",
        "write `readiness_probe: {exec: {command: …}}`",
    ),
    (
        "health_check",
        "write `readiness_probe: {exec: {command: …}}`",
    ),
    ("readiness", "the key is called `readiness_probe`"),
    ("liveness", "the key is called `liveness_probe`"),
    (
        "startup_probe",
        "there is none; `readiness_probe` with `initial_delay_seconds` comes near",
    ),
    ("cwd", "the key is called `working_dir`"),
    ("workdir", "the key is called `working_dir`"),
    ("working_directory", "the key is called `working_dir`"),
    ("dir", "the key is called `working_dir`"),
    ("cmd", "the key is called `command`"),
    ("run", "the key is called `command`"),
    ("log", "the key is called `log_location`"),
    ("logs", "the key is called `log_location`"),
    ("logging", "the key is called `log_configuration`"),
    ("needs", "the key is called `depends_on`"),
    ("dependencies", "the key is called `depends_on`"),
    ("user", "process-compose has no such key; pk.yaml has"),
    ("volumes", "processes are not containers: there is none"),
    (
        "image",
        "processes are not containers: write `command: docker run …`",
    ),
    ("tty", "the key is called `is_tty`"),
    ("daemon", "the key is called `is_daemon`"),
];

/// The keys of one map.
pub(super) struct Fields<'n> {
    pub map: &'n Map,
    pub block: Block,
}

impl<'n> Fields<'n> {
    /// `None`: it is no map, which a diagnostic says.
    pub(super) fn of(node: &'n Node, block: Block, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            let name = block.name();
            cx.say(
                Diagnostic::structure(
                    node.span,
                    format!("expected a map for {name}, found {}", node.describe()),
                )
                .label("expected a map"),
            );
            return None;
        };
        Some(Self { map, block })
    }

    /// Warns of what has no meaning here; in a strict file it is an error.
    pub(super) fn warn_unknown(&self, strict: bool, cx: &mut Cx<'_>) {
        for entry in &self.map.entries {
            if self.block.keys().contains(&&*entry.key) || entry.key.starts_with("x-") {
                continue;
            }
            let message = format!("unknown key {} in {}", quoted(&entry.key), self.block.name());
            let strict = strict && matches!(self.block, Block::Project | Block::Process);
            let diagnostic = if strict {
                Diagnostic::structure(entry.key_span, message)
            } else {
                Diagnostic::warning(entry.key_span, message)
            };
            let help = self.meant(&entry.key, cx);
            let label = if strict {
                "refused because of `is_strict`"
            } else {
                "it has no effect"
            };
            cx.say(diagnostic.label(label).maybe_help(help));
        }
    }

    fn meant(&self, key: &str, cx: &mut Cx<'_>) -> Option<String> {
        let process = self.block == Block::Process;
        if process && let Some((_, help)) = FOREIGN.iter().find(|(other, _)| *other == key) {
            return Some((*help).to_owned());
        }
        let home = Block::ALL
            .into_iter()
            .find(|block| *block != self.block && block.keys().contains(&key));
        if let Some(home) = home {
            let place = match home {
                Block::Process => "the process itself, one level up".to_owned(),
                Block::Project => "the top of the file".to_owned(),
                other => other.name().to_owned(),
            };
            return Some(format!("`{key}` belongs to {place}"));
        }
        let keys = self.block.keys();
        if let Some(meant) = cx.suggest(|| closest(key, keys.iter().copied()).map(str::to_owned)) {
            return Some(format!("did you mean `{meant}`?"));
        }
        if let Some((_, help)) = FOREIGN.iter().find(|(other, _)| *other == key) {
            return Some((*help).to_owned());
        }
        cx.listed
            .insert(keys.first().copied().unwrap_or_default())
            .then(|| {
                format!(
                    "{} has {}",
                    self.block.name(),
                    one_of(keys.iter().copied()).replace(" or ", " and ")
                )
            })
    }

    /// A key with a value other than null.
    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        debug_assert!(self.block.keys().contains(&key), "{key}");
        self.map.get(key).filter(|entry| !entry.value.is_null())
    }

    pub(super) fn text(&self, key: &str, cx: &mut Cx<'_>) -> Option<Word> {
        let entry = self.get(key)?;
        let scalar = scalar(&entry.value, "a text", cx)?;
        Some(given(entry, scalar.text.clone()))
    }

    pub(super) fn flag(&self, key: &str, cx: &mut Cx<'_>) -> Option<Given<bool>> {
        let entry = self.get(key)?;
        let scalar = scalar(&entry.value, "`true` or `false`", cx)?;
        let Some(value) = truth(&scalar.text) else {
            cx.say(mismatch(&entry.value, "`true` or `false`"));
            return None;
        };
        warn_of_quotes(entry, scalar, cx);
        Some(given(entry, value))
    }

    pub(super) fn is(&self, key: &str, cx: &mut Cx<'_>) -> bool {
        self.flag(key, cx).is_some_and(|flag| flag.value)
    }

    pub(super) fn int(&self, key: &str, cx: &mut Cx<'_>) -> Option<Given<i64>> {
        let entry = self.get(key)?;
        let value = integer(entry, &entry.value, cx)?;
        Some(given(entry, value))
    }

    /// A number that is not negative, capped; `None` if it is 0 or less.
    pub(super) fn count(&self, key: &str, cx: &mut Cx<'_>) -> Option<u32> {
        let number = self.int(key, cx)?.value;
        u32::try_from(number).ok().filter(|&number| number > 0)
    }

    pub(super) fn block(&self, key: &str, block: Block, cx: &mut Cx<'_>) -> Option<(Span, Self)> {
        let entry = self.get(key)?;
        let fields = Self::of(&entry.value, block, cx)?;
        fields.warn_unknown(false, cx);
        Some((entry.key_span, fields))
    }

    /// A list of texts; one text counts as a list of one.
    pub(super) fn texts(&self, key: &str, cx: &mut Cx<'_>) -> Option<Vec<Word>> {
        let entry = self.get(key)?;
        let items = match &entry.value.value {
            Value::Seq(items) => &items[..],
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(&entry.value),
        };
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            if let Some(scalar) = scalar(item, "a text", cx) {
                out.push(Given {
                    key: entry.key_span,
                    span: item.span,
                    value: scalar.text.clone(),
                });
            }
        }
        Some(out)
    }
}

fn given<T>(entry: &Entry, value: T) -> Given<T> {
    Given {
        key: entry.key_span,
        span: entry.value.span,
        value,
    }
}

pub(super) fn mismatch(node: &Node, expected: &str) -> Diagnostic {
    Diagnostic::structure(
        node.span,
        format!("expected {expected}, found {}", node.describe()),
    )
    .label(format!("expected {expected}"))
}

pub(super) fn scalar<'n>(node: &'n Node, expected: &str, cx: &mut Cx<'_>) -> Option<&'n Scalar> {
    if let Value::Scalar(scalar) = &node.value {
        return Some(scalar);
    }
    cx.say(mismatch(node, expected));
    None
}

pub(super) fn truth(text: &str) -> Option<bool> {
    parse_bool(text).or_else(|| match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some(true),
        "no" | "n" | "off" | "false" => Some(false),
        _ => None,
    })
}

pub(super) fn integer(entry: &Entry, node: &Node, cx: &mut Cx<'_>) -> Option<i64> {
    let scalar = scalar(node, "a whole number", cx)?;
    let text = scalar.text.trim();
    let whole = parse_int(text).or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i128)
    });
    let Some(whole) = whole.and_then(|whole| i64::try_from(whole).ok()) else {
        cx.say(mismatch(node, "a whole number"));
        return None;
    };
    warn_of_quotes(entry, scalar, cx);
    Some(whole)
}

fn warn_of_quotes(entry: &Entry, scalar: &Scalar, cx: &mut Cx<'_>) {
    if !scalar.plain {
        cx.say(
            Diagnostic::warning(
                entry.value.span,
                format!("the value of {} is in quotes", quoted(&entry.key)),
            )
            .label("process-compose itself refuses this")
            .help("remove the quotes"),
        );
    }
}
