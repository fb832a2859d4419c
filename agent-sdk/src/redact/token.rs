//! Keys and tokens that are recognised by how they begin.

use super::scan::{Found, Place};

/// How a provider's keys look: how they begin, and how many characters of which sort follow at least.
struct Shape {
    prefix: &'static str,
    shortest: usize,
    sort: Sort,
}

#[derive(Clone, Copy)]
enum Sort {
    /// Letters, digits, `-` and `_`, among them something that no word has: prefixes that words could have too.
    Random,
    /// Letters, digits, `-` and `_`.
    Word,
    /// Capitals and digits.
    Capitals,
    /// As in the path of a URL.
    Path,
}

const fn shape(prefix: &'static str, shortest: usize, sort: Sort) -> Shape {
    Shape {
        prefix,
        shortest,
        sort,
    }
}

const A: &[Shape] = &[
    shape("AIza", 30, Sort::Word),
    shape("AKIA", 16, Sort::Capitals),
    shape("ASIA", 16, Sort::Capitals),
];
const C: &[Shape] = &[shape("csk-", 16, Sort::Random)];
const D: &[Shape] = &[
    shape("discord.com/api/webhooks/", 16, Sort::Path),
    shape("dop_v1_", 16, Sort::Word),
];
const G: &[Shape] = &[
    shape("ghp_", 16, Sort::Word),
    shape("gho_", 16, Sort::Word),
    shape("ghu_", 16, Sort::Word),
    shape("ghs_", 16, Sort::Word),
    shape("ghr_", 16, Sort::Word),
    shape("github_pat_", 16, Sort::Word),
    shape("glpat-", 16, Sort::Word),
    shape("gsk_", 16, Sort::Word),
];
const H: &[Shape] = &[
    shape("hf_", 16, Sort::Random),
    shape("hooks.slack.com/services/", 16, Sort::Path),
];
const N: &[Shape] = &[
    shape("nvapi-", 16, Sort::Word),
    shape("npm_", 20, Sort::Random),
];
const P: &[Shape] = &[shape("pplx-", 16, Sort::Random)];
const R: &[Shape] = &[
    shape("r8_", 16, Sort::Random),
    shape("rk_live_", 16, Sort::Word),
    shape("rk_test_", 16, Sort::Word),
];
const S: &[Shape] = &[
    shape("sk-", 16, Sort::Random),
    shape("sk_live_", 16, Sort::Word),
    shape("sk_test_", 16, Sort::Word),
];
const W: &[Shape] = &[shape("whsec_", 16, Sort::Word)];
const X: &[Shape] = &[
    shape("xai-", 16, Sort::Random),
    shape("xapp-", 16, Sort::Word),
    shape("xoxa-", 10, Sort::Word),
    shape("xoxb-", 10, Sort::Word),
    shape("xoxe-", 10, Sort::Word),
    shape("xoxp-", 10, Sort::Word),
    shape("xoxr-", 10, Sort::Word),
    shape("xoxs-", 10, Sort::Word),
];
const Y: &[Shape] = &[shape("ya29.", 16, Sort::Word)];

const fn shapes(first: u8) -> &'static [Shape] {
    match first {
        b'A' => A,
        b'c' => C,
        b'd' => D,
        b'g' => G,
        b'h' => H,
        b'n' => N,
        b'p' => P,
        b'r' => R,
        b's' => S,
        b'w' => W,
        b'x' => X,
        b'y' => Y,
        _ => &[],
    }
}

/// The shortest key or token that is found without a `:` or a `=` before it, in bytes.
pub(super) const SHORTEST: usize = "xoxb-".len() + 10;

/// Whether a token may begin with this byte.
pub(super) const fn begins(byte: u8) -> bool {
    byte.is_ascii_alphabetic() && (matches!(byte, b'b' | b'B' | b'e') || !shapes(byte).is_empty())
}

/// Whether a token that begins with one byte may go on with the other: most words are told from tokens by this.
pub(super) fn goes_on(first: u8, second: u8) -> bool {
    let seconds = SECONDS.get(usize::from(first)).copied().unwrap_or(0);
    second.is_ascii() && (seconds >> second) & 1 == 1
}

/// For each byte with which a token may begin those that may come second, as bits.
static SECONDS: [u128; 128] = seconds();

