//! Taking secrets and personal data out of texts, before they are shown, logged or sent.
//!
//! [`keys`] takes out what looks like a key, a token or a password; every [`ModelError`](crate::model::ModelError) passes through
//! it, whoever made it. A [`Redactor`] does that and more: e-mail addresses and card numbers, secrets that it was given by value, and
//! whatever functions of the user's find. What is taken out leaves a mark that says what it was: `[redacted:email]`.
//!
//! Promises, for any text:
//! - one pass in linear time, with nothing built where nothing is found;
//! - the result is UTF-8, and JSON stays JSON where it is handed over as such ([`Redactor::json`]);
//! - redacting again changes nothing (functions of the user's aside).
//!
//! | Found | How it is recognised | Mark |
//! |---|---|---|
//! | API keys | prefixes of providers: `sk-`, `sk-ant-`, `AIza`, `ghp_`, `github_pat_`, `xoxb-`, `AKIA`, `whsec_` and others; addresses of Slack's and Discord's webhooks | `key` |
//! | tokens | JSON web tokens; what follows `Bearer` | `token` |
//! | values of secrets | after the name of a header, a variable, a JSON key or a URL's parameter: `Authorization:`, `x-api-key:`, `password=`, `"client_secret":`, `?key=` | `secret` |
//! | private keys | PEM blocks, also where their end is missing | `private_key` |
//! | user and password of a URL | `https://user:password@host` | `userinfo` |
//! | e-mail addresses | `name@host.tld`, also with `%40` | `email` |
//! | card numbers | 13 to 19 digits, in groups or not, that begin with 2 to 6 and have a valid check digit | `card` |
//! | secrets by value | as they are, and in base64 (any alignment, both alphabets), percent-encoded, hex and JSON-escaped | `secret` |
//!
//! No pattern finds everything. Known to be **missed**: keys without a prefix and a name (40 characters of an AWS secret key in
//! prose), a password that a sentence tells, one of small letters only behind `password: `, an unquoted value behind its first space or comma, secrets that were split, reversed,
//! compressed or encoded twice, the values of short secrets (under 8 bytes) in base64, e-mail addresses with letters outside
//! the Latin, Greek and Cyrillic scripts, cards that break over two lines. A secret that matters is best given by value. Known to be
//! **taken for something that they are not**: `icon@2x.png`, `git@github.com`, one in ten runs of 13 to 19 digits that begin with 2 to 6,
//! a word of prose that has more than small letters after `password: `.
//!
//! # Example
//!
//! ```
//! use agent_sdk::redact::{self, Redactor};
//!
//! assert_eq!(redact::keys("401 for sk-proj-4f9a8b7c6d5e4f3a2b1c"), "401 for [redacted:key]");
//! let redactor = Redactor::new().with_secret("swordfish-42");
//! let said = "jo@example.com paid with 4111 1111 1111 1111 and said c3dvcmRmaXNoLTQy";
//! let shown = "[redacted:email] paid with [redacted:card] and said [redacted:secret]";
//! assert_eq!(redactor.text(said), shown);
//! ```

mod card;
mod email;
mod json;
mod name;
mod scan;
mod secrets;
#[cfg(test)]
mod tests;
mod token;

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use scan::Wanted;
use secrets::Secret;

#[cfg(any(feature = "http", feature = "command"))]
pub(crate) use secrets::Secrets;
#[cfg(feature = "http")]
pub(crate) use secrets::forms;

/// The text without what looks like a key, a token or a password. The patterns are those of the [module](self), without e-mail
/// addresses and card numbers.
pub fn keys(text: &str) -> Cow<'_, str> {
    scan::run(text, Wanted::Keys)
}

/// Takes out of a text what [`keys`] does.
pub(crate) fn take_out_keys(text: &mut String) {
    if let Cow::Owned(clean) = keys(text) {
        *text = clean;
    }
}

/// A function of the user's that takes something out of a text.
type Own = dyn for<'t> Fn(&'t str) -> Cow<'t, str> + Send + Sync;

/// Takes secrets and personal data out of texts. Cheap to clone.
///
/// In this order: secrets that it was given by value, the patterns of the [module](self), functions of the user's.
#[derive(Clone)]
pub struct Redactor {
    wanted: Wanted,
    secrets: Arc<[Secret]>,
    own: Arc<[Arc<Own>]>,
}

impl Redactor {
    /// One with all patterns.
    pub fn new() -> Self {
        Self {
            wanted: Wanted::All,
            secrets: Arc::default(),
            own: Arc::default(),
        }
    }

    /// One that leaves e-mail addresses and card numbers, for texts that are no content: its secrets by value and its patterns for
    /// keys are the same, functions of the user's are left out.
    #[must_use]
    pub fn for_keys(&self) -> Self {
        Self {
            wanted: Wanted::Keys,
            secrets: self.secrets.clone(),
            own: Arc::default(),
        }
    }

    /// Also takes out this secret, as it is and in the encoded forms of the [module](self). Secrets under 4 bytes are ignored:
    /// they would be found everywhere.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        let more = Secret::forms(secret);
        self.secrets = self.secrets.iter().cloned().chain(more).collect();
        self
    }

    /// Also takes out the secrets that another one was given by value.
    #[must_use]
    pub fn with_secrets_of(mut self, other: &Self) -> Self {
        let all = self.secrets.iter().chain(&*other.secrets);
        self.secrets = all.cloned().collect();
        self
    }

    /// Also applies this function, after everything else, to each text by itself: of JSON to each string and to each key. Where it
    /// panics, the whole text is taken out.
    #[must_use]
    pub fn with<F>(mut self, own: F) -> Self
    where
        F: for<'t> Fn(&'t str) -> Cow<'t, str> + Send + Sync + 'static,
    {
        let own: Arc<Own> = Arc::new(own);
        self.own = self.own.iter().cloned().chain([own]).collect();
        self
    }

    /// The text without what is to be taken out.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = secrets::without(text, &self.secrets);
        then(&mut clean, |text| scan::run(text, self.wanted));
        for own in &*self.own {
            then(&mut clean, |text| {
                let redacted = catch_unwind(AssertUnwindSafe(|| own(text)));
                redacted.unwrap_or(Cow::Borrowed("[redacted:failed]"))
            });
        }
        clean
    }

    /// Whether a secret that it was given by value stands in these bytes, in any of its forms.
    pub fn finds_secret(&self, bytes: &[u8]) -> bool {
        self.secrets.iter().any(|secret| secret.is_in(bytes))
    }

    /// JSON without what is to be taken out. A value under a key such as `password` or `api_key` is taken out whole, every other
    /// string and every key is redacted as a text, and numbers that are card numbers become marks.
    pub fn json(&self, value: serde_json::Value) -> serde_json::Value {
        json::redact(self, value, json::MAX_DEPTH)
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("wanted", &self.wanted)
            .field("forms_of_secrets", &self.secrets.len())
            .field("own", &self.own.len())
            .finish()
    }
}

/// Applies a step, and keeps what was lent as long as no step changes it.
fn then<'t>(text: &mut Cow<'t, str>, step: impl for<'a> FnOnce(&'a str) -> Cow<'a, str>) {
    match text {
        Cow::Borrowed(lent) => *text = step(lent),
        Cow::Owned(own) => {
            if let Cow::Owned(changed) = step(own) {
                *text = Cow::Owned(changed);
            }
        }
    }
}

/// What stands in place of a secret of a kind.
fn mark(kind: &str) -> String {
    format!("{MARK}{kind}]")
}

/// How every mark begins.
const MARK: &str = "[redacted:";
