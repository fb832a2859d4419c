//! The scan for keys, of texts that mostly were seen before.
//!
//! A run's id stands on each of its spans, and an agent, a model and a tool have the same names all day. Each thread remembers the last
//! such texts in which nothing was found: finding one again costs a quarter of looking through it again.

use std::borrow::Cow;
use std::cell::RefCell;

use agent_sdk::redact;

/// How many texts a thread remembers.
const REMEMBERED: usize = 64;

/// How long those are, in bytes: shorter ones are looked through as quickly, and longer ones seldom come again.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=64;

thread_local! {
    /// Each at the place that [`place`] gives it.
    static CLEAN: RefCell<[String; REMEMBERED]> = const { RefCell::new([const { String::new() }; REMEMBERED]) };
}

/// The text without what looks like a key, as [`redact::keys`] has it.
pub(super) fn keys(text: &str) -> Cow<'_, str> {
    if !LENGTHS.contains(&text.len()) {
        return redact::keys(text);
    }
    CLEAN.with_borrow_mut(|clean| {
        let Some(known) = clean.get_mut(place(text)) else {
            return redact::keys(text);
        };
        if known == text {
            return Cow::Borrowed(text);
        }
        let found = redact::keys(text);
        if let Cow::Borrowed(_) = found {
            known.clear();
            known.push_str(text);
        }
        found
    })
}

/// Where a text is remembered: by its first and its last bytes, in which ids and names differ.
fn place(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = bytes.first_chunk().zip(bytes.last_chunk());
    let mixed = ends.map_or(0, |(first, last)| {
        u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(21)
    });
    let place = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(place).unwrap_or_default() % REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o7_a_key_is_found_however_often_it_comes_and_whatever_came_before_it() {
        let (key, name) = ("sk-proj-4f9a8b7c6d5e4f3a2b1c", "a name as long as it ");
        for _ in 0..3 {
            assert_eq!(keys(key), "[redacted:key]");
            assert_eq!(keys(name), name);
        }
        // In the same place, and with the same ends.
        let (plain, secret) = (
            "0123456 and so on 0123456",
            "0123456 sk-proj-4f9a8b7c6d5e4f3a2b1c 0123456",
        );
        assert_eq!(place(plain), place(secret));
        for _ in 0..3 {
            assert_eq!(keys(plain), plain);
            assert_eq!(keys(secret), "0123456 [redacted:key] 0123456");
        }
    }

    #[test]
    fn what_a_thread_remembers_is_bounded() {
        for index in 0..10_000 {
            let _ = keys(&format!("{index:064}"));
            let _ = keys(&format!("{index:0100}"));
        }
        CLEAN.with_borrow(|clean| {
            assert!(clean.iter().all(|text| text.len() <= *LENGTHS.end()));
            assert!(clean.iter().filter(|text| !text.is_empty()).count() > REMEMBERED / 2);
        });
    }
}
