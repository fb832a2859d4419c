//! What the head of a failure says about trying again.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use crate::{
    model::wire::MAX_RETRY_AFTER,
    operation::{Clock, SystemClock},
};

/// Whether the server says that trying again helps, or that it does not (`x-should-retry`).
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.to_str().ok()?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// How long the server asks to wait: at most a minute, and `None` where it says nothing that makes sense.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
