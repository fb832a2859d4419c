//! What a server says of a failure, as a [`ModelError`].

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, HeaderName, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Few, Text};
use crate::{
    model::{ModelError, ModelErrorKind},
    operation::{Clock, SystemClock},
};

/// The longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// What a server wrote about a failure.
#[derive(Debug, Default)]
pub(super) struct Report {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    /// The status in the body; of a failure inside an answer that began well, there is no other.
    status: Option<u16>,
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
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Problem<'a> {
    msg: Text<'a>,
}

impl Report {
    /// Reads the body of a failure, in any of the usual envelopes; `None` where it is in none.
    pub(super) fn of_body(body: &str) -> Option<Self> {
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

    /// Reads what stands under `error`.
    pub(super) fn of_value(error: &str) -> Self {
        if let Ok(details) = serde_json::from_str::<Details<'_>>(error) {
            let (code, status) = (owned(details.code), owned(details.status));
            let numbers = [owned(details.status_code), code.clone(), status.clone()];
            return Self {
                message: owned(details.message),
                kind: owned(details.kind).or(status.filter(|text| text.parse::<u16>().is_err())),
                code,
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

    /// The error; `status` is that of the HTTP answer where that said so itself.
    pub(super) fn into_error(self, status: Option<u16>, secrets: &Secrets<'_>) -> ModelError {
        let status = status.or(self.status);
        let kind = class(self.kind.as_deref(), self.code.as_deref(), status);
        let message = match &self.message {
            Some(message) => secrets.scrub(message),
            None => Cow::Borrowed("the server says that the request failed"),
        };
        let error = ModelError::new(kind, message).with_provider_code(self.kind, self.code);
        match status {
            Some(status) => error.with_status(status),
            None => error,
        }
    }
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
        "invalid_request_error" | "badrequesterror" => ModelErrorKind::BadRequest,
        "not_found_error" => ModelErrorKind::NotFound,
        "timeout" | "timeout_error" | "request_timeout" => ModelErrorKind::Timeout,
        _ => return None,
    })
}

/// What must not stand in an error, though a server may send it back.
#[derive(Debug, Default)]
pub(super) struct Secrets<'a>(pub(super) Vec<&'a str>);

impl Secrets<'_> {
    /// The text without the secrets.
    pub(super) fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.iter().filter(|secret| secret.len() >= 4).fold(
            Cow::Borrowed(text),
            |text, secret| {
                if text.contains(secret) {
                    Cow::Owned(text.replace(secret, "[redacted]"))
                } else {
                    text
                }
            },
        )
    }
}

/// How long the server asks to wait: at most a minute, and `None` where it says nothing that makes sense.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text(HeaderName::from_static("retry-after-ms"))
        .and_then(number)
        .map(|wait| wait / 1_000.0);
    let seconds = milliseconds.or_else(|| {
        let value = text(header::RETRY_AFTER)?;
        number(value).or_else(|| {
            let until = date(value)?;
            // The server's own clock, so that one that is wrong here does not matter.
            let now = text(header::DATE).and_then(date);
            let now = now.or_else(|| SystemClock.now().try_into().ok())?;
            Some(until.duration_since(now).as_secs_f64())
        })
    })?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, MAX_RETRY_AFTER.as_secs_f64())).ok()
}

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}
