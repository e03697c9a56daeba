//! What an agent may ask, and in which words.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::args::Awaited;
use super::super::log_args::{LogLevel, LogStream};

/// Each tool by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    List,
    Explain,
    Logs,
    Search,
    Wait,
    Start,
    Stop,
    Restart,
    RunTask,
}

const ALL: [Name; 9] = [
    Name::List,
    Name::Explain,
    Name::Logs,
    Name::Search,
    Name::Wait,
    Name::Start,
    Name::Stop,
    Name::Restart,
    Name::RunTask,
];

/// Those that there are, or, without control, those that change nothing.
pub(super) fn offered(control: bool) -> impl Iterator<Item = Name> {
    ALL.into_iter()
        .filter(move |name| control || !name.changes())
}

impl Name {
    pub fn find(text: &str) -> Option<Self> {
        ALL.into_iter().find(|name| name.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Explain => "explain",
            Self::Logs => "logs",
            Self::Search => "search",
            Self::Wait => "wait",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::RunTask => "run_task",
        }
    }

    /// Whether it changes the stack.
    pub fn changes(self) -> bool {
        match self {
            Self::List | Self::Explain | Self::Logs | Self::Search | Self::Wait => false,
            Self::Start | Self::Stop | Self::Restart | Self::RunTask => true,
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::List => {
                "All units (services and tasks) of the development stack that runs in this \
                 folder: state, process, restarts, the ports they really listen on."
            }
            Self::Explain => {
                "Why a unit is as it is: what it waits for, why it failed or was skipped, how it \
                 is restarted and stopped."
            }
            Self::Logs => {
                "The newest lines that units wrote, oldest first: time, unit, `|` for stdout or \
                 `!` for stderr, text."
            }
            Self::Search => {
                "The newest lines of all that is kept which a regular expression matches, \
                 oldest first."
            }
            Self::Wait => {
                "Waits until units are ready (or started, completed, succeeded, stopped), and \
                 says how they are then."
            }
            Self::Start => "Starts units, with what they require.",
            Self::Stop => "Stops units, and waits until nothing of them is left.",
            Self::Restart => "Stops units and starts them again.",
            Self::RunTask => {
                "Runs a task of the stack once more, waits for its end, and gives its outcome \
                 and what it wrote."
            }
        }
    }

    fn schema(self) -> Result<Arc<JsonObject>, String> {
        match self {
            Self::List => schema_for_input::<List>(),
            Self::Explain => schema_for_input::<Explain>(),
            Self::Logs => schema_for_input::<Logs>(),
            Self::Search => schema_for_input::<Search>(),
            Self::Wait => schema_for_input::<Wait>(),
            Self::Start | Self::Restart => schema_for_input::<Act>(),
            Self::Stop => schema_for_input::<Stop>(),
            Self::RunTask => schema_for_input::<RunTask>(),
        }
    }

    /// As agents see it.
    pub fn tool(self) -> Option<Tool> {
        let schema = self.schema().ok()?;
        let hints = ToolAnnotations::new()
            .read_only(!self.changes())
            .destructive(matches!(self, Self::Stop | Self::Restart))
            .open_world(false);
        Some(Tool::new(self.as_str(), self.says(), schema).with_annotations(hints))
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Units or instances: names, globs (api-*), or @PROFILE. Left out: all.
    #[serde(default)]
    pub units: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Explain {
    /// The unit. Left out: all.
    #[serde(default)]
    pub unit: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// Units or instances: names, globs (api-*), or @PROFILE. Left out: all.
    #[serde(default)]
    pub units: Vec<String>,
    /// At most so many lines: 1 to 1000, 100 if left out.
    #[serde(default)]
    pub last: Option<u32>,
    /// Only lines from then on: 5m (ago), 14:30, 2026-01-31T14:30.
    #[serde(default)]
    pub since: Option<String>,
    /// Only lines before then.
    #[serde(default)]
    pub until: Option<String>,
    #[serde(default)]
    pub stream: Option<LogStream>,
    /// Only lines that say they are that grave, in JSON or logfmt.
    #[serde(default)]
    pub level: Option<LogLevel>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// A regular expression.
    pub pattern: String,
    #[serde(default)]
    pub ignore_case: bool,
    /// Units or instances: names, globs (api-*), or @PROFILE. Left out: all.
    #[serde(default)]
    pub units: Vec<String>,
    /// At most so many lines: 1 to 1000, 100 if left out.
    #[serde(default)]
    pub last: Option<u32>,
    /// Only lines from then on: 5m (ago), 14:30, 2026-01-31T14:30.
    #[serde(default)]
    pub since: Option<String>,
    /// Only lines before then.
    #[serde(default)]
    pub until: Option<String>,
    #[serde(default)]
    pub stream: Option<LogStream>,
    /// Only lines that say they are that grave, in JSON or logfmt.
    #[serde(default)]
    pub level: Option<LogLevel>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// Units or instances: names, globs (api-*), or @PROFILE.
    pub units: Vec<String>,
    /// What to wait for: ready if left out.
    #[serde(default, rename = "for")]
    pub state: Option<Awaited>,
    /// Give up after so long: 30s, 2m; 60s if left out, 10m at most.
    #[serde(default)]
    pub timeout: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// Units or instances: names, globs (api-*), or @PROFILE.
    pub units: Vec<String>,
    /// Wait until they are ready, or have failed: true if left out.
    #[serde(default)]
    pub wait: Option<bool>,
    /// Give up waiting after so long: 30s, 2m; 60s if left out, 10m at most.
    #[serde(default)]
    pub timeout: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// Units or instances: names, globs (api-*), or @PROFILE.
    pub units: Vec<String>,
    /// Give up waiting after so long: 30s, 2m; 60s if left out, 10m at most.
    #[serde(default)]
    pub timeout: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunTask {
    /// The task.
    pub task: String,
    /// Give up waiting after so long: 30s, 2m; 60s if left out, 10m at most.
    #[serde(default)]
    pub timeout: Option<String>,
    /// At most so many lines of what it wrote: 1 to 1000, 100 if left out.
    #[serde(default)]
    pub last: Option<u32>,
}
