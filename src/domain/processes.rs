//! The processes of a run, and what holds them, as faces see it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::duration;

/// By what the processes of all units are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Held {
    /// `cgroup v2`, `keeper`, `pid namespace` or `process group`.
    pub mechanism: String,
    /// What is used, why, and what it cannot see: one line for people.
    pub description: String,
}

/// A living member of a run's group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitProcess {
    pub pid: u32,
    pub parent: u32,
    /// As the kernel shows it: at most 15 bytes.
    pub name: String,
    /// Processor time so far, with that of children that it has waited for.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub cpu_time: Duration,
    /// Resident, in bytes.
    pub memory: u64,
}

/// The processes as a tree, each with how deep it stands: children follow their parent. One
/// whose parent is no member stands at the top.
#[must_use]
pub fn tree(processes: &[UnitProcess]) -> Vec<(usize, &UnitProcess)> {
    let is_member = |pid| processes.iter().any(|process| process.pid == pid);
    let mut sorted: Vec<&UnitProcess> = processes.iter().collect();
    sorted.sort_by_key(|process| process.pid);
    // The last one is taken first.
    let mut left: Vec<(usize, &UnitProcess)> = (sorted.iter().rev())
        .filter(|process| process.parent == process.pid || !is_member(process.parent))
        .map(|process| (0, *process))
        .collect();
    let mut found = Vec::with_capacity(processes.len());
    while let Some((depth, process)) = left.pop() {
        found.push((depth, process));
        let children = sorted
            .iter()
            .rev()
            .filter(|child| child.parent == process.pid && child.pid != process.pid);
        left.extend(children.map(|child| (depth + 1, *child)));
        // Numbers that were given anew while the table was read may go round.
        if found.len() > processes.len() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> UnitProcess {
        UnitProcess {
            pid,
            parent,
            name: format!("p{pid}"),
            cpu_time: Duration::ZERO,
            memory: 0,
        }
    }

    #[test]
    fn children_follow_their_parents() {
        let processes = [
            process(20, 10),
            process(10, 1),
            process(30, 1),
            process(21, 20),
            process(11, 10),
        ];
        let shown: Vec<(usize, u32)> = (tree(&processes).iter())
            .map(|(depth, process)| (*depth, process.pid))
            .collect();
        assert_eq!(shown, [(0, 10), (1, 11), (1, 20), (2, 21), (0, 30)]);
        assert!(tree(&[process(1, 2), process(2, 1)]).is_empty());
        assert_eq!(tree(&[process(1, 1)]).len(), 1);
    }
}
