//! What a collector's reply, or the lack of one, says.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

/// The largest reply that is read; the rest of a longer one is ignored.
const REPLY_CAP: usize = 64 * 1024;

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

fn of_status(status: StatusCode, headers: &HeaderMap) -> Answer {
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    Some(Duration::from_secs(value.parse().ok()?))
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
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}
