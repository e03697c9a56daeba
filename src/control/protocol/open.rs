//! What streams have written since their last line ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::{Attempt, InstanceId, RunId, UnitName};
use crate::logs::{OpenLine, Origin, Stream};

/// What a stream has written since its last line ended: a prompt, perhaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OpenText {
    /// The instance's name.
    pub unit: UnitName,
    pub instance: InstanceId,
    pub attempt: Attempt,
    /// Of a pipeline, from 0.
    pub stage: u16,
    pub stream: Stream,
    /// When its first byte was read.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Whoever has seen a line of this stream with this `seq` or a higher one has seen the end
    /// of this one.
    pub after: u64,
    /// At most its last 64 KiB, without what may be the beginning of something to be masked.
    pub text: String,
}

impl OpenText {
    /// Of the instance of that name.
    #[must_use]
    pub fn new(line: &OpenLine, unit: UnitName) -> Self {
        let Origin { run, stage, stream } = line.origin;
        Self {
            unit,
            instance: run.instance,
            attempt: run.attempt,
            stage,
            stream,
            since: line.since,
            after: line.after,
            text: String::from_utf8_lossy(&line.bytes).into_owned(),
        }
    }

    /// As the store of the stack has it.
    #[must_use]
    pub fn open_line(self) -> OpenLine {
        OpenLine {
            origin: Origin {
                run: RunId {
                    instance: self.instance,
                    attempt: self.attempt,
                },
                stage: self.stage,
                stream: self.stream,
            },
            since: self.since,
            after: self.after,
            is_settled: true,
            bytes: self.text.into(),
        }
    }
}

/// What all streams have open at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OpenTexts {
    pub open: Vec<OpenText>,
}

impl OpenTexts {
    /// As the store of the stack has them.
    #[must_use]
    pub fn open_lines(self) -> Vec<OpenLine> {
        self.open.into_iter().map(OpenText::open_line).collect()
    }
}

/// Whose open lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenQuery {
    /// Units or instances by name, with commas between; left out: all, also later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
}
