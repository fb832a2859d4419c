//! Keys where no key belongs.
//!
//! A key in an argument is seen by everybody on the machine and stays in the shell's history. The command warns of it, and never
//! repeats it: whatever it says on standard error passes through [`redact`].
//!
//! The keys of providers come from variables, and are known by value: a server that repeats one puts it in no log.

use std::{borrow::Cow, ffi::OsString, sync::LazyLock};

use agent_sdk::redact::{Redactor, keys};

/// Shorter values are placeholders such as `none`, which stand in many texts.
const SHORTEST: usize = 8;

/// Finds keys by their look, and those of the environment by value.
static KNOWN: LazyLock<Redactor> = LazyLock::new(|| {
    let known = Redactor::new().for_keys();
    of_environment().fold(known, |known, key| known.with_secret(&key))
});

/// The values of the variables that hold keys of providers.
pub(crate) fn of_environment() -> impl Iterator<Item = String> {
    let named = |(name, value): (OsString, OsString)| {
        let is_key = name.to_str()?.ends_with("_API_KEY");
        value.into_string().ok().filter(|_| is_key)
    };
    std::env::vars_os()
        .filter_map(named)
        .filter(|key| key.trim().len() >= SHORTEST)
}

/// Whether the text seems to hold a key.
pub(crate) fn seems_to_hold_a_key(text: &str) -> bool {
    matches!(keys(text), Cow::Owned(_))
}

/// The text with whatever looks like a key replaced.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    KNOWN.text(text)
}

/// What to say where one of the arguments seems to hold a key.
pub(crate) fn warning<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let number = arguments.into_iter().position(seems_to_hold_a_key)?;
    Some(format!(
        "warning: argument {number} seems to hold a key or a password. Others on this machine can see arguments, and the shell \
         keeps them: pass it in an environment variable such as OPENAI_API_KEY, and replace it where it is in use."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 9] = [
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "sk-ant-api03-abcdefghijklmnop",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "Bearer abcdefghijklmnop.qrstuv",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "https://user:hunter2@example.com/v1",
        "api_key=0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk",
    ];

    #[test]
    fn keys_are_found_and_never_repeated() {
        for key in KEYS {
            let argument = format!("use {key} please");
            assert!(seems_to_hold_a_key(&argument), "{key}");
            let shown = redact(&argument);
            assert!(shown.contains("[redacted:"), "{shown}");
            assert!(!shown.contains(key), "{shown}");
            let warning = warning(["agent", "run", &argument]).unwrap();
            assert!(warning.starts_with("warning: argument 2 "), "{warning}");
            assert!(!warning.contains(key), "{warning}");
        }
    }

    #[test]
    fn ordinary_words_are_no_keys() {
        for text in [
            "What is the task-force-of-many-long-words about?",
            "gpt-4o-mini-2024-07-18",
            "risk-assessment-of-the-whole-thing",
            "https://example.com:8080/v1",
            "max_tokens=100000000",
            "author@example.com",
        ] {
            assert!(!seems_to_hold_a_key(text), "{text}");
            assert_eq!(redact(text), text);
        }
    }
}
