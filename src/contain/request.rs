//! What is to be spawned.

use std::ffi::OsString;
use std::path::PathBuf;

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
/// The first stage reads `/dev/null`; each further one reads the stdout of the one before it
/// through a kernel pipe. stderr of every stage and stdout of the last one are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnRequest {
    stages: Vec<StageRequest>,
}

impl SpawnRequest {
    #[must_use]
    pub fn command(stage: StageRequest) -> Self {
        Self {
            stages: vec![stage],
        }
    }

    /// Stages joined by pipes. An empty list is refused when it is spawned.
    #[must_use]
    pub fn pipeline(stages: Vec<StageRequest>) -> Self {
        Self { stages }
    }

    #[must_use]
    pub fn stages(&self) -> &[StageRequest] {
        &self.stages
    }
}
