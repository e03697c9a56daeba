//! The lines of one instance in memory, as blocks that were appended and are evicted whole.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::line::{LogLine, Origin};
use super::splitter::Batch;

/// Lines that came in one chunk: they share origin, time and memory.
#[derive(Debug)]
pub(super) struct Block {
    /// Of its first line over all instances; the others follow without a hole.
    pub seq: u64,
    /// Of its first line among those of its instance.
    pub ordinal: u64,
    pub origin: Origin,
    pub time: Timestamp,
    pub batch: Batch,
}

impl Block {
    /// The memory it takes, in bytes: its lines and what is kept about them.
    pub fn cost(&self) -> usize {
        // Beside the block itself the counts of the `Arc`, its place in the ring, and what
        // the allocator adds to its three pieces.
        const BESIDE: usize = 2 * size_of::<usize>() + size_of::<Arc<Block>>() + 3 * 16;
        self.batch.cost() + size_of::<Self>() + BESIDE
    }

    pub fn len(&self) -> u64 {
        self.batch.len() as u64
    }

    /// Its lines from `skip` on.
    pub fn lines(&self, skip: u64) -> impl DoubleEndedIterator<Item = LogLine> + '_ {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        (skip.min(self.batch.len())..self.batch.len()).filter_map(|index| {
            let (bytes, cut) = self.batch.line(index)?;
            Some(LogLine {
                seq: self.seq + index as u64,
                origin: self.origin,
                time: self.time,
                bytes,
                cut,
            })
        })
    }
}

/// The blocks of one instance, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    blocks: VecDeque<Arc<Block>>,
    /// Lines ever appended.
    appended: u64,
    /// Bytes that its blocks take.
    cost: usize,
}

impl Ring {
    pub fn cost(&self) -> usize {
        self.cost
    }

    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// The number of its first line that is still here.
    pub fn first(&self) -> u64 {
        self.blocks.front().map_or(self.appended, |b| b.ordinal)
    }

    pub fn push(&mut self, block: Arc<Block>) {
        self.appended += block.len();
        self.cost += block.cost();
        self.blocks.push_back(block);
    }

    /// Counts lines that never came here; what is here is given up with them, so that they
    /// are missed where they belong. Returns the bytes that were freed.
    pub fn skip(&mut self, lines: u64) -> usize {
        let freed = std::mem::take(&mut self.cost);
        self.blocks.clear();
        self.appended += lines;
        freed
    }

    /// Takes out its oldest block; returns the bytes that were freed.
    pub fn evict(&mut self) -> usize {
        let freed = self.blocks.pop_front().map_or(0, |block| block.cost());
        self.cost -= freed;
        freed
    }

    /// The blocks that hold the line number `ordinal` and later ones.
    pub fn from(&self, ordinal: u64) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        let index = (self.blocks).partition_point(|b| b.ordinal + b.len() <= ordinal);
        self.blocks.range(index..)
    }

    /// All its blocks.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.blocks.iter()
    }
}
