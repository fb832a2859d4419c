//! Vectors as they are sent, and what is checked of them.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

use super::handle::check_count;
use crate::model::{
    ModelError, ModelErrorKind,
    wire::{Count, Failed},
};

/// The longest vector that is read; no model is known whose vectors are a tenth as long.
const MAX_DIMENSIONS: usize = 65_536;

/// How many vectors of one answer are read; no provider takes a tenth as many inputs.
const MAX_VECTORS: usize = 65_536;

/// One vector: a list of numbers, or base64 of their bytes. Every number is finite.
#[derive(Debug, Default)]
pub(super) struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor).map(Vector)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, or their bytes in base64")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut vector = Vec::new();
        while let Some(number) = seq.next_element()? {
            add(&mut vector, number)?;
        }
        Ok(vector)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut vector = Vec::new();
        let mut number = [0; 4];
        let mut filled = 0;
        for byte in Bytes::of(text.trim_ascii().trim_end_matches('=')) {
            let byte = byte.ok_or_else(|| E::custom("not base64"))?;
            if let Some(place) = number.get_mut(filled) {
                *place = byte;
            }
            filled += 1;
            if filled == number.len() {
                filled = 0;
                add(&mut vector, f32::from_le_bytes(number))?;
            }
        }
        if filled > 0 {
            return Err(E::custom("a vector ends within a number"));
        }
        Ok(vector)
    }
}

fn add<E: Error>(vector: &mut Vec<f32>, number: f32) -> Result<(), E> {
    if !number.is_finite() {
        return Err(E::custom("a number that is not finite"));
    }
    if vector.len() >= MAX_DIMENSIONS {
        return Err(E::custom("a vector is too long"));
    }
    vector.push(number);
    Ok(())
}

/// The bytes of a base64 text without its padding; `None` for what is none.
struct Bytes<'a> {
    digits: std::slice::Iter<'a, u8>,
    /// The last bits that were read, of which so many are still to be handed out.
    bits: u16,
    waiting: u8,
}

impl<'a> Bytes<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            digits: text.as_bytes().iter(),
            bits: 0,
            waiting: 0,
        }
    }
}

impl Iterator for Bytes<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting < 8 {
            let Some(digit) = self.digits.next() else {
                // Six bits that no byte needs: a digit too many.
                let odd = std::mem::take(&mut self.waiting) >= 6;
                return odd.then_some(None);
            };
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return Some(None),
            };
            self.bits = (self.bits << 6) | u16::from(value);
            self.waiting += 6;
        }
        self.waiting -= 8;
        let [_, byte] = (self.bits >> self.waiting).to_be_bytes();
        Some(Some(byte))
    }
}

/// The vectors of an answer, of which there are not more than any provider gives.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(ListVisitor(PhantomData))
            .map(List)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = seq.next_element()? {
            if list.len() >= MAX_VECTORS {
                return Err(A::Error::custom("too many vectors"));
            }
            list.push(one);
        }
        Ok(list)
    }
}

/// A vector with its place among the inputs, where the server says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Placed {
    pub(super) index: Count,
    pub(super) embedding: Vector,
}

/// Puts vectors into the order of their inputs, of which there are so many.
pub(super) fn in_order(placed: Vec<Placed>, inputs: usize) -> Result<Vec<Vector>, ModelError> {
    check_count(placed.len(), inputs)?;
    if placed.iter().all(|one| one.index.0.is_none()) {
        return Ok(placed.into_iter().map(|one| one.embedding).collect());
    }
    let mut ordered: Vec<Option<Vector>> = std::iter::repeat_with(|| None).take(inputs).collect();
    for one in placed {
        let at = one.index.0.and_then(|index| usize::try_from(index).ok());
        let place = at.and_then(|at| ordered.get_mut(at));
        match place {
            Some(place @ None) => *place = Some(one.embedding),
            _ => return decode("two vectors have one index, or one has none or a wrong one"),
        }
    }
    // As many as there are places, each at its own.
    Ok(ordered.into_iter().flatten().collect())
}

