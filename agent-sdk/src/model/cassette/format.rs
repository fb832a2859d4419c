//! One exchange as a line of JSON.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Usage;

/// The version of the lines that are written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

/// What is read of a line before anything else.
#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) cassette: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub(super) cassette: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recorded_at: Option<String>,
    pub(super) request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response>,
    pub(super) ended: Ended,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    #[serde(default)]
    pub(super) server: String,
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Response {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(super) after_us: u64,
    #[serde(default)]
    pub(super) chunks: Vec<Chunk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) broken: Option<String>,
}

/// A piece of a body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) after_us: u64,
    #[serde(flatten)]
    pub(super) bytes: Piece,
}

/// Its bytes; a piece that ends inside a character is no text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piece {
    Text(String),
    Hex(String),
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// The answer was read as far as it was wanted.
    Complete,
    /// The connection failed while it was read.
    Broken,
    /// Nothing more came in time.
    TimedOut,
    /// The caller gave it up.
    Cancelled,
    /// No answer began.
    Unreachable,
    /// As a later version says.
    #[serde(other)]
    Unknown,
}

/// The error that the caller saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) kind: String,
    pub(super) message: String,
}

impl Piece {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex(bytes)),
        }
    }

    /// The bytes; `None` where they are not what they should be.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Self::Hex(text) => unhex(text).map(Bytes::from),
        }
    }
}

/// Microseconds, for the file.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_every_byte() {
        for bytes in [
            &b"data: {}\n"[..],
            "é".as_bytes(),
            &"é".as_bytes()[..1],
            &[0, 255, 16],
            b"",
        ] {
            let line = serde_json::to_string(&Piece::of(bytes)).unwrap();
            let piece: Piece = serde_json::from_str(&line).unwrap();
            assert_eq!(piece.bytes().unwrap(), bytes);
        }
        assert_eq!(Piece::Hex("0".into()).bytes(), None);
        assert_eq!(Piece::Hex("zz".into()).bytes(), None);
    }
}
