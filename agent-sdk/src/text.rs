//! Text that nobody has checked: what in it acts on whoever shows it, and how to be rid of that.
//!
//! Models, tools and files write text that can move a cursor, rewrite lines, fill a clipboard or turn the reading direction around.
//! [`is_control`] and [`is_invisible`] are the table of such characters. [`strip_controls`] takes the acting ones out of a text,
//! whole sequences at once; [`escape_json`] makes a JSON text inert without changing what it means. To show a person what
//! was there, escape the characters of the table visibly instead.

use std::{borrow::Cow, fmt::Write};

/// Whether a character acts on whoever shows it: a control character (C0, DEL, C1), or one that embeds, overrides or isolates the
/// reading direction. Line feed and tab are control characters too.
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Whether a character takes no place of its own, so that a text may hold something that nobody sees: marks of direction, breaks and
/// spaces without width, annotations, tags.
///
/// The joiners without width are not among them: words in several scripts, and emoji, need them.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The text without what acts on a terminal: escape sequences are left out whole, and then every character of [`is_control`] but line
/// feed and tab.
///
/// A sequence that carries text (`OSC`, `DCS`, …) takes it along where its end follows within the line; where it has none, its
/// beginning alone is left out and the text stays. Takes time in proportion to the text, whatever is in it. A carriage return is
/// left out too, so that lines end in a line feed alone.
///
/// # Example
///
/// ```
/// use agent_sdk::text::strip_controls;
///
/// assert_eq!(strip_controls("\x1b[31mred\x1b[0m\r\n"), "red\n");
/// assert_eq!(strip_controls("\x1b]52;c;cm0gLXJm\x07done\u{202e}"), "done");
/// ```
pub fn strip_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_stripped) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_stripped) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let mut chars = from.chars();
        let length = match chars.next() {
            Some('\x1b') => escape_length(chars.as_str()),
            Some('\u{9b}') => control_length(chars.as_str()),
            Some('\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => string_length(chars.as_str()),
            _ => 0,
        };
        rest = chars.as_str().get(length..).unwrap_or_default();
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// JSON text whose characters of [`is_control`] and [`is_invisible`] are written as escapes of JSON (`\u202e`): it acts on nobody, and
/// means the same to whoever parses it.
///
/// The text must be JSON on one line: between values a line feed would become an escape too, which is no JSON.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escape_json_but(json, |_| false)
}

/// As [`escape_json`], for JSON of several lines.
#[cfg(feature = "workspace")]
pub(crate) fn escape_json_lines(json: &str) -> String {
    // None of the three can stand in a string of JSON as it is, so between values they may go or stay.
    escape_json_but(&json.replace('\r', ""), |c| matches!(c, '\n' | '\t')).into_owned()
}

