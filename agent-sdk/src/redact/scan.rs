//! One pass over a text that finds what patterns find.
//!
//! Each byte is looked at once; the few on which something may turn (`@`, `:`, `=`, `-`, a digit, the first letter of a word) are
//! looked around from. What is looked at around them is bounded, or taken out, or not looked at again from the next such byte:
//! the time is linear in the length. Nothing that was taken out is looked at again, and what follows it is read as if the mark
//! stood there already, so that a second pass finds nothing more.

use std::borrow::Cow;

use memchr::memmem;

use super::{MARK, card, email, mark, name, token};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Keys, tokens, passwords.
    Keys,
    /// And e-mail addresses and card numbers.
    All,
}

/// Something to be taken out: from where to where, and the word of its mark.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: &'static str,
}

/// A text, and how much of it is settled.
pub(super) struct Place<'t> {
    pub(super) text: &'t str,
    /// Everything before was copied or taken out; nothing looks behind it.
    pub(super) done: usize,
}

pub(super) fn run(text: &str, wanted: Wanted) -> Cow<'_, str> {
    if wanted == Wanted::Keys && text.len() < token::SHORTEST && !has_separator(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let turns = match wanted {
        Wanted::Keys => &KEY_TURNS,
        Wanted::All => &TURNS,
    };
    let mut place = Place { text, done: 0 };
    let mut clean = String::new();
    let mut at = 0;
    while let Some((skipped, byte)) = next_turn(place.rest(at), turns) {
        at += skipped;
        match place.find(at, byte, wanted) {
            Some(found) => {
                clean.push_str(text.get(place.done..found.start).unwrap_or_default());
                clean.push_str(&mark(found.kind));
                place.done = found.end;
                at = found.end;
            }
            None => at += 1,
        }
    }
    if place.done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(place.done..).unwrap_or_default());
    Cow::Owned(clean)
}

/// Whether a `:` or a `=` is in it. Nearly all texts of a trace are names of some ten bytes, so eight are looked at together.
fn has_separator(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xFF;
    let holds = |eight: &[u8; 8]| {
        let eight = u64::from_le_bytes(*eight);
        // Some byte of a word is 0 where this is not.
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7) != 0;
        has_zero(eight ^ (ONES * u64::from(b':'))) || has_zero(eight ^ (ONES * u64::from(b'=')))
    };
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => holds(first) || holds(last),
        _ => text.iter().any(|byte| matches!(byte, b':' | b'=')),
    }
}

/// Which bytes something may turn on.
type Turns = [bool; 256];

/// The bytes on which something may turn.
static TURNS: Turns = turns(true);

/// Those on which a key may. Ids are full of digits, at which only card numbers begin.
static KEY_TURNS: Turns = turns(false);

const fn turns(all: bool) -> Turns {
    let (mut turns, mut byte) = ([false; 256], 0);
    while byte < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "below 256"
        )]
        {
            turns[byte] = matches!(byte as u8, b':' | b'=' | b'-')
                || all && matches!(byte as u8, b'@' | b'%' | b'2'..=b'6')
                || token::begins(byte as u8);
        }
        byte += 1;
    }
    turns
}

/// The next byte on which something may turn, and how many are before it.
fn next_turn(rest: &[u8], turns: &Turns) -> Option<(usize, u8)> {
    let may_turn = |byte: &u8| turns.get(usize::from(*byte)) == Some(&true);
    let mut from = 0;
    loop {
        let ahead = rest.get(from..)?;
        let at = from + ahead.iter().position(may_turn)?;
        let byte = *rest.get(at)?;
        let next = rest.get(at + 1).copied().unwrap_or(0);
        if !byte.is_ascii_alphabetic() || token::goes_on(byte, next) {
            return Some((at, byte));
        }
        from = at + 1;
    }
}

