//! What the details of Google's errors say beside their status.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MAX_RETRY_AFTER, Many, Text};
use crate::model::ModelErrorKind;

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

/// What Google's details say: how long to wait, and the class where they tell it apart. They are read where they are a list.
pub(super) fn read(details: Option<&RawValue>) -> (Option<Duration>, Option<ModelErrorKind>) {
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