fn escape_json_but(json: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let acts = |c: char| (is_control(c) || is_invisible(c)) && !keep(c);
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_stripped(c: char) -> bool {
    is_control(c) && !matches!(c, '\n' | '\t')
}

/// How many bytes after an `ESC` belong to it.
fn escape_length(after: &str) -> usize {
    let Some(first) = after.chars().next() else {
        return 0;
    };
    let inside = after.get(first.len_utf8()..).unwrap_or_default();
    match first {
        '[' => 1 + control_length(inside),
        ']' | 'P' | 'X' | '^' | '_' => 1 + string_length(inside),
        ' '..='/' => {
            let length = span(after, |c| matches!(c, ' '..='/'));
            length + span_of_one(after, length, |c| matches!(c, '0'..='~'))
        }
        '0'..='~' => 1,
        _ => 0,
    }
}

/// How many bytes after a `CSI` belong to it: parameters and a last letter, or none where it has no last letter.
fn control_length(after: &str) -> usize {
    let parameters = span(after, |c| matches!(c, '0'..='?'));
    let inside = after.get(parameters..).unwrap_or_default();
    let length = parameters + span(inside, |c| matches!(c, ' '..='/'));
    match span_of_one(after, length, |c| matches!(c, '@'..='~')) {
        0 => 0,
        last => length + last,
    }
}

/// How many bytes after the beginning of a string belong to it: its text and its end, or none where the line has no end of it.
///
/// No other control character can be inside, so the search stops at the first: no part of a text is searched twice.
fn string_length(after: &str) -> usize {
    let length = span(after, |c| c == '\t' || !is_control(c));
    let end = after.get(length..).unwrap_or_default();
    for ends in ["\x07", "\x1b\\", "\u{9c}"] {
        if end.starts_with(ends) {
            return length + ends.len();
        }
    }
    0
}

/// How many bytes at the beginning of a text are of such characters.
fn span(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

/// The length of the character at a place, if it is such a one.
fn span_of_one(text: &str, at: usize, of: impl Fn(char) -> bool) -> usize {
    let next = text.get(at..).and_then(|rest| rest.chars().next());
    next.filter(|c| of(*c)).map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn is_inert(text: &str) -> bool {
        !text.chars().any(is_stripped)
    }

    #[test]
    fn c3_no_byte_value_survives_where_it_acts() {
        for byte in 0..=u8::MAX {
            let c = char::from(byte);
            let stripped = strip_controls(&format!("a{c}")).into_owned();
            let acts =
                (byte < 0x20 && !matches!(byte, b'\n' | b'\t')) || (0x7f..0xa0).contains(&byte);
            let expected = if acts {
                "a".to_owned()
            } else {
                format!("a{c}")
            };
            assert_eq!(stripped, expected, "{byte:#x}");
            for text in [
                format!("{c}[2Jb"),
                format!("\x1b{c}b"),
                format!("\x1b[{c}b"),
                format!("\x1b]{c}b\x07"),
            ] {
                let stripped = strip_controls(&text);
                assert!(is_inert(&stripped), "{byte:#x}: {stripped:?}");
            }
        }
    }

    #[test]
    fn c3_attacks_are_left_out_whole() {
        for (attack, left) in [
            ("a\x1b[2J\x1b[Hb", "ab"),
            ("\x1b[38;2;1;2;3mred\x1b[0m", "red"),
            ("\x1b]52;c;cm0gLXJm\x07x", "x"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bPq#0;2;0\x1b\\x", "x"),
            ("\x1b_payload\x1b\\x", "x"),
            ("\u{9d}0;title\u{9c}x\u{9b}31my", "xy"),
            ("real\rfake", "realfake"),
            ("a\r\nb\tc\n", "a\nb\tc\n"),
            ("a\x08b\x7fc\x07d\0e", "abcde"),
            ("\x1b(Bx\x1bcy\x1b7z", "xyz"),
            ("user\u{202e}nimda\u{202c} \u{2066}x\u{2069}", "usernimda x"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("\x1b[31", "31"),
            ("\x1b[é", "é"),
            ("\x1bé", "é"),
            ("\x1b]52;c;no end\nkept", "52;c;no end\nkept"),
            ("\x1b]a\x1b[31mb", "ab"),
            ("\x1b\x1b[31mb", "b"),
        ] {
            assert_eq!(strip_controls(attack), left, "{attack:?}");
        }
    }

    #[test]
    fn ordinary_text_is_borrowed_as_it_is() {
        for text in [
            "plain",
            "two\nlines\tand a tab",
            "Größe 値 👩\u{200d}💻 نام\u{200c}ه \u{200f}mark",
        ] {
            assert!(matches!(strip_controls(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn hostile_text_takes_no_longer_than_its_length() {
        for piece in [
            "\x1b]",
            "\x1b[",
            "\u{9d}",
            "\x1b]x\x1b",
            "\x1b[1",
            "\x1b ",
            "\u{9b}0;",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            let began = Instant::now();
            assert!(is_inert(&strip_controls(&text)));
            // Were it quadratic, it would take minutes.
            assert!(began.elapsed() < Duration::from_secs(10), "{piece:?}");
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "a\x1b[2J\u{9b}\u{202e}\u{e0041}\u{7f}ö";
        let json = serde_json::to_string(text).unwrap();
        let shown = escape_json(&json);
        assert!(is_inert(&shown) && !shown.contains(is_invisible), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert!(matches!(escape_json(r#""plain""#), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn what_is_left_is_inert_and_stays_as_it_is(text in any::<String>(), tail in "[\\x1b\\[\\]\u{9b}\u{9d}0;a\\x07\\\\\n]{0,40}") {
            let text = format!("{text}{tail}");
            let once = strip_controls(&text).into_owned();
            prop_assert!(is_inert(&once));
            prop_assert!(once.len() <= text.len());
            prop_assert_eq!(&*strip_controls(&once), &*once);
        }
    }
}
