//! Why a model request failed.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use super::{ChatRequest, ChatResponse, quote};
use crate::redact;

/// A model request that failed.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. It never holds a key, a header or a whole body: of
/// what the provider wrote, at most [`SNIPPET_CHARS`](Self::SNIPPET_CHARS) characters are kept, without what
/// [looks like a key](crate::redact::keys) and without what it quotes of the request's content: pieces of 16 bytes or more
/// that stand in the instructions, the messages or the tool data too.
#[derive(Debug)]
pub struct ModelError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ModelErrorKind,
    message: String,
    provider: Option<Cow<'static, str>>,
    status: Option<u16>,
    provider_type: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
    partial: Option<Box<ChatResponse>>,
    earlier: Vec<ModelError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of a [`ModelError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The key is missing, wrong or may not do this.
    Authentication,
    /// Too many requests or tokens in too little time.
    RateLimited,
    /// The provider has no capacity, or failed on its side.
    Overloaded,
    /// The account has no money or quota left: waiting does not help.
    Quota,
    /// The request is longer than the model reads.
    ContextLength,
    /// The provider's policy refused the request.
    ContentFilter,
    /// The provider did not understand the request.
    BadRequest,
    /// No such model, deployment or address.
    NotFound,
    /// Nothing came in time.
    Timeout,
    /// The answer broke off before its end.
    Truncated,
    /// The connection failed.
    Transport,
    /// The answer could not be read, or was larger than allowed.
    Decode,
    /// The request was given up by its caller.
    Cancelled,
    /// The SDK's own settings are wrong: no key, a bad URL.
    Configuration,
    /// The circuit breaker is open: nothing was sent.
    CircuitOpen,
    /// A budget did not admit the request: nothing was sent.
    Budget,
}

impl ModelErrorKind {
    const ALL: [Self; 16] = [
        Self::Authentication,
        Self::RateLimited,
        Self::Overloaded,
        Self::Quota,
        Self::ContextLength,
        Self::ContentFilter,
        Self::BadRequest,
        Self::NotFound,
        Self::Timeout,
        Self::Truncated,
        Self::Transport,
        Self::Decode,
        Self::Cancelled,
        Self::Configuration,
        Self::CircuitOpen,
        Self::Budget,
    ];

    /// The class of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Quota => "quota",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Transport => "transport",
            Self::Decode => "decode",
            Self::Cancelled => "cancelled",
            Self::Configuration => "configuration",
            Self::CircuitOpen => "circuit_open",
            Self::Budget => "budget",
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Timeout
                | Self::Truncated
                | Self::Transport
        )
    }

    /// The classes of requests that were refused before anything was done that would be charged for.
    pub(crate) const REFUSALS: [Self; 10] = [
        Self::Authentication,
        Self::RateLimited,
        Self::Overloaded,
        Self::Quota,
        Self::ContextLength,
        Self::BadRequest,
        Self::NotFound,
        Self::Configuration,
        Self::CircuitOpen,
        Self::Budget,
    ];

    /// Whether a request of this failure was refused before anything was done that would be charged for.
    pub(crate) fn is_refusal(self) -> bool {
        Self::REFUSALS.contains(&self)
    }

    /// The class of an HTTP status, where nothing better is known.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Authentication,
            402 => Self::Quota,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            429 => Self::RateLimited,
            409 | 500.. => Self::Overloaded,
            _ => Self::BadRequest,
        }
    }
}

impl ModelError {
    /// How much of a provider's own words an error keeps, in characters.
    pub const SNIPPET_CHARS: usize = 200;

    /// An error of a class, with words for people.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: snippet(&message.into()),
                provider: None,
                status: None,
                provider_type: None,
                code: None,
                request_id: None,
                retry_after: None,
                should_retry: None,
                partial: None,
                earlier: Vec::new(),
                source: None,
            }),
        }
    }

    /// An answer that broke off.
    pub fn truncated(message: impl Into<String>) -> Self {
        Self::new(ModelErrorKind::Truncated, message)
    }

    /// Names the provider.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<Cow<'static, str>>) -> Self {
        self.inner.provider = Some(provider.into());
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Adds the provider's own error type and code.
    #[must_use]
    pub fn with_provider_code(
        mut self,
        provider_type: Option<String>,
        code: Option<String>,
    ) -> Self {
        self.inner.provider_type = provider_type.map(|text| snippet(&text));
        self.inner.code = code.map(|text| snippet(&text));
        self
    }

    /// Adds the provider's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.inner.request_id = id.map(|text| snippet(&text));
        self
    }

    /// Adds how long the provider asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.inner.retry_after = wait;
        self
    }

    /// Adds what the provider says about trying again; it wins over the class.
    #[must_use]
    pub fn with_should_retry(mut self, should_retry: Option<bool>) -> Self {
        self.inner.should_retry = should_retry;
        self
    }

    /// Adds what had come of the answer, which is not whole.
    #[must_use]
    pub fn with_partial(mut self, partial: ChatResponse) -> Self {
        self.inner.partial = Some(Box::new(partial));
        self
    }

    /// Puts the errors of models that were asked before in front of those that it has.
    #[must_use]
    pub(crate) fn with_earlier(mut self, mut earlier: Vec<Self>) -> Self {
        earlier.append(&mut self.inner.earlier);
        self.inner.earlier = earlier;
        self
    }

    /// Takes out what a provider quotes of the request.
    #[must_use]
    pub(crate) fn without_quotes(mut self, request: &ChatRequest) -> Self {
        let inner = &mut *self.inner;
        let texts = [
            Some(&mut inner.message),
            inner.provider_type.as_mut(),
            inner.code.as_mut(),
        ];
        for text in texts.into_iter().flatten() {
            if let Cow::Owned(clean) = quote::without(text, request) {
                *text = clean;
            }
        }
        if let Some(partial) = &mut inner.partial {
            partial.take_out_keys();
        }
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> ModelErrorKind {
        self.inner.kind
    }

    /// What the provider, or the SDK, said.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The provider that was asked.
    pub fn provider(&self) -> Option<&str> {
        self.inner.provider.as_deref()
    }

    /// The HTTP status, where an answer came.
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// The provider's error type, for example `invalid_request_error`.
    pub fn provider_type(&self) -> Option<&str> {
        self.inner.provider_type.as_deref()
    }

    /// The provider's error code, for example `context_length_exceeded`.
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    /// The provider's id of the request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// How long the provider asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// What had come of an answer that broke off: its text so far, and its usage as far as that was reported.
    pub fn partial(&self) -> Option<&ChatResponse> {
        self.inner.partial.as_deref()
    }

    /// The errors of the models that were asked before, in their order, where this is the last of several.
    pub fn earlier(&self) -> &[Self] {
        &self.inner.earlier
    }

    /// Whether the same request may succeed later: as the provider says, else by the class.
    pub fn is_retryable(&self) -> bool {
        self.inner
            .should_retry
            .unwrap_or_else(|| self.inner.kind.is_retryable())
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        if let Some(provider) = &inner.provider {
            write!(f, "{provider}: ")?;
        }
        f.write_str(&inner.message)?;
        let mut notes = vec![inner.kind.as_str().to_owned()];
        notes.extend(inner.status.map(|status| format!("status {status}")));
        notes.extend(
            inner
                .provider_type
                .as_ref()
                .map(|text| format!("type {text}")),
        );
        notes.extend(inner.code.as_ref().map(|text| format!("code {text}")));
        notes.extend(match inner.earlier.len() {
            0 => None,
            1 => Some("after another model failed".to_owned()),
            n => Some(format!("after {n} other models failed")),
        });
        notes.extend(
            inner
                .request_id
                .as_ref()
                .map(|text| format!("request {text}")),
        );
        write!(f, " ({})", notes.join(", "))
    }
}

impl StdError for ModelError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

/// The first characters of a text, on one line and without what looks like a key.
fn snippet(text: &str) -> String {
    // Longer than what is kept: a key across its end is not recognised by its beginning.
    let head = text.get(..text.floor_char_boundary(SNIPPET_BYTES));
    let clean = redact::keys(head.unwrap_or_default());
    let mut short: String = clean
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(ModelError::SNIPPET_CHARS)
        .collect();
    if clean.chars().nth(ModelError::SNIPPET_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// How much of a text is looked at for the few characters that are kept.
const SNIPPET_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_place_the_class_and_the_provider_s_words() {
        let error = ModelError::new(ModelErrorKind::RateLimited, "slow\ndown")
            .with_provider("openai")
            .with_status(429)
            .with_provider_code(Some("requests".into()), Some("rate_limit_exceeded".into()));
        assert_eq!(
            error.to_string(),
            "openai: slow down (rate_limited, status 429, type requests, code rate_limit_exceeded)"
        );
        assert!(error.is_retryable());
    }

    #[test]
    fn o7_a_key_is_in_none_of_its_texts() {
        let key = "sk-proj-4f9a8b7c6d5e4f3a2b1c";
        let error = ModelError::new(ModelErrorKind::Authentication, format!("bad key {key}"))
            .with_provider_code(Some(key.into()), Some(key.into()))
            .with_request_id(Some(key.into()));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("4f9a8b7c"), "{shown}");
        // Cut in the middle, a key would not be recognised.
        let padded = format!("{} {key}", "é".repeat(ModelError::SNIPPET_CHARS - 12));
        let error = ModelError::new(ModelErrorKind::Decode, padded);
        assert!(!error.message().contains("sk-"), "{error}");
    }

    #[test]
    fn keeps_two_hundred_characters_of_a_body() {
        let error = ModelError::new(ModelErrorKind::Decode, "é".repeat(1_000));
        assert_eq!(error.message().chars().count(), 201);
    }
}
