//! Which segments there are, of which instances: what readers go by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::segment::{Segment, UnitShelf};
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::Selection;
use crate::logs::cursor::{Cursor, Start};
use crate::logs::line::{Extent, Page};
use crate::logs::search::{self, Found, Search};
use crate::logs::shelf;

/// The segments of one instance.
#[derive(Debug)]
pub struct UnitFiles {
    pub name: UnitName,
    pub segments: Vec<Arc<Segment>>,
    /// The number of the next line.
    pub end: u64,
}

/// The segments of a run of the stack.
#[derive(Debug, Default)]
pub struct Catalog {
    pub units: BTreeMap<InstanceId, UnitFiles>,
    /// Lines so far over all units.
    pub head: u64,
}

impl Catalog {
    fn selected<'a>(
        &'a self,
        selection: &'a Selection,
    ) -> impl Iterator<Item = (InstanceId, &'a UnitFiles)> {
        (self.units.iter())
            .filter(|(id, _)| selection.has(**id))
            .map(|(id, unit)| (*id, unit))
    }

    /// Those of the selection for which `wanted` holds of the number of the next line.
    pub fn shelves(
        &self,
        selection: &Selection,
        wanted: impl Fn(InstanceId, u64) -> bool,
    ) -> Vec<UnitShelf> {
        (self.selected(selection))
            .filter(|(id, unit)| wanted(*id, unit.end))
            .map(|(id, unit)| {
                let segments = unit.segments.iter();
                let segments = segments.map(|one| (Arc::clone(one), one.records()));
                UnitShelf::new(id, segments.collect(), unit.end)
            })
            .collect()
    }

    /// Bytes on disk.
    pub fn size(&self, selection: &Selection) -> u64 {
        (self.selected(selection))
            .flat_map(|(_, unit)| &unit.segments)
            .map(|segment| segment.size.load(Ordering::Relaxed))
            .sum()
    }
}

/// Gives a catalog for a moment.
pub type Get<'a> = &'a dyn Fn(&mut dyn FnMut(&Catalog));

/// The reading half of every source that has a catalog.
pub fn cursor(get: Get<'_>, selection: Selection, at: Start) -> Cursor {
    let mut shelves = Vec::new();
    get(&mut |catalog| shelves = catalog.shelves(&selection, |_, _| true));
    Cursor {
        next: shelf::start(&shelves, at),
        selection,
    }
}

pub fn read(get: Get<'_>, cursor: &mut Cursor, max: usize) -> Page {
    let Cursor { selection, next } = cursor;
    let mut shelves = Vec::new();
    get(&mut |catalog| {
        shelves = catalog.shelves(selection, |id, end| {
            next.get(&id).is_none_or(|at| *at < end)
        });
    });
    for shelf in &shelves {
        next.entry(shelf::Shelf::instance(shelf)).or_insert(0);
    }
    shelf::read(&shelves, next, max)
}

pub fn read_back(get: Get<'_>, cursor: &mut Cursor, max: usize) -> Page {
    let Cursor { selection, next } = cursor;
    let mut shelves = Vec::new();
    get(&mut |catalog| {
        shelves = catalog.shelves(selection, |id, _| next.get(&id).is_some_and(|at| *at > 0));
    });
    shelf::read_back(&shelves, next, max)
}

pub fn extent(get: Get<'_>, selection: &Selection) -> Extent {
    let (mut shelves, mut bytes, mut head) = (Vec::new(), 0, 0);
    get(&mut |catalog| {
        shelves = catalog.shelves(selection, |_, _| true);
        bytes = catalog.size(selection);
        head = catalog.head;
    });
    shelf::extent(&shelves, bytes, head)
}

pub fn search(get: Get<'_>, search: &mut Search, keep: usize) -> Found {
    let Cursor {
        selection,
        mut next,
    } = search.cursor.clone();
    let mut shelves = Vec::new();
    get(&mut |catalog| shelves = catalog.shelves(&selection, |_, _| true));
    let found = search::step(&shelves, &mut next, search, keep);
    search.cursor.next = next;
    found
}
