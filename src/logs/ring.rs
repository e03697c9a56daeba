//! The lines of one instance in memory, as blocks that were appended and are evicted whole.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::shelf::{Record, Shelf};
use crate::domain::id::InstanceId;

/// Lines that came in one chunk: they share origin, time and memory.
#[derive(Debug)]
pub(super) struct Block {
    pub record: Record,
    pub text: Bytes,
}

impl Block {
    /// The memory it takes, in bytes: its lines and what is kept about them.
    pub fn cost(&self) -> usize {
        // Beside the block itself the counts of the `Arc`, its place in the ring, and what
        // the allocator adds to its two pieces.
        const BESIDE: usize = 2 * size_of::<usize>() + size_of::<Arc<Block>>() + 2 * 16;
        self.text.len() + size_of::<Self>() + BESIDE
    }
}

/// The blocks of one instance, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    instance: InstanceId,
    blocks: VecDeque<Arc<Block>>,
    /// How many blocks were evicted.
    evicted: u64,
    /// Lines ever appended.
    appended: u64,
    /// Bytes that its blocks take.
    cost: usize,
}

impl Ring {
    pub fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            blocks: VecDeque::new(),
            evicted: 0,
            appended: 0,
            cost: 0,
        }
    }

    pub fn cost(&self) -> usize {
        self.cost
    }

    pub fn appended(&self) -> u64 {
        self.appended
    }

    pub fn push(&mut self, block: Arc<Block>) {
        self.appended += u64::from(block.record.lines);
        self.cost += block.cost();
        self.blocks.push_back(block);
    }

    /// Counts lines that never came here; what is here is given up with them, so that they
    /// are missed where they belong. Returns the bytes that were freed.
    pub fn skip(&mut self, lines: u64) -> usize {
        let freed = std::mem::take(&mut self.cost);
        self.evicted += self.blocks.len() as u64;
        self.blocks.clear();
        self.appended += lines;
        freed
    }

    /// Takes out its oldest block; returns the bytes that were freed.
    pub fn evict(&mut self) -> usize {
        let Some(block) = self.blocks.pop_front() else {
            return 0;
        };
        self.evicted += 1;
        self.cost -= block.cost();
        block.cost()
    }

    /// All its blocks.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.blocks.iter()
    }

    /// What a reader at `next` may read of it: up to `lines` lines and about `bytes` bytes.
    pub fn view(&self, next: u64, lines: u64, bytes: usize) -> View {
        let index = (self.blocks).partition_point(|block| block.record.end() <= next);
        self.part(
            index,
            self.blocks
                .range(index..)
                .map(|b| (b, b.record.end() - next)),
            lines,
            bytes,
        )
    }

    /// The same for a reader that goes back.
    pub fn view_back(&self, next: u64, lines: u64, bytes: usize) -> View {
        let end = (self.blocks).partition_point(|block| block.record.ordinal < next);
        let back = self.blocks.range(..end).rev();
        let mut view = self.part(0, back.map(|b| (b, next - b.record.ordinal)), lines, bytes);
        view.blocks.reverse();
        view.base = self.evicted + (end - view.blocks.len()) as u64;
        view
    }

    fn part<'a>(
        &self,
        index: usize,
        blocks: impl Iterator<Item = (&'a Arc<Block>, u64)>,
        lines: u64,
        bytes: usize,
    ) -> View {
        let (mut taken, mut size) = (Vec::new(), 0);
        for (block, reached) in blocks {
            taken.push(Arc::clone(block));
            size += block.text.len() + 64;
            if reached >= lines || size >= bytes {
                break;
            }
        }
        View {
            instance: self.instance,
            base: self.evicted + index as u64,
            blocks: taken,
            end: self.appended,
        }
    }
}

/// Some blocks of a ring, for a reader that holds no lock.
#[derive(Debug)]
pub(super) struct View {
    instance: InstanceId,
    /// The place of the first one.
    base: u64,
    blocks: Vec<Arc<Block>>,
    end: u64,
}

impl Shelf for View {
    const JOINS: bool = false;

    fn instance(&self) -> InstanceId {
        self.instance
    }

    fn places(&self) -> Range<u64> {
        self.base..self.base + self.blocks.len() as u64
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn record(&self, place: u64) -> Option<Record> {
        let index = usize::try_from(place.checked_sub(self.base)?).ok()?;
        Some(self.blocks.get(index)?.record)
    }

    fn load(&self, place: u64, _: &Record, _: &Record) -> Option<Bytes> {
        let index = usize::try_from(place.checked_sub(self.base)?).ok()?;
        Some(self.blocks.get(index)?.text.clone())
    }

    fn joined(&self, _: u64) -> bool {
        false
    }
}

impl Shelf for &Ring {
    const JOINS: bool = false;

    fn instance(&self) -> InstanceId {
        self.instance
    }

    fn places(&self) -> Range<u64> {
        self.evicted..self.evicted + self.blocks.len() as u64
    }

    fn end(&self) -> u64 {
        self.appended
    }

    fn record(&self, place: u64) -> Option<Record> {
        let index = usize::try_from(place.checked_sub(self.evicted)?).ok()?;
        Some(self.blocks.get(index)?.record)
    }

    fn load(&self, place: u64, _: &Record, _: &Record) -> Option<Bytes> {
        let index = usize::try_from(place.checked_sub(self.evicted)?).ok()?;
        Some(self.blocks.get(index)?.text.clone())
    }

    fn joined(&self, _: u64) -> bool {
        false
    }
}
