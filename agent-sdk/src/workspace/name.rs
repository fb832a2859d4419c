//! Names that mean the same everywhere: which may be made, and how text becomes one.

use crate::text::{is_control, is_invisible};

/// The longest name that file systems take, in bytes.
const NAME_BYTES: usize = 255;
/// The longest slug, in characters.
const SLUG_CHARS: usize = 40;
/// The longest name made of an id, in characters.
const ID_CHARS: usize = 64;

/// How the names of files begin that are being written. They are neither listed nor given to anybody else.
pub(super) const TEMPORARY: &str = ".agent-write-";

/// Where version control keeps its own files, which may hold credentials, and programs that it runs.
const VERSION_CONTROL: [&str; 6] = [".git", ".hg", ".svn", ".jj", "CVS", "git~1"];

/// Names that Windows keeps for devices, whatever follows the first dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Whether a name is one of version control's, on any file system: some do not tell case, characters that do not show, or dots and
/// spaces at the end.
pub(super) fn is_version_control(name: &str) -> bool {
    let is_kept = |name: &str| {
        VERSION_CONTROL
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept))
    };
    if is_kept(name) {
        return true;
    }
    let ignored =
        |c: char| is_control(c) || is_invisible(c) || matches!(c, '\u{200c}' | '\u{200d}');
    let seen: String = name.chars().filter(|c| !ignored(*c)).collect();
    is_kept(seen.trim_end_matches(['.', ' ']))
}

/// Says what is wrong with a name that shall be made: it must mean the same on every system, and look like what it is.
pub(super) fn portable(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("has an empty name");
    }
    if name.len() > NAME_BYTES {
        return Err("has a name of more than 255 bytes");
    }
    if name.chars().any(|c| is_control(c) || is_invisible(c)) {
        return Err("has a name with characters that do not show");
    }
    if name.contains(['<', '>', ':', '"', '|', '?', '*', '\\', '/']) {
        return Err("has a name with one of `< > : \" | ? * \\`, which not every system allows");
    }
    if name.contains(looks_like_a_slash) {
        return Err("has a name with a character that looks like a slash");
    }
    if name.chars().all(looks_like_a_dot) {
        return Err("has a name of dots alone");
    }
    if name.starts_with(char::is_whitespace)
        || name.ends_with(|c: char| c == '.' || c.is_whitespace())
    {
        return Err("has a name that begins with a space, or ends in a space or a dot");
    }
    if name.starts_with('~') {
        return Err(
            "begins with `~`, which stands for no folder here: paths begin at the workspace",
        );
    }
    let lower = name.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%00"]
        .iter()
        .any(|coded| lower.contains(coded))
    {
        return Err("has a percent-encoded name: write names as they are");
    }
    if is_device(&lower) {
        return Err("has a name that Windows keeps for a device");
    }
    if lower.starts_with(TEMPORARY) {
        return Err("has a name kept for files that are being written");
    }
    Ok(())
}

fn looks_like_a_slash(c: char) -> bool {
    matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{29f5}'
            | '\u{29f8}'
            | '\u{29f9}'
            | '\u{fe68}'
            | '\u{ff0f}'
            | '\u{ff3c}'
    )
}

fn looks_like_a_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}'..='\u{2026}' | '\u{fe52}' | '\u{ff0e}')
}

/// Whether a name in lower case is a device's.
fn is_device(lower: &str) -> bool {
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    let is_numbered = ["com", "lpt"].iter().any(|device| {
        let number = stem
            .strip_prefix(device)
            .map(|rest| rest.chars().collect::<Vec<_>>());
        matches!(number.as_deref(), Some(['0'..='9' | '¹' | '²' | '³']))
    });
    is_numbered || DEVICES.contains(&stem)
}

