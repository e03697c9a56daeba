//! What the units' terminals show, and what is typed for them.
//!
//! ```text
//!  runner ─► feed ─► screen, latest output ─► TerminalStream ─► face
//!  runner ◄─ inputs ◄──────── send ◄───────────────────────── face
//! ```
//!
//! This module owns the screen of each instance with `tty: true`, which outlives its runs, and
//! the way of what is typed to the run that is there. It must not touch a descriptor: runners
//! do.

mod alternate;
mod emulator;
pub(super) mod pump;
mod screen;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::domain::id::InstanceId;
use crate::domain::terminal::{TerminalDenial, TerminalSize};
pub use emulator::Emulator;
use screen::Screen;
pub use screen::{TerminalEvent, TerminalStream};

/// What a face has for a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// As typed.
    Bytes(Bytes),
    /// No more will come. A terminal goes on: there it is what Ctrl-D types.
    End,
}

/// How many inputs may wait for a unit to read them.
const WAITING: usize = 64;

/// How long one that finds no room may take.
const ROOM_LIMIT: Duration = Duration::from_secs(3);

/// Those of all instances. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Terminals(Arc<Mutex<HashMap<InstanceId, Place>>>);

#[derive(Debug, Default)]
struct Place {
    screen: Option<Arc<Screen>>,
    input: Option<mpsc::Sender<Input>>,
}

impl Terminals {
    /// The screen of an instance with a terminal: what it shows now, and what comes.
    #[must_use]
    pub fn watch(&self, instance: InstanceId) -> TerminalStream {
        TerminalStream::new(self.screen(instance))
    }

    /// Passes on what is typed for the run of an instance. Resolves once it is on its way.
    ///
    /// # Errors
    /// There is no run that reads, or it does not read.
    pub async fn send(&self, instance: InstanceId, input: Input) -> Result<(), TerminalDenial> {
        let sender = self
            .lock()
            .get(&instance)
            .and_then(|place| place.input.clone());
        let sender = sender.ok_or(TerminalDenial::NotRunning)?;
        match tokio::time::timeout(ROOM_LIMIT, sender.send(input)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(TerminalDenial::NotRunning),
            Err(_) => Err(TerminalDenial::NotReading),
        }
    }

    /// Gives the terminal of an instance another size, in this run and those to come.
    pub fn resize(&self, instance: InstanceId, size: TerminalSize) {
        self.screen(instance).resize(size);
    }

    pub(super) fn screen(&self, instance: InstanceId) -> Arc<Screen> {
        let mut places = self.lock();
        let place = places.entry(instance).or_default();
        Arc::clone(place.screen.get_or_insert_default())
    }

    /// From here on what is typed for the instance comes out of this.
    pub(super) fn take_inputs(&self, instance: InstanceId) -> mpsc::Receiver<Input> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.lock().entry(instance).or_default().input = Some(sender);
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
