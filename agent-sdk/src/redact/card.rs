//! Card numbers.

use super::scan::{Found, Place};

/// How many digits a card number has.
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// The card number that begins here: digits in one run, or in groups with one blank or dash between.
pub(super) fn find(place: &Place<'_>, at: usize) -> Option<Found> {
    let is_fraction = place.before(at, 1) == Some(b'.')
        && place
            .before(at, 2)
            .is_some_and(|byte| byte.is_ascii_digit());
    if is_fraction || !place.is_boundary(at) {
        return None;
    }
    let mut digits = [0; LONGEST];
    let (mut count, mut end, mut longest) = (0, at, None);
    loop {
        let byte = place.byte(end);
        if let Some(digit) = byte.filter(u8::is_ascii_digit) {
            *digits.get_mut(count)? = digit - b'0';
            count += 1;
            end += 1;
        } else {
            // A group is over.
            let is_word = byte.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            if !is_word && count >= SHORTEST && digits.get(..count).is_some_and(is_valid) {
                longest = Some(end);
            }
            let next = place.byte(end + 1);
            let goes_on =
                matches!(byte, Some(b' ' | b'-')) && next.is_some_and(|next| next.is_ascii_digit());
            if !goes_on || count == LONGEST || !group_fits(place, end + 1, count) {
                break;
            }
            end += 1;
        }
    }
    longest.map(|end| Found {
        start: at,
        end,
        kind: "card",
    })
}

/// Whether the group that begins here may belong to a number of which so many digits were read.
fn group_fits(place: &Place<'_>, at: usize, count: usize) -> bool {
    let group = place.rest(at).iter().take(LONGEST + 1);
    let group = group.take_while(|byte| byte.is_ascii_digit()).count();
    count + group <= LONGEST
}

/// The check of Luhn.
pub(super) fn is_valid(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, doubled)| {
            let digit = u32::from(*digit);
            match (doubled, digit) {
                (true, 5..) => 2 * digit - 9,
                (true, _) => 2 * digit,
                (false, _) => digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a number of JSON is a card number.
pub(super) fn is_card(number: u64) -> bool {
    let digits: Vec<u8> = number.to_string().bytes().map(|byte| byte - b'0').collect();
    (SHORTEST..=LONGEST).contains(&digits.len())
        && matches!(digits.first(), Some(2..=6))
        && is_valid(&digits)
}
