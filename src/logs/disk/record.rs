//! How a record of an index is written.
//!
//! An index begins with a head, then come records of the same size, in the order of the text
//! in the file beside it. A record is written before its text: so a text that is too short
//! tells which lines pk had and could not keep.

use bytes::{Buf as _, BufMut as _};
use jiff::Timestamp;

use crate::domain::id::{Attempt, InstanceId, RunId};
use crate::logs::line::{Cut, Origin, Stream};
use crate::logs::shelf::Record;

/// The size of a record, and of the head, in bytes.
pub const SIZE: usize = 64;

/// The size as files count.
pub const SIZE_U64: u64 = SIZE as u64;

const MAGIC: &[u8; 8] = b"pk-log\x00\x01";

/// Whose lines an index is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub instance: InstanceId,
    /// How many records stand in the segments before.
    pub base: u64,
}

impl Head {
    pub fn write(&self) -> [u8; SIZE] {
        let mut out = Vec::with_capacity(SIZE);
        out.put_slice(MAGIC);
        out.put_u32_le(self.instance.0);
        out.put_u64_le(self.base);
        sealed(out)
    }

    pub fn read(bytes: &[u8; SIZE]) -> Option<Self> {
        let mut rest = opened(bytes)?.strip_prefix(MAGIC.as_slice())?;
        Some(Self {
            instance: InstanceId(rest.get_u32_le()),
            base: rest.get_u64_le(),
        })
    }
}

pub fn write(record: &Record) -> [u8; SIZE] {
    let mut out = Vec::with_capacity(SIZE);
    out.put_u64_le(record.seq);
    out.put_u64_le(record.ordinal);
    out.put_u64_le(record.offset);
    out.put_i64_le(record.time.as_microsecond());
    out.put_i64_le(record.latest.as_microsecond());
    out.put_u32_le(record.lines);
    out.put_u32_le(record.bytes);
    out.put_u32_le(record.origin.run.attempt.0);
    out.put_u16_le(record.origin.stage);
    let (stream, build) = match record.origin.stream {
        Stream::Stdout => (0, false),
        Stream::Stderr => (1, false),
        Stream::Build => (0, true),
    };
    let last = match record.last {
        Cut::Newline => 0,
        Cut::Continued => 1,
        Cut::Unterminated => 2,
    };
    out.put_u8(stream | last << 1 | u8::from(record.gap) << 3 | u8::from(build) << 4);
    sealed(out)
}

pub fn read(bytes: &[u8; SIZE], instance: InstanceId) -> Option<Record> {
    let mut rest = opened(bytes)?;
    let seq = rest.get_u64_le();
    let ordinal = rest.get_u64_le();
    let offset = rest.get_u64_le();
    let time = Timestamp::from_microsecond(rest.get_i64_le()).ok()?;
    let latest = Timestamp::from_microsecond(rest.get_i64_le()).ok()?;
    let (lines, bytes, attempt) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u32_le());
    let stage = rest.get_u16_le();
    let flags = rest.get_u8();
    let stream = match (flags & 16, flags & 1) {
        (0, 0) => Stream::Stdout,
        (0, _) => Stream::Stderr,
        _ => Stream::Build,
    };
    let last = match flags >> 1 & 3 {
        0 => Cut::Newline,
        1 => Cut::Continued,
        _ => Cut::Unterminated,
    };
    Some(Record {
        seq,
        ordinal,
        lines,
        bytes,
        origin: Origin {
            run: RunId {
                instance,
                attempt: Attempt(attempt),
            },
            stage,
            stream,
        },
        time,
        latest,
        last,
        gap: flags & 8 != 0,
        offset,
    })
}

/// With a sum at its end, so that what was torn or is foreign is not taken for a record.
fn sealed(mut out: Vec<u8>) -> [u8; SIZE] {
    out.resize(SIZE - 4, 0);
    let sum = sum(&out);
    out.put_u32_le(sum);
    let mut bytes = [0; SIZE];
    bytes.copy_from_slice(&out);
    bytes
}

fn opened(bytes: &[u8; SIZE]) -> Option<&[u8]> {
    let (content, mut end) = bytes.split_at(SIZE - 4);
    (sum(content) == end.get_u32_le()).then_some(content)
}

/// FNV-1a; never 0 for zeroes.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_torn_one_is_none() {
        let record = Record {
            seq: 7,
            ordinal: 5,
            lines: 3,
            bytes: 99,
            origin: Origin {
                run: RunId {
                    instance: InstanceId(4),
                    attempt: Attempt(2),
                },
                stage: 1,
                stream: Stream::Stderr,
            },
            time: Timestamp::from_microsecond(1_700_000_000_000_001).unwrap(),
            latest: Timestamp::from_microsecond(1_700_000_000_000_002).unwrap(),
            last: Cut::Unterminated,
            gap: true,
            offset: 1 << 40,
        };
        let mut bytes = write(&record);
        assert_eq!(read(&bytes, InstanceId(4)), Some(record));
        bytes[3] ^= 1;
        assert_eq!(read(&bytes, InstanceId(4)), None);
        assert_eq!(read(&[0; SIZE], InstanceId(4)), None);
        let head = Head {
            instance: InstanceId(3),
            base: 9,
        };
        assert_eq!(Head::read(&head.write()), Some(head));
    }
}
