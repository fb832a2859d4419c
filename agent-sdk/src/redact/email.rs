//! E-mail addresses.

use super::scan::{Found, Place};

/// The longest local part, in characters.
const LONGEST_LOCAL: usize = 64;

/// The longest name of a host, in characters.
const LONGEST_HOST: usize = 253;

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
    let (mut end, mut label_start, mut points) = (0, 0, 0);
    // The last place at which it could end well.
    let mut whole = None;
    let letters = text.char_indices().take(LONGEST_HOST);
    for (at, letter) in letters {
        if letter == '.' {
            if at == label_start {
                break;
            }
            points += 1;
            label_start = at + 1;
        } else if !is_letter(letter) && letter != '-' {
            break;
        }
        end = at + letter.len_utf8();
        let label = text.get(label_start..end).unwrap_or_default();
        if points > 0 && label.len() >= 2 && label.len() <= 63 {
            let is_name = label.chars().all(|letter| !letter.is_ascii_digit() && letter != '-');
            let is_punycode = label.starts_with("xn--");
            if is_name || is_punycode {
                whole = Some(end);
            }
        }
    }
    // A label goes on to its end: `a@b.com2` has no host.
    whole.filter(|whole| {
        let rest = text.get(*whole..).unwrap_or_default();
        *whole == end || rest.starts_with(['.', '-'])
    })
}

/// Letters of the scripts in which words are parted by blanks, and digits.
fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || (!letter.is_ascii() && letter < '\u{590}' && letter.is_alphanumeric())
}
