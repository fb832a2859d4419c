//! What of an exchange may be written.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, header};
use memchr::memmem;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::format::Request;
use crate::model::wire::Secrets;
use crate::redact::forms;

/// What stands in place of a secret in a request.
pub(super) const REDACTED: &str = "[redacted]";

/// Secrets that are shorter would be found everywhere.
const SHORTEST: usize = 4;

/// The request headers that are kept.
const REQUEST_HEADERS: &[&str] = &[
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
];

/// The headers of an answer that are kept, and how the names of others begin.
const RESPONSE_HEADERS: &[&str] = &[
    "content-encoding",
    "content-type",
    "date",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-amzn-errortype",
    "x-amzn-requestid",
    "x-request-id",
    "x-should-retry",
];
const RESPONSE_PREFIXES: &[&str] = &["anthropic-ratelimit-", "x-ratelimit-"];

/// The parameters of a query whose values are kept; any other may be a key.
const PARAMETERS: &[&str] = &["alt", "api-version", "beta", "version"];

/// The secrets of one exchange, in every form in which they may come back.
pub(super) struct Scrubber {
    forms: Vec<SecretString>,
}

impl Scrubber {
    /// Of the client's secrets, and of what is sent with this request.
    pub(super) fn new(secrets: &Secrets, url: &Url, headers: &HeaderMap) -> Self {
        let mut plain: Vec<String> = Vec::new();
        for secret in &secrets.0 {
            plain.push(secret.expose_secret().to_owned());
        }
        for (name, value) in headers {
            let carries_one = value.is_sensitive() || is_secret(name);
            if let (true, Ok(value)) = (carries_one, value.to_str()) {
                plain.push(value.to_owned());
                plain.extend(value.split_once(' ').map(|(_, value)| value.to_owned()));
            }
        }
        let hidden = url
            .query_pairs()
            .filter(|(name, _)| !PARAMETERS.contains(&&**name));
        // Shorter values are settings rather than keys.
        plain.extend(
            hidden
                .map(|(_, value)| value.into_owned())
                .filter(|value| value.len() >= 8),
        );
        let mut forms: Vec<String> = plain
            .iter()
            .flat_map(|secret| forms(secret))
            .filter(|form| form.len() >= SHORTEST)
            .collect();
        // The longest first, for one may begin with another.
        forms.sort_unstable_by(|one, other| (other.len(), &**other).cmp(&(one.len(), &**one)));
        forms.dedup();
        Self {
            forms: forms.into_iter().map(Into::into).collect(),
        }
    }

    /// The text without the secrets.
    pub(super) fn text(&self, text: &str) -> String {
        self.forms.iter().fold(text.to_owned(), |text, form| {
            text.replace(form.expose_secret(), REDACTED)
        })
    }

    /// Overwrites the secrets in a body whose length stays.
    pub(super) fn overwrite(&self, body: &mut [u8]) {
        for form in &self.forms {
            let form = form.expose_secret().as_bytes();
            let found: Vec<usize> = memmem::find_iter(body, form).collect();
            for at in found {
                if let Some(place) = body.get_mut(at..at + form.len()) {
                    place.fill(b'*');
                }
            }
        }
    }

    /// A request as it may be written.
    pub(super) fn request(
        &self,
        method: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Request {
        let body = self.text(&String::from_utf8_lossy(body));
        let headers: BTreeMap<String, String> = REQUEST_HEADERS
            .iter()
            .filter_map(|name| {
                let value = headers.get(*name).filter(|value| !value.is_sensitive())?;
                Some(((*name).to_owned(), self.text(value.to_str().ok()?)))
            })
            .collect();
        Request {
            method: method.to_owned(),
            server: url.origin().ascii_serialization(),
            path: self.text(url.path()),
            query: self.query(url),
            headers,
            body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        }
    }

    /// The headers of an answer as they may be written.
    pub(super) fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let kept = headers.iter().filter(|(name, _)| {
            let name = name.as_str();
            RESPONSE_HEADERS.contains(&name)
                || RESPONSE_PREFIXES
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
        });
        kept.filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), self.text(value.to_str().ok()?)))
        })
        .collect()
    }

    fn query(&self, url: &Url) -> Option<String> {
        url.query()?;
        let pairs = url.query_pairs().map(|(name, value)| {
            if PARAMETERS.contains(&&*name) {
                format!("{}={}", self.text(&name), self.text(&value))
            } else {
                format!("{}={REDACTED}", self.text(&name))
            }
        });
        Some(pairs.collect::<Vec<_>>().join("&"))
    }
}

/// Headers that carry secrets, whoever set them.
fn is_secret(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION
        || *name == header::PROXY_AUTHORIZATION
        || *name == header::COOKIE
        || matches!(
            name.as_str(),
            "x-api-key" | "x-goog-api-key" | "api-key" | "x-amz-security-token"
        )
}