/// A short name that says what a text is about: ASCII letters in lower case, digits and single hyphens, at most 40, never empty, and a
/// name on every system.
///
/// It is made of the text's first words. Letters that are not ASCII are left out; a text without any that are gives `task`.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(SLUG_CHARS + 1);
    for c in text.chars() {
        // One more than is kept, to see whether a word ends there.
        if slug.len() > SLUG_CHARS {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !c.is_alphanumeric() && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.len() > SLUG_CHARS {
        // A word is cut only where it alone fills the half.
        let end = slug.rfind('-').filter(|end| *end >= SLUG_CHARS / 2);
        slug.truncate(end.unwrap_or(SLUG_CHARS));
    }
    never_taken(slug.trim_end_matches('-'), "task")
}

/// An id as a name: ASCII letters, digits, `-` and `_` stay, whatever else stands between them becomes a hyphen; at most 64.
pub(super) fn from_id(id: &str, otherwise: &str) -> String {
    let mut name = String::with_capacity(id.len().min(ID_CHARS));
    for c in id.chars() {
        if name.len() == ID_CHARS {
            break;
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    never_taken(name.trim_end_matches('-'), otherwise)
}

/// The name, or another one where it is empty or kept for something.
fn never_taken(name: &str, otherwise: &str) -> String {
    if name.is_empty() {
        otherwise.to_owned()
    } else if is_device(&name.to_ascii_lowercase()) || is_version_control(name) {
        format!("{otherwise}-{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slug_is_the_text_s_first_words() {
        for (text, expected) in [
            ("Review the code!", "review-the-code"),
            ("  What's new in Rust 1.95?\n", "what-s-new-in-rust-1-95"),
            ("a/../../b", "a-b"),
            ("..", "task"),
            ("", "task"),
            ("値段を調べて", "task"),
            ("Größe der Tür", "gre-der-tr"),
            ("CON", "task-con"),
            ("nul", "task-nul"),
            ("com7", "task-com7"),
            ("lpt1.", "task-lpt1"),
            ("cvs", "task-cvs"),
            ("console", "console"),
            ("\x1b[31mred\u{202e}", "31mred"),
            (
                "Summarise the quarterly numbers of all our departments",
                "summarise-the-quarterly-numbers-of-all",
            ),
            (
                "Summarise the quarterly numbers of every one",
                "summarise-the-quarterly-numbers-of-every",
            ),
            (&"x".repeat(100), &"x".repeat(40)),
            (
                &format!("a {}", "x".repeat(100)),
                &format!("a-{}", "x".repeat(38)),
            ),
        ] {
            assert_eq!(slug(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_id_stays_readable_and_becomes_a_name() {
        for (id, expected) in [
            ("01936f1e-7a", "01936f1e-7a"),
            ("ada@example.org", "ada-example-org"),
            ("../../etc", "etc"),
            ("Team_A", "Team_A"),
            ("日本", "user"),
            ("-", "user"),
            ("AUX", "user-AUX"),
        ] {
            assert_eq!(from_id(id, "user"), expected, "{id:?}");
        }
        assert_eq!(from_id(&"a".repeat(1000), "user").len(), 64);
    }

    #[test]
    fn t6_names_that_mean_something_else_somewhere_are_not_made() {
        for name in [
            "",
            ".",
            "..",
            "...",
            "\u{2025}",
            "\u{ff0e}\u{ff0e}",
            "a.",
            "a ",
            " a",
            "\u{a0}a",
            "~",
            "~root",
            "a:b",
            "a*",
            "a?b",
            "a|b",
            "<a>",
            "a\"b",
            "a\\b",
            "a/b",
            "a\u{2215}b",
            "a\u{ff0f}b",
            "%2e%2e",
            "a%2Fb",
            "a%00",
            "con",
            "NUL.txt",
            "com1.tar.gz",
            "Lpt9",
            "aux .txt",
            "COM¹",
            "conin$",
            "a\nb",
            "a\tb",
            "a\u{202e}txt.exe",
            "a\u{200b}b",
            "\u{feff}a",
            "a\0",
            ".agent-write-1",
            ".AGENT-WRITE-x",
        ] {
            assert!(portable(name).is_err(), "{name:?}");
        }
        assert!(portable(&"é".repeat(128)).is_err());
        for name in [
            "a",
            ".env",
            "a.b.c",
            "two words.md",
            "Größe.txt",
            "値.md",
            "[id].tsx",
            "$post.tsx",
            "a&b",
            "100%",
            "it's",
            "console",
            "com10",
            "a…b",
            "-x",
            "#1",
        ] {
            assert_eq!(portable(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn t6_version_control_is_known_in_every_spelling() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            ".git.",
            ".git ",
            ".git. .",
            ".g\u{200c}it",
            ".gi\u{200b}t",
            "\u{feff}.git",
            "GIT~1",
            ".hg",
            ".svn",
            ".jj",
            "cvs",
        ] {
            assert!(is_version_control(name), "{name:?}");
        }
        for name in [".gitignore", "git", ".github", "a.git", "cvs2"] {
            assert!(!is_version_control(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn t6_whatever_the_prompt_its_slug_is_a_safe_name(text in any::<String>(), ascii in "[ -~]{0,80}") {
            for text in [&text, &ascii, &format!("{ascii}{text}")] {
                let slug = slug(text);
                prop_assert!(!slug.is_empty() && slug.len() <= SLUG_CHARS);
                prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", slug);
                prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"), "{}", slug);
                prop_assert_eq!(portable(&slug), Ok(()));
                prop_assert!(!is_version_control(&slug));
                let id = from_id(text, "user");
                prop_assert_eq!(portable(&id), Ok(()));
                prop_assert!(!is_version_control(&id));
            }
        }
    }
}
