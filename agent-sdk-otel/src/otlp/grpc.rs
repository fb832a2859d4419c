//! What a collector's reply over gRPC says.
//!
//! The status stands in the trailers behind the reply's message, or, where there is no message, in
//! its headers. Which ones are worth another attempt is OTLP's rule. `CANCELLED` and
//! `DEADLINE_EXCEEDED` do not say whether the collector kept the request, as a lost reply does not.

use std::time::Duration;

use data_encoding::BASE64_NOPAD;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Response};

use super::answer::{self, Answer, REPLY_CAP};

const STATUS: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";

/// Reads a reply. Its message is returned where the collector accepted.
pub(super) async fn of_reply(reply: Response) -> (Answer, Vec<u8>) {
    let (head, mut body) = http::Response::<Body>::from(reply).into_parts();
    if head.headers.contains_key(STATUS) {
        return conclude(&head.headers, &[]);
    }
    if head.status != StatusCode::OK {
        return (answer::of_status(head.status, &head.headers), Vec::new());
    }
    let kind = head.headers.get(CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        // Somebody else than a collector.
        return (Answer::Refused, Vec::new());
    }
    let mut read = Vec::new();
    // The end of an endless reply is the request's own limit.
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame.into_data(),
            Err(error) => return (answer::of_error(&error), Vec::new()),
        };
        match frame {
            Ok(data) => {
                let room = REPLY_CAP.saturating_sub(read.len());
                read.extend(data.iter().take(room));
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return conclude(&trailers, &read);
                }
            }
        }
    }
    (Answer::Lost, Vec::new())
}

fn conclude(headers: &HeaderMap, body: &[u8]) -> (Answer, Vec<u8>) {
    let status = headers
        .get(STATUS)
        .and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
    let answer = match status {
        Some(0) => {
            let message = message(body);
            let rejected = answer::rejected(message);
            return (Answer::Accepted { rejected }, message.to_vec());
        }
        // Cancelled, or its deadline exceeded; trailers without a status are no reply at all.
        Some(1 | 4) | None => Answer::Lost,
        // Resource exhausted: that may last for ever.
        Some(8) => match retry_info(headers) {
            Some(after) => Answer::Busy { after },
            None => Answer::Refused,
        },
        // Aborted, out of range, unavailable, or data lost.
        Some(10 | 11 | 14 | 15) => Answer::Busy {
            after: retry_info(headers).flatten(),
        },
        Some(_) => Answer::Refused,
    };
    (answer, Vec::new())
}

/// The message in a body, which is empty where there is none. It is never compressed: nothing said
/// that this could be read.
fn message(body: &[u8]) -> &[u8] {
    let [0, a, b, c, d, rest @ ..] = body else {
        return &[];
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    rest.get(..length).unwrap_or_default()
}

/// Whether the collector says that another attempt makes sense, and after which time.
#[expect(
    clippy::option_option,
    reason = "a collector may ask for another attempt without naming a time"
)]
fn retry_info(headers: &HeaderMap) -> Option<Option<Duration>> {
    let details = headers.get(DETAILS)?.to_str().ok()?.trim_end_matches('=');
    let details = BASE64_NOPAD.decode(details.as_bytes()).ok()?;
    let status = Status::decode(details.as_slice()).ok()?;
    let mut infos = status.details.iter();
    let info = infos.find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let info = RetryInfo::decode(info.value.as_slice()).ok()?;
    let delay = info.delay.and_then(|delay| {
        let seconds = Duration::from_secs(delay.seconds.try_into().ok()?);
        let nanos = Duration::from_nanos(delay.nanos.try_into().ok()?);
        Some(seconds.saturating_add(nanos))
    });
    // None at all would be a storm.
    Some(delay.filter(|delay| !delay.is_zero()))
}

/// `google.rpc.Status`, as far as it matters.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a status comes to; with the details of a `RetryInfo` of so many milliseconds.
    fn of(status: &str, retry: Option<i64>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(STATUS, status.parse().unwrap());
        if let Some(millis) = retry {
            headers.insert(DETAILS, details(millis).parse().unwrap());
        }
        conclude(&headers, &[]).0
    }

    fn details(millis: i64) -> String {
        let info = RetryInfo {
            delay: Some(Delay {
                seconds: millis / 1_000,
                nanos: i32::try_from(millis % 1_000).unwrap() * 1_000_000,
            }),
        };
        let other = Detail {
            type_url: "type.googleapis.com/google.rpc.DebugInfo".into(),
            value: vec![1],
        };
        let info = Detail {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        let details = vec![other, info];
        BASE64_NOPAD.encode(&Status { details }.encode_to_vec())
    }

    #[test]
    fn o2_each_status_is_final_or_tried_again_as_otlp_says() {
        let wait = Some(Duration::from_millis(1_500));
        for status in 0..=20 {
            let expected = match status {
                0 => Answer::Accepted { rejected: 0 },
                1 | 4 => Answer::Lost,
                10 | 11 | 14 | 15 => Answer::Busy { after: None },
                _ => Answer::Refused,
            };
            assert_eq!(of(&status.to_string(), None), expected, "{status}");
            let asked = match expected {
                Answer::Busy { .. } => Answer::Busy { after: wait },
                Answer::Refused if status == 8 => Answer::Busy { after: wait },
                other => other,
            };
            assert_eq!(of(&status.to_string(), Some(1_500)), asked, "{status}");
        }
        for none in ["", "x", "-1", "99999999999"] {
            assert_eq!(of(none, None), Answer::Lost, "{none}");
        }
    }

    #[test]
    fn o2_a_wait_that_makes_no_sense_is_not_kept() {
        assert_eq!(of("8", Some(0)), Answer::Busy { after: None });
        assert_eq!(of("8", Some(-7_000)), Answer::Busy { after: None });
        let long = Duration::from_hours(2_500_000_000_000);
        let asked = of("14", Some(9_000_000_000_000_000_000));
        assert_eq!(asked, Answer::Busy { after: Some(long) });
        for nonsense in ["", "%", "====", "AAAA", "CgE"] {
            let mut headers = HeaderMap::new();
            headers.insert(DETAILS, nonsense.parse().unwrap());
            assert_eq!(retry_info(&headers), None, "{nonsense}");
        }
    }

    #[test]
    fn o2_a_message_is_what_its_frame_says_or_nothing() {
        let table: [(&[u8], &[u8]); 7] = [
            (&[], &[]),
            (&[0, 0, 0, 0], &[]),
            (&[0, 0, 0, 0, 0], &[]),
            (&[0, 0, 0, 0, 2, 7, 8, 9], &[7, 8]),
            (&[0, 0, 0, 0, 3, 7, 8], &[]),
            (&[0, 255, 255, 255, 255, 7], &[]),
            (&[1, 0, 0, 0, 1, 7], &[]),
        ];
        for (body, expected) in table {
            assert_eq!(message(body), expected, "{body:?}");
        }
    }
}
