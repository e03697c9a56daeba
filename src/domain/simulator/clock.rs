//! The simulated clocks of units with a schedule.

use crate::domain::effect::Effect;
use crate::domain::id::UnitName;
use crate::domain::schedule::{self, Alarm};
use crate::domain::time::Instant;

use super::world::{Next, World};

impl World {
    /// Which clocks run after these effects.
    pub fn note_alarms(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Schedule { unit, number, .. } = effect {
                self.alarms.insert(unit.clone(), *number);
            } else if let Effect::Unschedule { unit } = effect {
                self.alarms.remove(unit);
            }
        }
    }

    /// Sets the alarm of a unit. What was on its way comes all the same, and is stale.
    pub fn set_alarm(&mut self, unit: &UnitName, number: u64, alarm: &Alarm) {
        let at = match alarm {
            Alarm::At(at) => {
                let at = u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX);
                at.saturating_add_signed(-self.skew)
            }
            Alarm::Cron { .. } => {
                let at = self.clock + self.rng.u64(1..4000);
                let never = self.rng.u8(..20) == 0;
                let next = Instant::from_millis(at);
                let at_last = (!never).then_some(next);
                let told = schedule::Told::Next {
                    number,
                    at: at_last,
                };
                self.schedule(self.clock + 1, Next::Clock(unit.clone(), told));
                if never {
                    return;
                }
                at
            }
        };
        let told = schedule::Told::Due { number };
        let late = self.rng.u64(1..10);
        self.schedule(at.saturating_add(late), Next::Clock(unit.clone(), told));
    }
}
