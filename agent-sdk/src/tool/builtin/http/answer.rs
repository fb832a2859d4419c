//! What a model is shown of an answer.
//!
//! What the tool itself says comes first, so that no body can say it: a body that looks like a head stands below one.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, StatusCode, header};
use reqwest::Url;

use crate::redact::Secrets;

/// The headers that are shown.
const SHOWN: &[HeaderName] = &[
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
];

/// The longest value of a header that is shown, in bytes.
const MAX_VALUE: usize = 300;

/// Content types that are text, beside `text/…`, `…+json` and `…+xml`.
const TEXTS: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "application/xml",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/graphql",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/sql",
    "application/x-www-form-urlencoded",
];

/// An answer, as far as it was read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Whose it is, where that is not who was asked.
    pub(super) url: Option<Url>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    Text {
        text: String,
        is_whole: bool,
        /// In bytes, where the server said.
        length: Option<u64>,
    },
    /// Not for a model's eyes: of this type.
    NotShown { what: String, length: Option<u64> },
}

/// Whether the body of an answer is text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    Yes,
    /// It does not say.
    Perhaps,
    /// It is this instead.
    No(String),
}

impl Text {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = |name| headers.get(name).map(|value| shown(value.as_bytes()));
        if let Some(packed) = value(header::CONTENT_ENCODING)
            && !packed.eq_ignore_ascii_case("identity")
        {
            return Self::No(format!(
                "compressed ({packed}), though that was not asked for"
            ));
        }
        let Some(given) = value(header::CONTENT_TYPE) else {
            return Self::Perhaps;
        };
        let bare = given.split(';').next().unwrap_or_default();
        let bare = bare.trim().to_ascii_lowercase();
        let is_text = bare.starts_with("text/")
            || bare.ends_with("+json")
            || bare.ends_with("+xml")
            || TEXTS.contains(&bare.as_str());
        match (bare.is_empty(), is_text) {
            (true, _) => Self::Perhaps,
            (_, true) => Self::Yes,
            _ => Self::No(given),
        }
    }
}

impl Body {
    /// What was read. Where the server did not say that it is text, it is unless it looks otherwise.
    pub(super) fn read(
        bytes: Vec<u8>,
        is_doubted: bool,
        is_whole: bool,
        length: Option<u64>,
    ) -> Self {
        let length = length.or(is_whole.then_some(bytes.len() as u64));
        if is_doubted && bytes.contains(&0) {
            let what = "of no type, and no text".to_owned();
            return Self::NotShown { what, length };
        }
        let text = String::from_utf8(bytes);
        let text =
            text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Self::Text {
            text,
            is_whole,
            length,
        }
    }
}

impl Answer {
    /// The answer as text, of whose body so much is left.
    pub(super) fn show(self, max_body_bytes: usize, secrets: &Secrets) -> String {
        let mut head = format!("HTTP {}", self.status.as_u16());
        if let Some(reason) = self.status.canonical_reason() {
            let _ = write!(head, " {reason}");
        }
        if let Some(url) = &self.url {
            let url = shown(url.as_str().as_bytes());
            let _ = write!(head, "\nredirected-to: {url}");
        }
        for name in SHOWN {
            if let Some(value) = self.headers.get(name) {
                let value = shown(value.as_bytes());
                let _ = write!(head, "\n{name}: {value}");
            }
        }
        let of = |length: Option<u64>| match length {
            Some(length) => format!("{length} bytes"),
            None => "unknown length".to_owned(),
        };
        let body = match self.body {
            Body::NotShown { what, length } => {
                let _ = write!(head, "\n[the body is not shown: {what}, {}]", of(length));
                String::new()
            }
            Body::Text {
                text,
                is_whole,
                length,
            } => {
                let mut text = secrets.scrub(&text).into_owned();
                let kept = text.floor_char_boundary(max_body_bytes);
                if kept < text.len() || !is_whole {
                    text.truncate(kept);
                    let length = of(length.filter(|length| *length > kept as u64));
                    let _ = write!(
                        head,
                        "\n[only the first {kept} bytes of the body are shown, of {length}]"
                    );
                }
                text
            }
        };
        format!("{}\n\n{body}", secrets.scrub(&head))
    }
}

/// A text of a server's on one line, cut.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut text: String = text
        .chars()
        .filter(|c| !crate::text::is_control(*c))
        .collect();
    if text.len() > MAX_VALUE {
        text.truncate(text.floor_char_boundary(MAX_VALUE));
        text.push('…');
    }
    text
}
