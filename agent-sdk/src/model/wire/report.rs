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
    /// What the body says more exactly than its type does.
    reason: Option<ModelErrorKind>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, alias = "Message")]
    message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Details<'a> {
    #[serde(alias = "Message")]
    message: Text<'a>,
    #[serde(rename = "type")]
    kind: Text<'a>,
    code: Text<'a>,
    status: Text<'a>,
    status_code: Text<'a>,
    #[serde(borrow, rename = "details")]
    more: Option<&'a RawValue>,
}

/// One of Google's error details.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Detail<'a> {
    retry_delay: Text<'a>,
    reason: Text<'a>,
    violations: Many<Violation<'a>>,
}

/// A quota that was used up.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Violation<'a> {
    quota_id: Text<'a>,
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

    /// What a framing tells of a failure beside its data.
    #[cfg(feature = "bedrock")]
    pub(super) fn of_words(message: &str, kind: &str) -> Self {
        Self {
            message: Some(message.to_owned()),
            ..Self::default()
        }
        .with_kind(Some(kind.to_owned()))
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
            let (retry_after, reason) = detailed(details.more);
            let message = owned(details.message);
            // Google's type for a request that is too long is that of any bad one.
            let is_too_long = status.as_deref() == Some("INVALID_ARGUMENT")
                && message.as_deref().is_some_and(|message| {
                    ["input token count", "maximum number of tokens allowed"]
                        .iter()
                        .any(|words| message.contains(words))
                });
            let too_long = is_too_long.then_some(ModelErrorKind::ContextLength);
            return Self {
                message,
                kind: owned(details.kind).or(status.filter(|text| text.parse::<u16>().is_err())),
                code,
                retry_after,
                reason: reason.or(too_long),
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
    pub(in crate::model) fn into_error(self, status: Option<u16>, secrets: &Secrets) -> ModelError {
        let status = status.or(self.status);
        let kind = self
            .told()
            .or(self.reason)
            .unwrap_or_else(|| class(self.kind.as_deref(), self.code.as_deref(), status));
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

impl Report {
    /// The class that only the message tells: Anthropic has one type for all requests that it refuses.
    fn told(&self) -> Option<ModelErrorKind> {
        let is_validation = |kind: &str| kind.eq_ignore_ascii_case("ValidationException");
        if self.kind.as_deref().is_some_and(is_validation) {
            let is_too_long = self
                .message
                .as_deref()?
                .contains("too long for requested model");
            return is_too_long.then_some(ModelErrorKind::ContextLength);
        }
        if self.kind.as_deref() != Some("invalid_request_error") || self.code.is_some() {
            return None;
        }
        let message = self.message.as_deref()?;
        let begins = |with: &str| message.starts_with(with);
        if begins("prompt is too long") || begins("input length and `max_tokens` exceed") {
            Some(ModelErrorKind::ContextLength)
        } else if begins("Your credit balance is too low") {
            Some(ModelErrorKind::Quota)
        } else if begins("Output blocked by content filtering policy") {
            Some(ModelErrorKind::ContentFilter)
        } else {
            None
        }
    }
}

/// What Google's details say: how long to wait, and the class where they tell it apart. They are read where they are a list.
fn detailed(details: Option<&RawValue>) -> (Option<Duration>, Option<ModelErrorKind>) {
    let details: Option<Many<Detail<'_>>> =
        details.and_then(|details| serde_json::from_str(details.get()).ok());
    let (mut wait, mut kind) = (None, None);
    for Detail {
        retry_delay,
        reason,
        violations,
    } in details.unwrap_or_default()
    {
        wait = wait.or(delay(retry_delay));
        if reason.0.as_deref() == Some("API_KEY_INVALID") {
            kind = Some(ModelErrorKind::Authentication);
        }
        // A day is longer than anybody waits.
        let is_daily = |violation: Violation<'_>| {
            let quota = violation.quota_id.0;
            quota.is_some_and(|quota| quota.contains("PerDay"))
        };
        if violations.into_iter().any(is_daily) {
            kind = Some(ModelErrorKind::Quota);
        }
    }
    (wait, kind)
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
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "billing_error" => ModelErrorKind::Quota,
        "context_length_exceeded"
        | "exceed_context_size_error"
        | "string_above_max_length"
        | "request_too_large" => ModelErrorKind::ContextLength,
        "content_filter" | "content_policy_violation" => ModelErrorKind::ContentFilter,
        "model_not_found" | "deploymentnotfound" => ModelErrorKind::NotFound,
        // AWS gives these the statuses of a bad request, or of too many.
        "modelerrorexception" | "modelstreamerrorexception" | "modelnotreadyexception" => {
            ModelErrorKind::Overloaded
        }
        "servicequotaexceededexception" => ModelErrorKind::RateLimited,
        _ => return None,
    })
}

fn broad(word: &str) -> Option<ModelErrorKind> {
    Some(match word {
        "authentication_error"
        | "invalid_api_key"
        | "permission_error"
        | "unauthenticated"
        | "permission_denied"
        | "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception" => ModelErrorKind::Authentication,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "resource_exhausted"
        | "throttlingexception" => ModelErrorKind::RateLimited,
        "invalid_request_error"
        | "badrequesterror"
        | "invalid_argument"
        | "failed_precondition"
        | "out_of_range"
        | "validationexception" => ModelErrorKind::BadRequest,
        "not_found_error" | "not_found" | "resourcenotfoundexception" => ModelErrorKind::NotFound,
        "timeout"
        | "timeout_error"
        | "request_timeout"
        | "deadline_exceeded"
        | "modeltimeoutexception" => ModelErrorKind::Timeout,
        "overloaded_error" | "api_error" => ModelErrorKind::Overloaded,
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
