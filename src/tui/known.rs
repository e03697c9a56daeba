//! What a face must ask for to know: processes, watches, ports. Pure.
//!
//! Looked up only while it is shown, and anew with each sample of what the units use.

use std::collections::BTreeMap;

use super::msg::Effect;
use crate::control::UnitWatch;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::domain::processes::UnitProcess;
use crate::domain::time::Instant;

/// The processes of a unit, and what each used of a processor since the look before.
#[derive(Clone, Debug)]
pub struct Processes {
    of: InstanceId,
    at: Instant,
    pub all: Vec<UnitProcess>,
    /// Percent of one processor, by pid.
    percent: BTreeMap<u32, f64>,
}

impl Processes {
    #[must_use]
    pub fn percent(&self, pid: u32) -> Option<f64> {
        self.percent.get(&pid).copied()
    }
}

/// All that is known so.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Of the unit that the details are of now.
    of: Option<(InstanceId, UnitName)>,
    processes: Option<Processes>,
    watch: Option<UnitWatch>,
    listening: BTreeMap<InstanceId, Vec<ListeningPort>>,
}

impl Known {
    /// The details are of that unit now, if they are shown: asks for what is not known.
    pub fn show(&mut self, of: Option<(InstanceId, UnitName)>, effects: &mut Vec<Effect>) {
        if self.of == of {
            return;
        }
        self.of = of;
        (self.processes, self.watch) = (None, None);
        self.look(effects);
    }

    /// Asks for it anew.
    pub fn look(&self, effects: &mut Vec<Effect>) {
        if let Some((id, unit)) = &self.of {
            effects.push(Effect::Processes(*id));
            effects.push(Effect::Watched(unit.clone()));
            effects.push(Effect::Listening);
        }
    }

    /// Takes the processes of a unit.
    pub fn found(&mut self, of: InstanceId, at: Instant, all: Vec<UnitProcess>) {
        if self.of.as_ref().is_none_or(|(id, _)| *id != of) {
            return;
        }
        let before = self.processes.take().filter(|before| before.of == of);
        let percent = before.map_or_else(BTreeMap::new, |before| {
            let passed = at.since(before.at).as_secs_f64();
            let used = all.iter().filter_map(|process| {
                let was = before.all.iter().find(|other| other.pid == process.pid)?;
                let used = process.cpu_time.saturating_sub(was.cpu_time);
                Some((process.pid, used.as_secs_f64() / passed * 100.0))
            });
            used.filter(|(_, percent)| percent.is_finite()).collect()
        });
        self.processes = Some(Processes {
            of,
            at,
            all,
            percent,
        });
    }

    pub fn watched(&mut self, of: &UnitName, watch: UnitWatch) {
        if self.of.as_ref().is_some_and(|(_, unit)| unit == of) {
            self.watch = Some(watch);
        }
    }

    pub fn listen(&mut self, ports: Vec<UnitPorts>) {
        self.listening = (ports.into_iter())
            .map(|ports| (ports.instance, ports.listening))
            .collect();
    }

    #[must_use]
    pub fn processes(&self) -> Option<&Processes> {
        self.processes.as_ref()
    }

    #[must_use]
    pub fn watch(&self) -> Option<&UnitWatch> {
        self.watch.as_ref()
    }

    #[must_use]
    pub fn listening(&self, of: InstanceId) -> &[ListeningPort] {
        self.listening.get(&of).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_process_used_since_is_told_by_two_looks() {
        let id = InstanceId(1);
        let process = |cpu| UnitProcess {
            pid: 7,
            parent: 1,
            name: "p".into(),
            cpu_time: Duration::from_millis(cpu),
            memory: 0,
        };
        let mut known = Known::default();
        let mut effects = Vec::new();
        known.show(Some((id, "unit".into())), &mut effects);
        assert!(matches!(effects[0], Effect::Processes(InstanceId(1))));
        known.found(InstanceId(2), Instant::START, vec![process(0)]);
        assert!(known.processes().is_none(), "of another unit");
        known.found(id, Instant::from_millis(1000), vec![process(100)]);
        assert_eq!(known.processes().unwrap().percent(7), None);
        known.found(id, Instant::from_millis(2000), vec![process(600)]);
        assert_eq!(known.processes().unwrap().percent(7), Some(50.0));
    }
}
