//! Succeeds when a connection is accepted.

use super::ProbeResult;
use super::connect::connect;

pub(super) async fn check(host: &str, port: u16) -> ProbeResult {
    match connect(host, port).await {
        Ok(_) => ProbeResult::Success,
        Err(reason) => ProbeResult::Failure(reason),
    }
}
