//! What a server says of a failure, as a [`ModelError`].

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Few, Text, class, google};
use crate::{
    model::{ModelError, ModelErrorKind},
    redact::Secrets,
};

/// The longest wait that a server may ask for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

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
            let (retry_after, reason) = google::read(details.more);
            return Self {
                message: owned(details.message),
                kind: owned(details.kind).or(status.filter(|text| text.parse::<u16>().is_err())),
                code,
                retry_after,
                reason,
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
        let (kind, code) = (self.kind.as_deref(), self.code.as_deref());
        let kind = self
            .reason
            .unwrap_or_else(|| class::of(kind, code, self.message.as_deref(), status));
        let message = match &self.message {
            Some(message) => secrets.scrub(message),
            None => Cow::Borrowed("the server says that the request failed"),
        };
        // A server may send the key back in any of its fields.
        let scrubbed = |text: Option<String>| text.map(|text| secrets.scrub(&text).into_owned());
        let error = ModelError::new(kind, message)
            .with_provider_code(scrubbed(self.kind), scrubbed(self.code))
            .with_retry_after(self.retry_after);
        match status {
            Some(status) => error.with_status(status),
            None => error,
        }
    }
}

fn owned(text: Text<'_>) -> Option<String> {
    text.filled().map(Cow::into_owned)
}
