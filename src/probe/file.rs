//! Succeeds when a file exists.

use std::io;
use std::path::Path;

use super::ProbeResult;
use super::connect::reason;

pub(super) async fn check(path: &Path) -> ProbeResult {
    let looked_at = path.to_path_buf();
    // A folder on a network may take any time to answer.
    let found = tokio::task::spawn_blocking(move || std::fs::metadata(looked_at)).await;
    match found.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(_) => ProbeResult::Success,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ProbeResult::Failure(format!("{} does not exist", path.display()))
        }
        Err(error) => ProbeResult::Failure(format!("{}: {}", path.display(), reason(&error))),
    }
}
