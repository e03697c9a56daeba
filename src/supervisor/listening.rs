//! What the live runs listen on, looked up when somebody asks.

use super::live_groups::LiveGroups;
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::probe::sockets;

/// Where each of them listens now. One whose members cannot be told is left out.
pub(super) async fn look(groups: &LiveGroups) -> Vec<UnitPorts> {
    let mut members = Vec::new();
    for (run, name, group) in groups.all() {
        if let Ok(of_run) = group.members().await {
            let pids: Vec<u32> = of_run.iter().map(|member| member.pid).collect();
            members.push((run, name, pids));
        }
    }
    let looked = tokio::task::spawn_blocking(move || {
        let all = sockets::listeners();
        let ports = |pids: &[u32]| {
            let mut ports: Vec<ListeningPort> = sockets::held_by(&all, pids)
                .into_iter()
                .map(|listener| ListeningPort {
                    port: listener.port,
                    address: listener.address.to_string(),
                })
                .collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        let units = members.into_iter().map(|(run, name, pids)| UnitPorts {
            instance: run.instance,
            name,
            listening: ports(&pids),
        });
        units.collect()
    });
    looked.await.unwrap_or_default()
}
