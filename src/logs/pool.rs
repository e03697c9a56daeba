//! Memory for what comes in a stream, used again: a flood takes no new pages from the system.
//!
//! Only texts that nearly fill a piece are put into one, so that a store that keeps them for
//! long wastes little.

use std::sync::Mutex;

use bytes::Bytes;

use super::capture::lock;

/// What is read of a pipe at once, in bytes, of a common one and of one that was made larger;
/// with room for what was begun before.
const SIZES: [usize; 2] = [(64 + 4) << 10, (256 + 4) << 10];

/// Pieces of each size that wait to be used again.
const MOST: usize = 12;

static FREE: [Mutex<Vec<Vec<u8>>>; 2] = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];

/// A piece, given back when nobody has it any more.
struct Piece(Vec<u8>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut piece = std::mem::take(&mut self.0);
        piece.clear();
        let place = SIZES.iter().position(|size| *size == piece.capacity());
        if let Some(place) = place {
            let mut free = lock(&FREE[place]);
            if free.len() < MOST {
                free.push(piece);
            }
        }
    }
}

/// Both parts as one text.
pub(super) fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let len = first.len() + second.len();
    let fits = |size: &&usize| len <= **size && len >= **size / 8 * 7;
    let place = SIZES.iter().position(|size| fits(&size));
    let mut text = match place {
        Some(place) => {
            (lock(&FREE[place]).pop()).unwrap_or_else(|| Vec::with_capacity(SIZES[place]))
        }
        None => Vec::with_capacity(len),
    };
    text.extend_from_slice(first);
    text.extend_from_slice(second);
    match place {
        Some(_) => Bytes::from_owner(Piece(text)),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_used_again_and_holds_what_it_is_given() {
        for len in [1, 5000, 60 << 10, 65 << 10, 100 << 10, 256 << 10, 1 << 20] {
            let (first, second) = (vec![b'a'; len / 3], vec![b'b'; len - len / 3]);
            for _ in 0..3 {
                let text = joined(&first, &second);
                let part = text.slice(len / 3..);
                drop(text);
                assert_eq!(part, second);
            }
        }
        assert!(FREE.iter().all(|free| lock(free).len() <= MOST));
    }
}
