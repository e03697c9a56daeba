//! How a process is written by process-compose: the names and kinds of its JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::state::Namespaces;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessConfig {
    pub name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_daemon: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger_config: Option<LoggerConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    pub restart_policy: RestartConfig,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, DependencyConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<ProbeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<ProbeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_log_line: Option<String>,
    pub shut_down_params: ShutdownConfig,
    pub working_dir: String,
    pub namespace: Namespaces,
    pub replicas: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_foreground: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_tty: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_interactive: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub launch_timeout: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub replica_num: u64,
    pub replica_name: String,
    pub executable: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub success_exit_codes: Vec<i32>,
}

#[derive(Debug, Serialize)]
pub(super) struct LoggerConfig {
    pub rotation: RotationConfig,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RotationConfig {
    #[serde(skip_serializing_if = "is_zero")]
    pub max_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_backups: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestartConfig {
    /// 0 no, 1 always, 2 on failure, 3 the project exits on failure.
    #[serde(skip_serializing_if = "is_zero")]
    pub restart: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub backoff_seconds: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_restarts: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exit_on_end: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exit_on_skipped: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DependencyConfig {
    /// 0 completed, 1 completed successfully, 2 healthy, 3 started, 4 log ready.
    #[serde(skip_serializing_if = "is_zero")]
    pub condition: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProbeConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpConfig>,
    #[serde(skip_serializing_if = "is_zero")]
    pub initial_delay: u64,
    pub period_seconds: u64,
    pub timeout_seconds: u64,
    pub success_threshold: u32,
    pub failure_threshold: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct ExecConfig {
    pub command: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpConfig {
    pub host: String,
    pub path: String,
    pub scheme: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_port: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub status_code: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShutdownConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shut_down_command: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub shut_down_timeout: u64,
    pub signal: i32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parent_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_keys: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ScheduleConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub run_on_start: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct WatchConfig {
    pub paths: Vec<WatchPathConfig>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cascade: bool,
    pub debounce: String,
}

#[derive(Debug, Serialize)]
pub(super) struct WatchPathConfig {
    pub path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