#[expect(
    clippy::indexing_slicing,
    reason = "computed while this is compiled, where it would not compile"
)]
const fn seconds() -> [u128; 128] {
    let mut seconds = [0; 128];
    let mut first = 0_u8;
    while first < 128 {
        let shapes = shapes(first);
        let mut shape = 0;
        while shape < shapes.len() {
            seconds[first as usize] |= 1 << shapes[shape].prefix.as_bytes()[1];
            shape += 1;
        }
        first += 1;
    }
    // `Bearer`, in any case, and `eyJ` of a JSON web token.
    seconds[b'b' as usize] |= 1 << b'e' | 1 << b'E';
    seconds[b'B' as usize] |= 1 << b'e' | 1 << b'E';
    seconds[b'e' as usize] |= 1 << b'y';
    seconds
}

/// The token that begins here.
pub(super) fn find(place: &Place<'_>, at: usize) -> Option<Found> {
    let rest = place.rest(at);
    let first = *rest.first()?;
    if first == b'e' && rest.starts_with(b"eyJ") {
        return web_token(place, at);
    }
    if matches!(first, b'b' | b'B') {
        return bearer(place, at);
    }
    let (shape, length) = shapes(first).iter().find_map(|shape| {
        let after = rest.strip_prefix(shape.prefix.as_bytes())?;
        let length = length(after, shape.sort);
        (length >= shape.shortest).then_some((shape, length))
    })?;
    Some(Found {
        start: at,
        end: at + shape.prefix.len() + length,
        kind: "key",
    })
}

/// How many bytes belong to a key; none where they are words.
fn length(after: &[u8], sort: Sort) -> usize {
    let is = |byte: &u8| match sort {
        Sort::Random | Sort::Word => is_word(*byte),
        Sort::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        Sort::Path => is_word(*byte) || *byte == b'/',
    };
    let run = |bytes: &[u8]| {
        bytes
            .iter()
            .position(|byte| !is(byte))
            .unwrap_or(bytes.len())
    };
    if let Sort::Random = sort {
        // Looked at no further: what shows nothing until here is looked at again from the next prefix in it.
        let head = after.get(..after.len().min(128)).unwrap_or_default();
        let key = head.get(..run(head)).unwrap_or_default();
        if !is_random(key) {
            return 0;
        }
    }
    run(after)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

/// Whether there is a digit in it, a capital, or a run of letters that is longer than most words.
fn is_random(key: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| key.iter().any(is);
    has(u8::is_ascii_digit)
        || has(u8::is_ascii_uppercase)
        || key
            .split(|byte| b"-_".contains(byte))
            .any(|run| run.len() >= 16)
}

/// A JSON web token: three texts in base64 with points between, of which the first is a JSON object.
fn web_token(place: &Place<'_>, at: usize) -> Option<Found> {
    // Inside such a text it would be looked for at each of its dashes.
    if place.before(at, 1).is_some_and(is_word) {
        return None;
    }
    let mut end = at;
    for part in 0..3 {
        if part > 0 {
            (place.byte(end) == Some(b'.')).then_some(())?;
            end += 1;
        }
        let length = place.run_of(end, is_word);
        (length >= 8).then_some(())?;
        end += length;
    }
    Some(Found {
        start: at,
        end,
        kind: "token",
    })
}

/// What follows the word `Bearer`, unless that is a word too.
fn bearer(place: &Place<'_>, at: usize) -> Option<Found> {
    const WORD: usize = "bearer".len();
    let word = place.rest(at).get(..WORD)?;
    word.eq_ignore_ascii_case(b"bearer").then_some(())?;
    let blanks = place.run_of(at + WORD, |byte| byte == b' ' || byte == b'\t');
    (1..=8).contains(&blanks).then_some(())?;
    let start = at + WORD + blanks;
    let length = place.run_of(start, |byte| is_word(byte) || b".~+/=".contains(&byte));
    let mut token = place.rest(start).get(..length)?;
    // The sentence may end here.
    while let Some(shorter) = token.strip_suffix(b".") {
        token = shorter;
    }
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    let is_token = token.len() >= 12 && !token.iter().all(is_word);
    is_token.then_some(Found {
        start,
        end: start + token.len(),
        kind: "token",
    })
}
