//! E-mail addresses.

use super::scan::{Found, Place};

/// The longest local part, in characters.
const LONGEST_LOCAL: usize = 64;

/// The longest name of a host, and of one of its labels, in bytes.
const LONGEST_HOST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The address around an `@` of so many bytes.
pub(super) fn find(place: &Place<'_>, at: usize, width: usize) -> Option<Found> {
    let local = place.text.get(place.done..at)?;
    let local: usize = local
        .chars()
        .rev()
        .take(LONGEST_LOCAL)
        .take_while(|letter| is_letter(*letter) || ".%+-_'".contains(*letter))
        .map(char::len_utf8)
        .sum();
    let mut start = at - local;
    // The letter of an escape is no letter of the address, nor is a quote.
    if place.before(start, 1) == Some(b'\\') {
        start += 1;
    }
    while start < at && matches!(place.byte(start), Some(b'\'' | b'.')) {
        start += 1;
    }
    if start >= at {
        return None;
    }
    let end = at + width + host(place.text.get(at + width..)?)?;
    Some(Found {
        start,
        end,
        kind: "email",
    })
}

/// How many bytes the name of a host takes here: labels with points between, the last of two letters or more.
fn host(text: &str) -> Option<usize> {
    let (mut start, mut points, mut whole) = (0, 0, None);
    loop {
        let rest = text.get(start..)?;
        let label = rest
            .char_indices()
            .take(LONGEST_LABEL + 1)
            .find(|(_, letter)| !is_letter(*letter) && *letter != '-');
        let length = label.map_or(rest.len().min(LONGEST_LABEL + 1), |(at, _)| at);
        let label = rest.get(..length)?;
        if !(1..=LONGEST_LABEL).contains(&length) || start + length > LONGEST_HOST {
            return whole;
        }
        let is_name = label.len() >= 2
            && label
                .chars()
                .all(|letter| !letter.is_ascii_digit() && letter != '-');
        if points > 0 && (is_name || label.starts_with("xn--")) {
            whole = Some(start + length);
        }
        if text.as_bytes().get(start + length) != Some(&b'.') {
            return whole;
        }
        points += 1;
        start += length + 1;
    }
}

/// Letters of the scripts in which words are parted by blanks, and digits.
pub(super) fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || (!letter.is_ascii() && letter < '\u{590}' && letter.is_alphanumeric())
}
