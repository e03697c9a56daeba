//! What a stream has written since its last line ended, for those who look on.
//!
//! ```text
//!  feed ─► splitter ─► lines ─► store ─► ended: from which number on they tell of the next one
//!              └─► what is begun ─► line: masked, and without what may have to be
//! ```

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::capture::lock;
use super::line::{OpenLine, Origin};
use super::mask::Masks;
use super::splitter::{Batch, Splitter};

/// How much of an open line is shown, in bytes.
pub(super) const SHOWN: usize = 64 << 10;

/// How long a line is open before it is no more taken for one of which the rest is on its way.
const SETTLED: Duration = Duration::from_millis(30);

/// The open line of one stream.
#[derive(Debug)]
pub(super) struct Open {
    pub origin: Origin,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    splitter: Splitter,
    /// Lines that ended before have lower numbers.
    after: u64,
    /// `None`: what is open is not yet known to the store's numbers, or there is nothing.
    began: Option<(Instant, Timestamp)>,
}

impl Open {
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            state: Mutex::default(),
        }
    }

    /// Splits, and says whether something is open then. Where lines ended, [`Open::ended`]
    /// comes next.
    pub fn feed(&self, bytes: &[u8], take: &mut dyn FnMut(Batch)) -> bool {
        let mut state = lock(&self.state);
        let mut ended = false;
        state.splitter.feed(bytes, &mut |batch| {
            ended = true;
            take(batch);
        });
        let open = !state.splitter.partial().is_empty();
        if ended {
            state.began = None;
        } else if open && state.began.is_none() {
            state.began = Some((Instant::now(), Timestamp::now()));
        }
        open
    }

    /// The lines that ended have numbers below `end`.
    pub fn ended(&self, end: u64) {
        let mut state = lock(&self.state);
        state.after = end;
        let open = !state.splitter.partial().is_empty();
        state.began = open.then(|| (Instant::now(), Timestamp::now()));
    }

    /// The last line, if the stream did not end with a newline.
    pub fn finish(&self) -> Option<Batch> {
        lock(&self.state).splitter.finish()
    }

    /// What is open, as it may be shown.
    pub fn line(&self, masks: Option<&Masks>) -> Option<OpenLine> {
        let state = lock(&self.state);
        let partial = state.splitter.partial();
        if partial.is_empty() {
            return None;
        }
        let masks = masks.filter(|masks| masks.redacts());
        let from = match masks {
            // Where it begins decides what is masked.
            Some(_) => 0,
            None => partial.len().saturating_sub(SHOWN),
        };
        let mut bytes = partial[from..].to_vec();
        let (after, began) = (state.after, state.began);
        drop(state);
        if let Some(masks) = masks {
            bytes = masks.shown(&bytes);
            bytes.drain(..bytes.len().saturating_sub(SHOWN));
        }
        (!bytes.is_empty()).then(|| OpenLine {
            origin: self.origin,
            since: began.map_or_else(Timestamp::now, |(_, since)| since),
            after,
            is_settled: began.is_some_and(|(began, _)| began.elapsed() >= SETTLED),
            bytes: bytes.into(),
        })
    }
}
