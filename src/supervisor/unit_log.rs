//! From a spec to what the log store should know of an instance.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::domain::id::UnitName;
use crate::domain::known::is_known_secret;
use crate::domain::spec::{Program, UnitSpec};
use crate::logs::{Masks, PlainCopy, UnitLog};

/// When `logs.file` is rotated, unless the file says otherwise; in bytes.
const MAX_SIZE: u64 = 100 << 20;

/// How many rotated files are kept, unless the file says otherwise.
const MAX_FILES: u32 = 3;

/// What `logs` and the environment of a unit ask for. `environment` is what it gets beyond
/// pk's own.
///
/// # Errors
/// A regular expression of `logs.redact` is none, or they are too large.
pub(super) fn unit_log(
    name: &UnitName,
    spec: &UnitSpec,
    environment: &[(OsString, OsString)],
) -> Result<UnitLog, String> {
    let mut secrets = Vec::new();
    let mut add = |name: &OsStr, value: &OsStr| {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
            && is_known_secret(name, value)
        {
            secrets.push(value.to_owned());
        }
    };
    for (name, value) in std::env::vars_os() {
        add(&name, &value);
    }
    for (name, value) in environment {
        add(name, value);
    }
    if let Program::Pipeline(stages) = &spec.program {
        for (name, value) in stages.iter().flat_map(|stage| &stage.environment) {
            add(name.as_ref(), value.as_ref());
        }
    }
    let redact: Vec<String> = (spec.logs.redact.iter())
        .map(|pattern| pattern.0.clone())
        .collect();
    let masks = Masks::new(&secrets, &redact).map_err(|error| format!("logs.redact: {error}"))?;
    let copy = spec.logs.file.as_ref().map(|file| PlainCopy {
        file: file.clone(),
        max_size: spec.logs.max_size.unwrap_or(MAX_SIZE),
        max_files: spec.logs.max_files.unwrap_or(MAX_FILES),
    });
    Ok(UnitLog {
        name: name.clone(),
        masks: (!masks.is_empty()).then(|| Arc::new(masks)),
        copy,
    })
}
