//! Who is in the group of a live run, looked up when somebody asks.

use super::live_groups::LiveGroups;
use crate::domain::id::InstanceId;
use crate::domain::processes::UnitProcess;

/// The living members of the run of an instance; none if it does not run.
pub(super) async fn look(groups: &LiveGroups, instance: InstanceId) -> Vec<UnitProcess> {
    let all = groups.all().into_iter();
    let own = all.filter(|(run, ..)| run.instance == instance);
    let mut processes = Vec::new();
    for (.., group) in own {
        // One that cannot be told is most likely just ending.
        let members = group.members().await.unwrap_or_default();
        processes.extend(members.into_iter().map(|member| UnitProcess {
            pid: member.pid,
            parent: member.parent,
            name: member.name,
            cpu_time: member.cpu,
            memory: member.memory,
        }));
    }
    processes
}