/// Checks that there is one vector for each input, all of one length: the one that was asked for, if one was.
pub(super) fn checked(
    vectors: Vec<Vector>,
    inputs: usize,
    dimensions: Option<u32>,
) -> Result<Vec<Vec<f32>>, Failed> {
    check_count(vectors.len(), inputs)?;
    let asked = dimensions.and_then(|asked| usize::try_from(asked).ok());
    let first = vectors.first().map_or(0, |vector| vector.0.len());
    let wanted = asked.unwrap_or(first);
    let other = vectors.iter().map(|vector| vector.0.len());
    match other.into_iter().find(|length| *length != wanted) {
        Some(length) => Ok(decode(format!(
            "a vector has {length} numbers where {wanted} were expected"
        ))?),
        None if first == 0 && inputs > 0 => Ok(decode("the vectors are empty")?),
        None => Ok(vectors.into_iter().map(|vector| vector.0).collect()),
    }
}

fn decode<T>(message: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::new(ModelErrorKind::Decode, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<f32>, String> {
        let read = serde_json::from_str::<Vector>(json);
        read.map(|vector| vector.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_and_their_bytes_read_the_same() {
        assert_eq!(read("[0.5, -1, 2e3]").unwrap(), [0.5, -1.0, 2000.0]);
        // 0.5, -1.0 and 2000.0 as little-endian bytes.
        assert_eq!(read("\"AAAAPwAAgL8AAPpE\"").unwrap(), [0.5, -1.0, 2000.0]);
        assert_eq!(read("\"AAAAPw==\"").unwrap(), [0.5]);
        assert_eq!(read("\"AAAAPw\"").unwrap(), [0.5]);
        assert!(read("\"\"").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_finite_number_is_refused() {
        for json in [
            "[null]",
            "[\"1\"]",
            "[1e400]",
            "[1e39]",
            "{}",
            "null",
            "1",
            "\"AAAAP\"",
            "\"AAAA\"",
            "\"AA-_Pw\"",
            // NaN and infinity.
            "\"AADAfw==\"",
            "\"AACAfw==\"",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        let long = format!("[{}0]", "0,".repeat(MAX_DIMENSIONS));
        assert!(read(&long).unwrap_err().contains("too long"));
    }

    fn placed(index: Option<u64>, number: f32) -> Placed {
        Placed {
            index: Count(index),
            embedding: Vector(vec![number]),
        }
    }

    #[test]
    fn vectors_are_put_in_the_order_of_their_inputs() {
        let order = |indices: &[Option<u64>]| {
            let all = indices.iter().map(|index| {
                let number = index.map_or(9, |index| u16::try_from(index).unwrap_or(99));
                placed(*index, number.into())
            });
            let ordered = in_order(all.collect(), 3);
            ordered.map(|all| all.into_iter().flat_map(|one| one.0).collect::<Vec<_>>())
        };
        assert_eq!(
            order(&[Some(2), Some(0), Some(1)]).unwrap(),
            [0.0, 1.0, 2.0]
        );
        assert_eq!(order(&[None, None, None]).unwrap(), [9.0, 9.0, 9.0]);
        for wrong in [
            &[Some(0), Some(0), Some(1)][..],
            &[Some(0), Some(1), Some(3)],
            &[Some(0), Some(1), None],
            &[Some(0), Some(1), Some(u64::MAX)],
            &[Some(0), Some(1)],
        ] {
            assert!(order(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn all_vectors_have_the_length_that_was_asked_for_or_else_one() {
        let lengths = |lengths: &[usize], asked| {
            let vectors = lengths.iter().map(|length| Vector(vec![0.0; *length]));
            checked(vectors.collect(), lengths.len(), asked).is_ok()
        };
        assert!(lengths(&[2, 2], None) && lengths(&[2, 2], Some(2)) && lengths(&[], None));
        assert!(!lengths(&[2, 3], None) && !lengths(&[2, 2], Some(3)) && !lengths(&[0], None));
    }
}
