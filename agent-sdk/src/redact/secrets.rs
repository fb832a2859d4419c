//! Secrets that are known by value, in the forms in which they may come back.

use std::{borrow::Cow, fmt};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};
use memchr::memmem;
#[cfg(any(feature = "http", feature = "command"))]
use secrecy::{ExposeSecret, SecretString};

use super::{MARK, mark};

/// Shorter ones, and shorter forms of longer ones, would be found everywhere.
const SHORTEST: usize = 4;
const SHORTEST_ENCODED: usize = 8;

/// Kinds of marks: no secret is looked for that is a part of one.
const KINDS: &[&str] = &[
    "key",
    "token",
    "secret",
    "private_key",
    "userinfo",
    "email",
    "card",
    "failed",
    "depth",
    "quote",
];

/// One form of a secret.
#[derive(Clone)]
pub(crate) struct Secret(memmem::Finder<'static>);

impl Secret {
    /// A secret as it is, in JSON, in an address, in hex and in base64; the longest first, for one may begin with another.
    pub(super) fn forms(secret: &str) -> Vec<Self> {
        let is_sought = |form: &String| {
            !form.contains(MARK) && !KINDS.iter().any(|kind| mark(kind).contains(form.as_str()))
        };
        let forms = forms(secret).into_iter().filter(is_sought);
        let finder = |form: String| Self(memmem::Finder::new(form.as_bytes()).into_owned());
        forms.map(finder).collect()
    }

    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some()
    }
}

/// The texts of these forms.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![secret.to_owned()];
    let quoted = serde_json::to_string(secret).unwrap_or_default();
    let inside = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    forms.extend(inside.map(str::to_owned));
    forms.extend(inside.map(|inside| inside.replace('/', "\\/")));
    let address = percent_encoded(secret, &HEXUPPER);
    forms.push(address.replace("%20", "+"));
    forms.push(address);
    forms.push(percent_encoded(secret, &HEXLOWER));
    let mut encoded = vec![
        HEXLOWER.encode(secret.as_bytes()),
        HEXUPPER.encode(secret.as_bytes()),
    ];
    for alphabet in [BASE64_NOPAD, BASE64URL_NOPAD] {
        encoded.extend((0..3).filter_map(|shift| base64_core(secret, shift, &alphabet)));
    }
    encoded.retain(|form| form.len() >= SHORTEST_ENCODED);
    forms.append(&mut encoded);
    forms.sort_unstable_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
    forms.dedup();
    forms
}

/// Prints nothing of the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The text without the secrets.
pub(super) fn without<'t>(text: &'t str, secrets: &[Secret]) -> Cow<'t, str> {
    let mut clean = Cow::Borrowed(text);
    for Secret(finder) in secrets {
        let replaced = replaced(&clean, finder);
        if let Some(replaced) = replaced {
            clean = Cow::Owned(replaced);
        }
    }
    clean
}

fn replaced(text: &str, finder: &memmem::Finder<'_>) -> Option<String> {
    let mut found = finder.find_iter(text.as_bytes()).peekable();
    found.peek()?;
    let mark = mark("secret");
    let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
    for at in found {
        clean.push_str(text.get(done..at)?);
        clean.push_str(&mark);
        done = at + finder.needle().len();
    }
    clean.push_str(text.get(done..)?);
    Some(clean)
}

fn percent_encoded(secret: &str, hex: &Encoding) -> String {
    let mut address = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push('%');
            address.push_str(&hex.encode(&[byte]));
        }
    }
    address
}

/// The characters of base64 that a secret decides by itself, after `shift` other bytes.
fn base64_core(secret: &str, shift: usize, alphabet: &Encoding) -> Option<String> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = alphabet.encode(&bytes);
    let first = (shift * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    encoded.get(first..last).map(str::to_owned)
}

/// What must not stand in an error or a result, though a server or a program may give it back.
#[cfg(any(feature = "http", feature = "command"))]
#[derive(Debug, Default)]
pub(crate) struct Secrets(pub(crate) Vec<SecretString>);

#[cfg(any(feature = "http", feature = "command"))]
impl Secrets {
    /// The text without the secrets, in any of their forms.
    pub(crate) fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in &self.0 {
            let forms = Secret::forms(secret.expose_secret());
            if let Cow::Owned(changed) = without(&clean, &forms) {
                clean = Cow::Owned(changed);
            }
        }
        clean
    }
}
