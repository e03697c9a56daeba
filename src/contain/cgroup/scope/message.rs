//! The few messages of D-Bus that asking for a scope takes, as its specification has them.

/// A method call's header fields, by their codes.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The part of a message before its fields.
pub(super) const FIXED: usize = 16;
/// Longer ones are none that anybody would answer this with.
const LONGEST: usize = 1 << 20;

/// Bytes in little-endian order, each value aligned as the specification says.
#[derive(Debug, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub fn string(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    pub fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// An array of values that are aligned to `to`.
    pub fn array(&mut self, to: usize, values: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(to);
        let first = self.0.len();
        values(self);
        let length = u32::try_from(self.0.len() - first).unwrap_or(u32::MAX);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// A method call.
pub(super) struct Call<'a> {
    pub serial: u32,
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    pub signature: &'a str,
    pub body: &'a [u8],
}

impl Call<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer(vec![b'l', 1, 0, 1]);
        writer.u32(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
        writer.u32(self.serial);
        writer.array(8, |fields| {
            let texts = [
                (PATH, "o", self.path),
                (DESTINATION, "s", self.destination),
                (INTERFACE, "s", self.interface),
                (MEMBER, "s", self.member),
            ];
            for (code, kind, text) in texts {
                fields.align(8);
                fields.0.push(code);
                fields.signature(kind);
                fields.string(text);
            }
            if !self.signature.is_empty() {
                fields.align(8);
                fields.0.push(SIGNATURE);
                fields.signature("g");
                fields.signature(self.signature);
            }
        });
        writer.align(8);
        writer.0.extend(self.body);
        writer.0
    }
}

/// How long a message is, from its fixed part. `None`: that is none.
pub(super) fn length(fixed: &[u8; FIXED]) -> Option<usize> {
    let mut reader = Reader::new(fixed)?;
    reader.at = 4;
    let body = reader.u32()? as usize;
    reader.at = 12;
    let fields = reader.u32()? as usize;
    let all = (FIXED + fields)
        .checked_next_multiple_of(8)?
        .checked_add(body)?;
    (all <= LONGEST).then_some(all)
}

/// An answer to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub serial: u32,
    /// The error's name, and what it says.
    pub result: Result<(), (String, String)>,
}

/// The answer that a message is; `None`: it is something else.
pub(super) fn answer(message: &[u8]) -> Option<Answer> {
    let kind = *message.get(1)?;
    let mut reader = Reader::new(message)?;
    reader.at = 12;
    let end = reader.u32()? as usize + FIXED;
    let (mut serial, mut error, mut signature) = (None, None, String::new());
    while reader.at < end {
        reader.align(8);
        if reader.at >= end {
            break;
        }
        let code = reader.u8()?;
        let kind = reader.signature()?;
        match kind.as_str() {
            "s" | "o" => {
                let text = reader.string()?;
                if code == ERROR_NAME {
                    error = Some(text);
                }
            }
            "u" => {
                let value = reader.u32()?;
                if code == REPLY_SERIAL {
                    serial = Some(value);
                }
            }
            "g" => {
                let text = reader.signature()?;
                if code == SIGNATURE {
                    signature = text;
                }
            }
            _ => return None,
        }
    }
    reader.align(8);
    let serial = serial?;
    match kind {
        2 => Some(Answer {
            serial,
            result: Ok(()),
        }),
        3 => {
            let said = match signature.starts_with('s') {
                true => reader.string().unwrap_or_default(),
                false => String::new(),
            };
            Some(Answer {
                serial,
                result: Err((error?, said)),
            })
        }
        _ => None,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.first()? {
            b'l' => true,
            b'B' => false,
            _ => return None,
        };
        Some(Self {
            bytes,
            at: 0,
            little,
        })
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.take(4)?.try_into().ok()?;
        Some(match self.little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        // The 0 at its end.
        self.take(1)?;
        Some(text)
    }

    fn string(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.text(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.u8()?;
        self.text(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a bus: the answer to `Hello`, as it came over the wire.
    const HELLO: &[u8] = b"l\x02\x01\x01\x09\x00\x00\x00\x01\x00\x00\x00\x3d\x00\x00\x00\
        \x06\x01s\x00\x04\x00\x00\x00:1.5\x00\x00\x00\x00\
        \x05\x01u\x00\x01\x00\x00\x00\
        \x08\x01g\x00\x01s\x00\x00\
        \x07\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00\
        \x04\x00\x00\x00:1.5\x00";

    #[test]
    fn an_answer_is_read() {
        let fixed = HELLO[..FIXED].try_into().unwrap();
        assert_eq!(length(&fixed), Some(HELLO.len()));
        let expected = Answer {
            serial: 1,
            result: Ok(()),
        };
        assert_eq!(answer(HELLO), Some(expected));
        for cut in 0..HELLO.len() {
            // Nothing that is cut off is more than no answer.
            let _ = answer(&HELLO[..cut]);
        }
    }

    #[test]
    fn an_error_says_why() {
        let mut body = Writer::default();
        body.string("no");
        let mut writer = Writer(vec![b'l', 3, 1, 1]);
        writer.u32(u32::try_from(body.0.len()).unwrap());
        writer.u32(9);
        writer.array(8, |fields| {
            fields.0.push(ERROR_NAME);
            fields.signature("s");
            fields.string("org.x.Denied");
            fields.align(8);
            fields.0.push(REPLY_SERIAL);
            fields.signature("u");
            fields.u32(2);
            fields.align(8);
            fields.0.push(SIGNATURE);
            fields.signature("g");
            fields.signature("s");
        });
        writer.align(8);
        writer.0.extend(&body.0);
        let expected = Answer {
            serial: 2,
            result: Err(("org.x.Denied".to_owned(), "no".to_owned())),
        };
        assert_eq!(answer(&writer.0), Some(expected));
    }

    #[test]
    fn a_call_is_as_long_as_it_says() {
        let call = Call {
            serial: 1,
            destination: "a.b",
            path: "/a",
            interface: "a.b",
            member: "C",
            signature: "s",
            body: b"\x01\x00\x00\x00x\x00",
        };
        let bytes = call.bytes();
        let fixed = bytes[..FIXED].try_into().unwrap();
        assert_eq!(length(&fixed), Some(bytes.len()));
    }
}
