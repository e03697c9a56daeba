//! What the units use, and what they used in the last minute.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::theme::Tone;
use crate::domain::id::InstanceId;
use crate::domain::stats::StackStats;

/// Samples that are kept: a minute of them.
const KEPT: usize = 60;

const GLYPHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Of one unit.
#[derive(Clone, Debug, Default)]
pub struct Use {
    /// Percent of one processor; `None` before the second sample.
    pub cpu: Option<f64>,
    /// In bytes.
    pub memory: u64,
    pub memory_peak: u64,
    pub processes: u64,
    /// Percent, oldest first.
    pub cpu_trail: VecDeque<f64>,
    /// Bytes, oldest first.
    pub memory_trail: VecDeque<f64>,
}

/// Of all units.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    units: BTreeMap<InstanceId, Use>,
    pub total: Use,
    /// There was a sample.
    pub is_known: bool,
    /// The last one told anything new.
    pub changed: bool,
}

impl Usage {
    #[must_use]
    pub fn of(&self, id: InstanceId) -> Option<&Use> {
        self.units.get(&id)
    }

    /// Takes a sample in; units that are not in it use nothing. Whether it changed anything.
    pub fn sampled(&mut self, stats: &StackStats) -> bool {
        // A receiver begins with none.
        if stats.runs.is_empty() && !self.is_known {
            return false;
        }
        let was_known = std::mem::replace(&mut self.is_known, true);
        let there: BTreeSet<InstanceId> = stats.runs.iter().map(|run| run.instance).collect();
        let before = self.units.len();
        self.units.retain(|id, _| there.contains(id));
        let mut changed = !was_known || self.units.len() != before;
        let mut total = Use::default();
        for run in &stats.runs {
            let unit = self.units.entry(run.instance).or_default();
            changed |= (unit.cpu, unit.memory, unit.processes)
                != (run.cpu_percent, run.memory, run.processes);
            changed |= unit.memory_peak != run.memory_peak;
            unit.cpu = run.cpu_percent;
            unit.memory = run.memory;
            unit.memory_peak = run.memory_peak;
            unit.processes = run.processes;
            changed |= keep(&mut unit.cpu_trail, run.cpu_percent.unwrap_or(0.0));
            changed |= keep(&mut unit.memory_trail, run.memory as f64);
            total.cpu = Some(total.cpu.unwrap_or(0.0) + run.cpu_percent.unwrap_or(0.0));
            total.memory += run.memory;
            total.processes += run.processes;
        }
        total.cpu_trail = std::mem::take(&mut self.total.cpu_trail);
        total.memory_trail = std::mem::take(&mut self.total.memory_trail);
        changed |= keep(&mut total.cpu_trail, total.cpu.unwrap_or(0.0));
        changed |= keep(&mut total.memory_trail, total.memory as f64);
        self.total = total;
        changed
    }
}

/// Whether the trail looks otherwise with the value.
fn keep(trail: &mut VecDeque<f64>, value: f64) -> bool {
    let is_full = trail.len() >= KEPT;
    if is_full {
        trail.pop_front();
    }
    trail.push_back(value);
    // One that stands still is all of one value.
    !is_full || trail.iter().any(|other| *other != value)
}

/// The last values as a line of bars; the highest of them, or `full`, is a whole bar.
#[must_use]
pub fn sparkline(trail: &VecDeque<f64>, columns: usize, full: f64) -> String {
    let most = trail
        .iter()
        .copied()
        .fold(full, f64::max)
        .max(f64::MIN_POSITIVE);
    let shown = trail.iter().skip(trail.len().saturating_sub(columns));
    let bars: String = shown
        .map(|value| GLYPHS[((value / most * 7.0).round() as usize).min(7)])
        .collect();
    format!("{bars:>columns$}")
}

/// Of one processor.
#[must_use]
pub fn percent(cpu: f64) -> String {
    if cpu < 9.95 {
        format!("{cpu:.1}%")
    } else {
        format!("{cpu:.0}%")
    }
}

/// Bytes in at most five columns.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "K", "M", "G"] {
        if value < 999.5 {
            return if value < 9.95 && unit != "B" {
                format!("{value:.1}{unit}")
            } else {
                format!("{value:.0}{unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}

/// Whether that much of a processor is worth a look.
#[must_use]
pub fn cpu_tone(cpu: f64) -> Tone {
    match cpu {
        90.0.. => Tone::Bad,
        50.0.. => Tone::Warning,
        1.0.. => Tone::Plain,
        _ => Tone::Dim,
    }
}

/// Whether that much memory is: near its limit, or, without one, much for a machine on
/// which people work.
#[must_use]
pub fn memory_tone(memory: u64, limit: Option<u64>) -> Tone {
    let share = memory as f64 / limit.unwrap_or(2 << 30) as f64;
    match share {
        0.9.. => Tone::Bad,
        0.6.. => Tone::Warning,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_a_stack_that_rests_changes_nothing() {
        let stats = |cpu| {
            serde_json::from_value(serde_json::json!({
                "at": "1s", "runs": [{
                    "instance": 1, "name": "a", "attempt": 1, "cpu_time": "1s",
                    "cpu_percent": cpu, "memory": 5, "memory_peak": 5, "processes": 1,
                }],
            }))
            .unwrap()
        };
        let mut usage = Usage::default();
        for _ in 0..=KEPT {
            assert!(usage.sampled(&stats(0.5)));
            assert!(usage.sampled(&stats(0.0)));
        }
        for _ in 0..KEPT {
            usage.sampled(&stats(0.0));
        }
        assert!(!usage.sampled(&stats(0.0)));
        assert!(usage.sampled(&stats(0.1)));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(percent(0.04), "0.0%");
        assert_eq!(percent(9.96), "10%");
        assert_eq!(percent(134.4), "134%");
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(1536), "1.5K");
        assert_eq!(bytes(12 << 20), "12M");
        assert_eq!(bytes(1023 << 20), "1.0G");
        let trail = VecDeque::from([0.0, 50.0, 100.0]);
        assert_eq!(sparkline(&trail, 5, 100.0), "  ▁▅█");
        assert_eq!(sparkline(&trail, 2, 100.0), "▅█");
    }
}