impl Place<'_> {
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The byte so many before, unless that is settled.
    pub(super) fn before(&self, at: usize, back: usize) -> Option<u8> {
        let at = at.checked_sub(back).filter(|at| *at >= self.done)?;
        self.byte(at)
    }

    pub(super) fn rest(&self, at: usize) -> &[u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }

    /// How many bytes from here on are of a sort.
    pub(super) fn run_of(&self, at: usize, is: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest(at);
        rest.iter()
            .position(|byte| !is(*byte))
            .unwrap_or(rest.len())
    }

    fn find(&self, at: usize, byte: u8, wanted: Wanted) -> Option<Found> {
        let all = wanted == Wanted::All;
        match byte {
            b':' if self.rest(at).starts_with(b"://") => self.user_info(at),
            b':' | b'=' => self.value(at),
            b'-' => self.private_key(at),
            b'@' if all => email::find(self, at, 1),
            b'%' if all && self.rest(at).starts_with(b"%40") => email::find(self, at, 3),
            b'2'..=b'6' if all => card::find(self, at),
            _ if token::begins(byte) && self.is_boundary(at) => token::find(self, at),
            _ => None,
        }
    }

    /// Whether a word may begin here: behind anything but a letter or a digit, and behind those only where they end an escape.
    pub(super) fn is_boundary(&self, at: usize) -> bool {
        let Some(last) = self.before(at, 1) else {
            return true;
        };
        if !last.is_ascii() {
            let letter = self
                .text
                .get(..at)
                .and_then(|text| text.chars().next_back());
            return !letter.is_some_and(email::is_letter);
        }
        if !last.is_ascii_alphanumeric() {
            return true;
        }
        let (second, third) = (self.before(at, 2), self.before(at, 3));
        let escape = second == Some(b'\\') && b"nrtbf".contains(&last);
        let percent = third == Some(b'%')
            && last.is_ascii_hexdigit()
            && second.is_some_and(|byte| byte.is_ascii_hexdigit());
        escape || percent
    }

    /// User and password of a URL, between `://` and `@`.
    fn user_info(&self, at: usize) -> Option<Found> {
        let start = at + 3;
        let length = self.run_of(start, |byte| {
            !byte.is_ascii_whitespace() && !b"/?#@\"'`<>\\".contains(&byte)
        });
        let end = start + length;
        let is_some = length > 0 && self.byte(end) == Some(b'@') && !self.is_marked(start);
        is_some.then_some(Found {
            start,
            end,
            kind: "userinfo",
        })
    }

    pub(super) fn is_marked(&self, at: usize) -> bool {
        self.rest(at).starts_with(MARK.as_bytes())
    }

    /// What stands after the name of a secret and `:` or `=`.
    fn value(&self, at: usize) -> Option<Found> {
        let shortest = self.name_before(at)?;
        let blank = |byte| byte == b' ' || byte == b'\t';
        let mut start = at + 1;
        start += self.run_of(start, blank).min(MAX_BLANKS);
        let escapes = self.run_of(start, |byte| byte == b'\\');
        let quote = self
            .byte(start + escapes)
            .filter(|byte| b"\"'`".contains(byte));
        let (start, end, shortest) = if let Some(quote) = quote {
            let start = start + escapes + 1;
            if self.is_marked(start) {
                return None;
            }
            (start, self.closing(start, quote, escapes), 1)
        } else {
            let plain =
                |byte: u8| !byte.is_ascii_whitespace() && !b"\"'`,;&<>(){}[]\\".contains(&byte);
            let mut end = start + self.run_of(start, plain);
            let scheme = self.text.get(start..end).unwrap_or_default();
            if name::is_scheme(scheme) {
                let gap = self.run_of(end, blank).min(MAX_BLANKS);
                let more = self.run_of(end + gap, plain);
                end += if more > 0 { gap + more } else { 0 };
            }
            let value = self.rest(start).get(..end - start)?;
            if start > at + 1 && value.iter().all(u8::is_ascii_lowercase) {
                // `wrong password: send another`
                return None;
            }
            (start, end, shortest)
        };
        let is_some = end.saturating_sub(start) >= shortest && !self.is_marked(start);
        is_some.then_some(Found {
            start,
            end,
            kind: "secret",
        })
    }

    /// How long a value must at least be to be a secret, by the name before it; `None` where that is no secret's.
    fn name_before(&self, at: usize) -> Option<usize> {
        let mut back = 1;
        while back <= MAX_BLANKS && self.before(at, back) == Some(b' ') {
            back += 1;
        }
        if self
            .before(at, back)
            .is_some_and(|byte| b"\"'`".contains(&byte))
        {
            back += 1;
            while back <= 2 * MAX_BLANKS && self.before(at, back) == Some(b'\\') {
                back += 1;
            }
        }
        let end = (at + 1).checked_sub(back)?;
        let mut start = end;
        while end - start < name::LONGEST
            && self
                .before(start, 1)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            start -= 1;
        }
        let is_parameter = matches!(self.before(start, 1), Some(b'?' | b'&'));
        name::shortest_value(self.text.get(start..end)?, is_parameter)
    }

    /// Where a quoted text ends, whose opening quote had so many backslashes before it; the text's end where it is not closed.
    fn closing(&self, start: usize, quote: u8, escapes: usize) -> usize {
        let mut slashes = 0;
        for (place, byte) in self.rest(start).iter().enumerate() {
            if *byte == b'\\' {
                slashes += 1;
                continue;
            }
            let closes = if escapes == 0 {
                slashes % 2 == 0
            } else {
                slashes <= escapes
            };
            if *byte == quote && closes {
                return start + place - if escapes == 0 { 0 } else { slashes };
            }
            slashes = 0;
        }
        self.text.len()
    }

    /// A PEM block of a private key.
    fn private_key(&self, at: usize) -> Option<Found> {
        const FENCE: &[u8] = b"-----";
        let label = self.rest(at).strip_prefix(b"-----BEGIN ")?;
        let label = label.get(..label.len().min(64))?;
        let length = label.iter().position(|byte| {
            !byte.is_ascii_uppercase() && !byte.is_ascii_digit() && *byte != b' '
        })?;
        let (label, rest) = label.split_at(length);
        (rest.starts_with(FENCE) && label.ends_with(b"PRIVATE KEY")).then_some(())?;
        let rest = self.rest(at);
        let end = memmem::find(rest, b"-----END ").and_then(|end| {
            let after = end + b"-----END ".len();
            Some(after + memmem::find(rest.get(after..)?, FENCE)? + FENCE.len())
        });
        Some(Found {
            start: at,
            end: at + end.unwrap_or(rest.len()),
            kind: "private_key",
        })
    }
}

/// How many blanks may stand around a separator.
const MAX_BLANKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_found_wherever_they_stand() {
        for length in 0..24 {
            for filler in [b'a', b';', b'<', b'>', b'9', 0, 0xFF] {
                let mut text = vec![filler; length];
                assert!(!has_separator(&text), "{text:?}");
                for place in 0..length {
                    for separator in [b':', b'='] {
                        text[place] = separator;
                        assert!(has_separator(&text), "{text:?}");
                    }
                    text[place] = filler;
                }
            }
        }
    }
}
