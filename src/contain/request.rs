//! What is to be spawned.

use std::ffi::OsString;
use std::path::PathBuf;

use super::terminal::TerminalRequest;
use super::user::User;

/// One program: a command, or one stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRequest {
    /// The program and its arguments. A program without a `/` is searched in the PATH of the
    /// child's environment; a relative one with a `/` is relative to `working_dir`.
    pub argv: Vec<OsString>,
    /// Laid over the inherited environment; of two entries with one name the later wins.
    pub environment: Vec<(OsString, OsString)>,
    pub working_dir: PathBuf,
}

impl StageRequest {
    /// A program with no variables of its own.
    pub fn new<A: Into<OsString>>(
        argv: impl IntoIterator<Item = A>,
        working_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            working_dir: working_dir.into(),
        }
    }

    /// The same with further variables, which win over those before.
    #[must_use]
    pub fn with_environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment
            .extend(variables.into_iter().map(|(k, v)| (k.into(), v.into())));
        self
    }
}

/// One command, or the stages of a pipeline from left to right.
///
/// The first stage reads `/dev/null` unless the options say otherwise; each further one reads the stdout of the one before it
/// through a kernel pipe. stderr of every stage and stdout of the last one are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnRequest {
    stages: Vec<StageRequest>,
    options: SpawnOptions,
}

/// What the processes of a request are given before they execute their programs. What is left
/// out they inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpawnOptions {
    /// The permissions that files they make do not get (`umask(2)`).
    pub umask: Option<u32>,
    /// From -20, the most favoured, to 19 (`setpriority(2)`). Less than it is takes privilege.
    pub nice: Option<i32>,
    /// How many files each may have open (`RLIMIT_NOFILE`).
    pub nofile: Option<u64>,
    /// As whom they run. Another than oneself takes privilege.
    pub user: Option<User>,
    /// Each leads a session of its own, not only a process group: no terminal is theirs.
    pub session: bool,
    /// They write to a pseudo-terminal instead of pipes, and lead a session of their own. It
    /// is the controlling terminal of the first stage, which reads from it unless it is for
    /// output alone.
    pub terminal: Option<TerminalRequest>,
    /// The first stage reads what is written to a pipe ([`Running::take_input`]) instead of
    /// `/dev/null`. A terminal that is not for output alone takes its place.
    ///
    /// [`Running::take_input`]: super::Running::take_input
    pub input: bool,
}

impl From<&StageRequest> for SpawnRequest {
    fn from(stage: &StageRequest) -> Self {
        Self::command(stage.clone())
    }
}

impl From<&Self> for SpawnRequest {
    fn from(request: &Self) -> Self {
        request.clone()
    }
}

impl SpawnRequest {
    #[must_use]
    pub fn command(stage: StageRequest) -> Self {
        Self::pipeline(vec![stage])
    }

    /// Stages joined by pipes. An empty list is refused when it is spawned.
    #[must_use]
    pub fn pipeline(stages: Vec<StageRequest>) -> Self {
        Self {
            stages,
            options: SpawnOptions::default(),
        }
    }

    /// The same with these options, for every stage.
    #[must_use]
    pub fn with_options(mut self, options: SpawnOptions) -> Self {
        self.options = options;
        self
    }

    #[must_use]
    pub fn stages(&self) -> &[StageRequest] {
        &self.stages
    }

    #[must_use]
    pub fn options(&self) -> &SpawnOptions {
        &self.options
    }
}
