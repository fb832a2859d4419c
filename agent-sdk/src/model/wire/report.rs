//! What a server says of a failure, as a [`ModelError`].

use std::{borrow::Cow, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Few, Many, Text};
use crate::model::{ModelError, ModelErrorKind};

/// The longest wait that a server may ask for.
pub(in crate::model) const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// What a server wrote about a failure.
#[derive(Debug, Default)]
pub(in crate::model) struct Report {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    /// The status in the body; of a failure inside an answer that began well, there is no other.
    status: Option<u16>,
    /// How long to wait, where the body says it.
    retry_after: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Details<'a> {
    message: Text<'a>,
    #[serde(rename = "type")]
    kind: Text<'a>,
    code: Text<'a>,
    status: Text<'a>,
    status_code: Text<'a>,
    #[serde(rename = "details")]
    more: Many<Detail<'a>>,
}

/// One of Google's error details.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Detail<'a> {
    retry_delay: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Problem<'a> {
    msg: Text<'a>,
}

impl Report {
    /// Reads the body of a failure, in any of the usual envelopes; `None` where it is in none.
    pub(in crate::model) fn of_body(body: &str) -> Option<Self> {
        let envelope: Envelope<'_> = if body.trim_start().starts_with('[') {
            let list: Few<Envelope<'_>> = serde_json::from_str(body).ok()?;
            list.into_iter().next()?
        } else {
            serde_json::from_str(body).ok()?
        };
        if let Some(error) = envelope.error {
            return Some(Self::of_value(error.get()));
        }
        if let Some(detail) = envelope.detail {
            let message = match serde_json::from_str::<Few<Problem<'_>>>(detail.get()) {
                Ok(problems) => problems.into_iter().find_map(|problem| owned(problem.msg)),
                Err(_) => serde_json::from_str(detail.get()).ok().and_then(owned),
            };
            return Some(Self {
                message,
                ..Self::default()
            });
        }
        envelope.message.map(|_| Self::of_value(body))
    }

    /// The same with the type that stood elsewhere, where the body names none.
    pub(in crate::model) fn with_kind(mut self, kind: Option<String>) -> Self {
        self.kind = self.kind.or(kind);
        self
    }

    /// Reads the data of an error event: an envelope, or what stands in one.
    pub(in crate::model) fn of_data(data: &str) -> Self {
        Self::of_body(data).unwrap_or_else(|| Self::of_value(data))
    }

    /// Reads what stands under `error`.
    pub(in crate::model) fn of_value(error: &str) -> Self {
        if let Ok(details) = serde_json::from_str::<Details<'_>>(error) {
            let (code, status) = (owned(details.code), owned(details.status));
            let numbers = [owned(details.status_code), code.clone(), status.clone()];
            return Self {
                message: owned(details.message),
                kind: owned(details.kind).or(status.filter(|text| text.parse::<u16>().is_err())),
                code,
                retry_after: details
                    .more
                    .into_iter()
                    .find_map(|detail| delay(detail.retry_delay)),
                status: numbers
                    .into_iter()
                    .flatten()
                    .filter_map(|number| number.parse().ok())
                    .find(|status| (400..600).contains(status)),
            };
        }
        let message = serde_json::from_str(error).ok().and_then(owned);
        Self {
            message,
            ..Self::default()
        }
    }

    /// Whether a gateway found that the request is too long; LiteLLM says so in its words alone.
    fn names_the_context_window(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        message.contains("litellm.ContextWindowExceededError")
    }

    /// The error; `status` is that of the HTTP answer where that said so itself.
    pub(in crate::model) fn into_error(self, status: Option<u16>, secrets: &Secrets) -> ModelError {
        let status = status.or(self.status);
        let kind = if self.names_the_context_window() {
            ModelErrorKind::ContextLength
        } else {
            class(self.kind.as_deref(), self.code.as_deref(), status)
        };
        let message = match &self.message {
            Some(message) => secrets.scrub(message),
            None => Cow::Borrowed("the server says that the request failed"),
        };
        let error = ModelError::new(kind, message)
            .with_provider_code(self.kind, self.code)
            .with_retry_after(self.retry_after);
        match status {
            Some(status) => error.with_status(status),
            None => error,
        }
    }
}

/// Google's form of a duration: `17s`, `1.5s`.
fn delay(text: Text<'_>) -> Option<Duration> {
    let text = text.filled()?;
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn owned(text: Text<'_>) -> Option<String> {
    text.filled().map(Cow::into_owned)
}

/// The class of a failure: what type and code say exactly, else the status, else what the type says broadly.
fn class(kind: Option<&str>, code: Option<&str>, status: Option<u16>) -> ModelErrorKind {
    let words = || {
        [code, kind]
            .into_iter()
            .flatten()
            .map(str::to_ascii_lowercase)
    };
    words()
        .find_map(|word| exact(&word))
        .or_else(|| status.map(ModelErrorKind::of_status))
        .or_else(|| words().find_map(|word| broad(&word)))
        .unwrap_or(ModelErrorKind::Overloaded)
}

fn exact(word: &str) -> Option<ModelErrorKind> {
    Some(match word {
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => {
            ModelErrorKind::Quota
        }
        "context_length_exceeded" | "exceed_context_size_error" | "string_above_max_length" => {
            ModelErrorKind::ContextLength
        }
        "content_filter" | "content_policy_violation" => ModelErrorKind::ContentFilter,
        "model_not_found" | "deploymentnotfound" => ModelErrorKind::NotFound,
        _ => return None,
    })
}

fn broad(word: &str) -> Option<ModelErrorKind> {
    Some(match word {
        "authentication_error" | "invalid_api_key" | "permission_error" => {
            ModelErrorKind::Authentication
        }
        "rate_limit_error" | "rate_limit_exceeded" => ModelErrorKind::RateLimited,
        "invalid_request_error" | "badrequesterror" | "invalid_prompt" => {
            ModelErrorKind::BadRequest
        }
        "not_found_error" => ModelErrorKind::NotFound,
        "timeout" | "timeout_error" | "request_timeout" => ModelErrorKind::Timeout,
        _ => return None,
    })
}

/// What must not stand in an error, though a server may send it back.
#[derive(Debug, Default)]
pub(in crate::model) struct Secrets(pub(in crate::model) Vec<SecretString>);

impl Secrets {
    /// The text without the secrets.
    pub(in crate::model) fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let secrets = self.0.iter().map(ExposeSecret::expose_secret);
        secrets
            .filter(|secret| secret.len() >= 4)
            .fold(Cow::Borrowed(text), |text, secret| {
                if text.contains(secret) {
                    Cow::Owned(text.replace(secret, "[redacted]"))
                } else {
                    text
                }
            })
    }
}
