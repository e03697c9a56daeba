//! Which numbers a port that the file leaves to pk may get, and in which order.
//!
//! The order follows from the checkout, the unit and the name of the port alone, so that a
//! checkout has the same numbers from run to run, and two checkouts have others. Numbers lie
//! outside of what the system gives to outgoing connections: one of those would take a port
//! while its unit restarts.

use std::ops::RangeInclusive;

/// Numbers that are not commonly known for something else begin here.
const FIRST: u16 = 10_000;

/// Below this many, those from 1024 on are taken, too.
const ENOUGH: usize = 1000;

/// All numbers that may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPool {
    parts: Vec<RangeInclusive<u16>>,
}

impl PortPool {
    /// All but those of `ephemeral`.
    #[must_use]
    pub fn outside(ephemeral: &RangeInclusive<u16>) -> Self {
        let from = |first: u16| {
            let below = first..=ephemeral.start().saturating_sub(1);
            let above = ephemeral.end().saturating_add(1).max(first)..=u16::MAX;
            // Where the ephemeral ones reach the end nothing is above them.
            let above = (*ephemeral.end() < u16::MAX).then_some(above);
            let parts = [Some(below), above].into_iter().flatten();
            Self {
                parts: parts.filter(|part| !part.is_empty()).collect(),
            }
        };
        let pool = from(FIRST);
        if pool.len() < ENOUGH {
            from(1024)
        } else {
            pool
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(ExactSizeIterator::len).sum()
    }

    fn nth(&self, mut place: usize) -> Option<u16> {
        for part in &self.parts {
            if place < part.len() {
                return part.clone().nth(place);
            }
            place -= part.len();
        }
        None
    }

    /// All of them, in the order in which they are to be tried for `key`.
    pub fn candidates(&self, key: &[&str]) -> impl Iterator<Item = u16> + '_ {
        let len = self.len().max(1);
        let start = usize::try_from(hash(key) % len as u64).unwrap_or(0);
        (0..len).filter_map(move |step| self.nth((start + step) % len))
    }
}

/// FNV-1a: small, and written down, so that it stays the same.
fn hash(words: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // Its low bits alone depend too little on the last bytes.
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_lie_outside_of_the_ephemeral_ones() {
        let all = |ephemeral: RangeInclusive<u16>| -> BTreeSet<u16> {
            PortPool::outside(&ephemeral).candidates(&["x"]).collect()
        };
        let usual = all(32_768..=60_999);
        assert_eq!(usual.len(), 32_768 - 10_000 + 65_535 - 60_999);
        assert!(usual.iter().all(|port| !(32_768..=60_999).contains(port)));
        assert_eq!(all(1024..=65_535).len(), 0);
        assert_eq!(all(10_000..=65_535).len(), 10_000 - 1024);
        assert_eq!(all(1..=1).len(), 65_535 - 9_999);
    }

    #[test]
    fn each_key_has_an_order_of_its_own_and_keeps_it() {
        let pool = PortPool::outside(&(32_768..=60_999));
        let first = |key: &[&str]| pool.candidates(key).next().unwrap();
        assert_eq!(first(&["/a", "api", "http"]), first(&["/a", "api", "http"]));
        let keys = (0..100).map(|n| first(&[&format!("/checkout-{n}"), "api", "http"]));
        assert!(keys.collect::<BTreeSet<u16>>().len() > 95);
        assert_ne!(first(&["/a", "b"]), first(&["/ab", ""]));
    }
}
