//! What is typed and what is shown, as JSON.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::terminal::TerminalSize;
use crate::supervisor::{Input, TerminalEvent};

/// Bytes, as text where they are text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Instead of the text, where it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

impl From<&Bytes> for Written {
    fn from(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                text: text.to_owned(),
                bytes: None,
            },
            Err(_) => Self {
                text: String::new(),
                bytes: Some(bytes.to_vec()),
            },
        }
    }
}

impl From<Written> for Bytes {
    fn from(written: Written) -> Self {
        written
            .bytes
            .map_or_else(|| written.text.into(), Self::from)
    }
}

/// What is typed for an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    #[serde(default)]
    pub input: Written,
    /// Nothing more will be typed: its input ends, after this.
    #[serde(default)]
    pub end: bool,
}

impl From<Input> for Typed {
    fn from(input: Input) -> Self {
        match input {
            Input::Bytes(bytes) => Self {
                input: Written::from(&bytes),
                end: false,
            },
            Input::End => Self {
                input: Written::default(),
                end: true,
            },
        }
    }
}

/// The terminal of an instance anew: what draws it on an empty one of that size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drawn {
    pub size: TerminalSize,
    pub output: Written,
}

impl From<Drawn> for TerminalEvent {
    fn from(drawn: Drawn) -> Self {
        Self::Screen {
            size: drawn.size,
            bytes: drawn.output.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for bytes in [&b"plain"[..], b"", b"\x1b[1m\xff", "ü\u{1b}".as_bytes()] {
            let bytes = Bytes::copy_from_slice(bytes);
            let text = serde_json::to_string(&Written::from(&bytes)).unwrap();
            let back: Written = serde_json::from_str(&text).unwrap();
            assert_eq!(Bytes::from(back), bytes, "{text}");
        }
    }
}
