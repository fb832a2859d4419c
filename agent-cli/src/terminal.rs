//! Text that is safe to show, and how much a terminal can show.
//!
//! Models, tools and files write text that nobody has checked. On a terminal such text can move the cursor, rewrite lines,
//! fill the clipboard or turn the reading direction around; in a log it can forge lines. [`safe`] and [`safe_line`] make every
//! such character visible instead.

use std::{borrow::Cow, ffi::OsString, fmt::Write};

use agent_sdk::text::{is_control, is_invisible};

/// Text of several lines: what could act on a terminal becomes visible (`\x1b`, `\u{202e}`); line feeds and tabs stay.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// Text of one line: as [`safe`], and line feeds and tabs become visible too.
pub(crate) fn safe_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let acts = |c: char| acts_on_a_terminal(c) && !keep(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing to a `String` cannot fail.
        let _ = match c {
            c if !acts(c) => shown.write_char(c),
            '\n' | '\r' | '\t' => write!(shown, "{}", c.escape_default()),
            c if c.is_ascii() => write!(shown, "\\x{:02x}", u32::from(c)),
            c => write!(shown, "{}", c.escape_unicode()),
        };
    }
    Cow::Owned(shown)
}

/// Whether a character does something other than to appear.
fn acts_on_a_terminal(c: char) -> bool {
    is_control(c) || is_invisible(c)
}

/// What may be used to draw on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Colours.
    pub(crate) colour: bool,
    /// Box characters and dots; otherwise plain ASCII.
    pub(crate) unicode: bool,
    /// Somebody watches: a line may be drawn over.
    pub(crate) live: bool,
}

impl Style {
    /// Neither colours nor box characters.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        colour: false,
        unicode: false,
        live: false,
    };

    /// What a stream can show. `NO_COLOR` switches colours off, `CLICOLOR_FORCE` on, `CLICOLOR=0` and `TERM=dumb` off; without
    /// them, a terminal has colours and anything else is plain.
    pub(crate) fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is = |name: &str, value: &str| set(name).is_some_and(|found| found == value);
        let dumb = is("TERM", "dumb");
        let colour = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") {
            true
        } else {
            is_terminal && !dumb && !is("CLICOLOR", "0")
        };
        Self {
            colour,
            unicode: is_terminal && !dumb,
            live: is_terminal && !dumb,
        }
    }

    /// Text in a colour, where there are colours.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> Cow<'_, str> {
        if self.colour {
            Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", paint.code()))
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Look here.
    Strong,
    /// Less important.
    Dim,
    /// Something went wrong.
    Bad,
    /// What decided how long it took.
    Critical,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Bad => "31",
            Self::Critical => "33",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether any terminal could do anything with the text but show it.
    fn is_inert(text: &str) -> bool {
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        text.chars().all(|c| {
            let code = u32::from(c);
            let control = code < 0x20 || (0x7f..0xa0).contains(&code);
            !control && !bidi.contains(c)
        })
    }

    #[test]
    fn no_byte_value_acts_on_a_terminal() {
        for byte in 0..=u8::MAX {
            for text in [
                char::from(byte).to_string(),
                String::from_utf8_lossy(&[byte]).into_owned(),
                String::from_utf8_lossy(&[b'a', byte, b'[', b'2', b'J']).into_owned(),
            ] {
                let line = safe_line(&text);
                assert!(is_inert(&line), "{byte:#x}: {line:?}");
                let lines = safe(&text);
                assert!(
                    is_inert(&lines.replace(['\n', '\t'], "")),
                    "{byte:#x}: {lines:?}"
                );
            }
        }
    }

    #[test]
    fn no_direction_control_survives() {
        for code in (0x202a..=0x202e)
            .chain(0x2066..=0x2069)
            .chain([0x61c, 0x200e, 0x200f])
        {
            let c = char::from_u32(code).unwrap();
            let text = format!("a{c}b");
            assert_eq!(safe(&text), format!("a\\u{{{code:x}}}b"));
            assert_eq!(safe_line(&text), format!("a\\u{{{code:x}}}b"));
        }
    }

    #[test]
    fn attacks_become_visible() {
        for (attack, shown) in [
            ("\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
            ("\x1b]52;c;cm0gLXJm\x07", r"\x1b]52;c;cm0gLXJm\x07"),
            ("\x1b]8;;http://evil\x1b\\x", r"\x1b]8;;http://evil\x1b\x"),
            ("real\rfake", r"real\rfake"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\u{8}b\u{7f}", r"a\x08b\x7f"),
            ("hid\u{e0041}den", r"hid\u{e0041}den"),
        ] {
            assert_eq!(safe(attack), shown);
        }
        assert_eq!(safe_line("a\nb\tc"), r"a\nb\tc");
    }

    #[test]
    fn an_attack_in_pieces_is_as_visible() {
        let attack = "a\x1b]52;c;cm0=\x07\x1b[2J\u{202e}b";
        for (split, _) in attack.char_indices() {
            let (first, second) = attack.split_at(split);
            assert_eq!(format!("{}{}", safe(first), safe(second)), safe(attack));
        }
    }

    #[test]
    fn ordinary_text_is_borrowed_as_it_is() {
        for text in [
            "plain",
            "two\nlines\tand a tab",
            "Größe 値 👩\u{200d}💻 نام‌ه",
        ] {
            assert!(matches!(safe(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn variables_decide_about_colours() {
        let style = |terminal: bool, variables: &[(&str, &str)]| {
            Style::of(terminal, |name| {
                let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
                Some(OsString::from(value))
            })
        };
        assert!(style(true, &[]).colour);
        assert_eq!(style(false, &[]), Style::PLAIN);
        assert!(!style(true, &[("NO_COLOR", "1")]).colour);
        assert!(style(true, &[("NO_COLOR", "")]).colour);
        assert!(!style(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]).colour);
        assert!(style(false, &[("CLICOLOR_FORCE", "1")]).colour);
        assert!(!style(false, &[("CLICOLOR_FORCE", "1")]).unicode);
        assert!(!style(false, &[("CLICOLOR_FORCE", "0")]).colour);
        assert!(!style(true, &[("CLICOLOR", "0")]).colour);
        assert_eq!(style(true, &[("TERM", "dumb")]), Style::PLAIN);
    }
}
