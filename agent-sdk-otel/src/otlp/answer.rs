//! What a collector's reply, or the lack of one, says.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use agent_sdk::operation::{Clock, SystemClock};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

/// The largest reply that is read; the rest of a longer one is ignored.
pub(super) const REPLY_CAP: usize = 64 * 1024;

/// What one attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Accepted, but for this many items.
    Accepted { rejected: u64 },
    /// Not accepted, and it never will be.
    Refused,
    /// Not accepted now; to be asked again, after this time where the collector named one.
    Busy { after: Option<Duration> },
    /// There was no connection, so nothing was sent.
    Unreached,
    /// The connection ended without a reply: it may have been accepted.
    Lost,
    /// No reply came in time: it may have been accepted.
    Late,
}

/// Reads a reply. The body is returned as far as it was read, where the status is a success.
pub(super) async fn of_reply(mut reply: Response) -> (Answer, Vec<u8>) {
    let status = reply.status();
    if !status.is_success() {
        return (of_status(status, reply.headers()), Vec::new());
    }
    // The status already said that the request was taken, whatever becomes of the body.
    let mut body = Vec::new();
    while let Ok(Some(part)) = reply.chunk().await {
        let room = REPLY_CAP.saturating_sub(body.len());
        body.extend(part.iter().take(room));
        if part.len() >= room {
            break;
        }
    }
    let rejected = rejected(&body);
    (Answer::Accepted { rejected }, body)
}

/// How many items an accepted request's reply says it rejected. A body that cannot be read says
/// nothing of any. The fields have the same numbers in the replies for traces, logs and metrics.
pub(super) fn rejected(body: &[u8]) -> u64 {
    ExportTraceServiceResponse::decode(body)
        .ok()
        .and_then(|reply| reply.partial_success)
        .and_then(|partial| u64::try_from(partial.rejected_spans).ok())
        .unwrap_or(0)
}

pub(super) fn of_status(status: StatusCode, headers: &HeaderMap) -> Answer {
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Busy {
            after: retry_after(headers),
        },
        _ => Answer::Refused,
    }
}

/// How long the collector asks to wait, as seconds or as a date; `None` where it says nothing that
/// makes sense. The pipeline has its own idea of the longest.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(RETRY_AFTER)?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = date(value)?;
    // The collector's own clock, so that one that is wrong here does not matter.
    let now = text(DATE).and_then(date);
    let now = now.or_else(|| SystemClock::default().now().try_into().ok())?;
    Some(until.duration_since(now).try_into().unwrap_or_default())
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

/// What an attempt without a reply came to.
pub(super) fn of_error(error: &reqwest::Error) -> Answer {
    if error.is_builder() {
        Answer::Refused
    } else if error.is_connect() {
        if is_broken_tls(error) {
            Answer::Refused
        } else {
            Answer::Unreached
        }
    } else if error.is_timeout() {
        Answer::Late
    } else {
        Answer::Lost
    }
}

/// Whether there is somebody, with whom no secure connection can be agreed on.
fn is_broken_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if is_invalid_data(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An I/O error that wraps another does not name it as its source.
fn is_invalid_data(error: &(dyn StdError + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<io::Error>() else {
        return false;
    };
    let inner = error.get_ref();
    error.kind() == io::ErrorKind::InvalidData || inner.is_some_and(|inner| is_invalid_data(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_a_wait_is_read_as_seconds_or_as_a_date() {
        let wait = |after: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            let now = "Wed, 21 Oct 2015 07:28:00 GMT";
            headers.insert(DATE, now.parse().unwrap());
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(" 7 "), Some(7));
        assert_eq!(wait("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(wait("Wed, 21 Oct 2015 07:30:00 GMT"), Some(120));
        assert_eq!(wait("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        for nonsense in ["", "-1", "0.5", "soon", "Wed, 99 Oct 2015 07:30:00 GMT"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
