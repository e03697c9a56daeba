//! Succeeds when a member of the run's own group listens on a port: a stranger that happens
//! to listen there is not the unit.

use std::sync::Arc;

use super::{ProbeResult, sockets};
use crate::contain::Group;

pub(super) async fn check(port: u16, group: Option<&Arc<Group>>) -> ProbeResult {
    let Some(group) = group else {
        return ProbeResult::Failure("it has not been started".to_owned());
    };
    let members = match group.members().await {
        Ok(members) => members,
        Err(error) => return ProbeResult::Failure(format!("cannot tell its members: {error}")),
    };
    let pids: Vec<u32> = members.iter().map(|member| member.pid).collect();
    let looked = tokio::task::spawn_blocking(move || look(port, &pids)).await;
    looked.unwrap_or_else(|_| ProbeResult::Failure("it was interrupted".to_owned()))
}

fn look(port: u16, pids: &[u32]) -> ProbeResult {
    let mut there = sockets::listeners();
    there.retain(|listener| listener.port == port);
    if there.is_empty() {
        return ProbeResult::Failure(format!("nothing listens on port {port}"));
    }
    if !sockets::held_by(&there, pids).is_empty() {
        return ProbeResult::Success;
    }
    let who = sockets::holder(&there).map_or_else(
        || "a process of another user".to_owned(),
        |pid| format!("pid {pid}"),
    );
    ProbeResult::Failure(format!(
        "{who} listens on port {port}, which is no process of this unit"
    ))
}
