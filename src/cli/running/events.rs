//! `pk events`: what has happened in the running stack.

use std::sync::Arc;

use super::args::{Events, Form};
use super::log_lines::{json, write};
use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::plain::{Screen, Story};
use crate::control::protocol::ChangesPage;
use crate::control::wire::{self, EventStream, WireError};
use crate::domain::change::Change;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;

/// As wide as the names that may come.
fn screen(snapshot: &Snapshot, output: &Output) -> Screen {
    let names = snapshot.units.iter().map(|unit| unit.name.clone());
    Screen::new(names, output.out, output.terminal, output.look().columns)
}

pub fn events(place: &Place, args: &Events, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let failed = |error: WireError| reach::failed(&error, output);
        let state = reach::state(&found, output).await?;
        let mut told = Told {
            screen: screen(&state.snapshot, output),
            story: story(&state.snapshot),
            form: args.output,
        };
        if !args.follow {
            let page: ChangesPage = wire::get(&found.socket, "/v1/changes?after=start")
                .await
                .map_err(failed)?;
            let mut out = Vec::new();
            for change in &page.changes {
                told.tell(change, &mut out);
            }
            let _ = write(&out);
            return Ok(End::Fine);
        }
        let path = "/v1/changes/stream?after=start";
        let mut stream = EventStream::open(&found.socket, path)
            .await
            .map_err(failed)?;
        while let Some(event) = stream.next().await {
            let mut out = Vec::new();
            match &*event.name {
                "change" => {
                    if let Ok(change) = serde_json::from_str(&event.data) {
                        told.tell(&change, &mut out);
                    }
                }
                "resync" => output.note("some changes were missed"),
                _ => break,
            }
            if write(&out).is_err() {
                break;
            }
        }
        Ok(End::Fine)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

struct Told {
    screen: Screen,
    story: Option<Story>,
    form: Form,
}

impl Told {
    fn tell(&mut self, change: &Change, out: &mut Vec<u8>) {
        match self.form {
            Form::Json => json(change, out),
            Form::Text => {
                if let Some(said) = self.story.as_mut().and_then(|story| story.tell(change)) {
                    self.screen.said(&said, out);
                }
            }
        }
    }
}

/// What is said of a change needs no plan, but for what a unit waits for.
fn story(snapshot: &Snapshot) -> Option<Story> {
    let plan = Plan::new(snapshot.name.clone(), Vec::new()).ok()?;
    let units = snapshot.units.iter().map(|unit| unit.unit.clone());
    Some(Story::new(Arc::new(plan), units.collect()))
}
