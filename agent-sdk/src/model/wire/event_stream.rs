//! Streams of messages in the form of `application/vnd.amazon.eventstream`.
//!
//! A message has headers, which say what it is, and a payload. AWS's own crate reads a message that is whole; what is decided here
//! is how much of one is waited for, and what its headers mean.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::{event_stream::Message, str_bytes::StrBytes};
use bytes::{Buf, BytesMut};

use super::{Failed, Frame, Report};
use crate::model::{ModelError, ModelErrorKind};

/// A message without headers and payload: its lengths and its two checksums.
const LEAST_BYTES: usize = 16;

/// Cuts a stream into messages.
#[derive(Debug)]
pub(super) struct Messages {
    open: BytesMut,
    max_bytes: usize,
    count: u64,
}

impl Messages {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            open: BytesMut::new(),
            max_bytes,
            count: 0,
        }
    }

    /// How many messages were read.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Reads a chunk and calls `each` for every event that it completes; one without a payload is left out. What says that the
    /// request failed is an error.
    pub(super) fn feed<E: From<Failed>>(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open.extend_from_slice(chunk);
        while let Some(message) = self.next()? {
            self.count += 1;
            let payload = String::from_utf8_lossy(message.payload());
            let data = payload.trim_ascii();
            let header = |name: &str| text(&message, name).unwrap_or_default();
            match header(":message-type") {
                "exception" => {
                    let kind = header(":exception-type").to_owned();
                    let report = Report::of_data(data).with_kind(Some(kind));
                    return Err(Failed::Report(report).into());
                }
                "error" => {
                    let report = Report::of_words(header(":error-message"), header(":error-code"));
                    return Err(Failed::Report(report).into());
                }
                // Another type of message is none of ours, and without a type it is an event.
                "event" | "" if !data.is_empty() => each(Frame {
                    event: header(":event-type"),
                    data,
                })?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the next message, once it is there as a whole. Its length is looked at before that much is waited for.
    fn next(&mut self) -> Result<Option<Message>, Failed> {
        let Some(length) = self.open.get(..4) else {
            return Ok(None);
        };
        let length = usize::try_from(<&[u8]>::get_u32(&mut &*length)).unwrap_or(usize::MAX);
        if length < LEAST_BYTES {
            return Err(broken("a message of the stream is shorter than any can be"));
        }
        if length > self.max_bytes {
            let message = format!(
                "a message passed the {} bytes of `line_bytes`",
                self.max_bytes
            );
            return Err(broken(message));
        }
        if self.open.len() < length {
            return Ok(None);
        }
        let mut whole = self.open.split_to(length).freeze();
        match read_message_from(&mut whole) {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                let message = format!("a message of the stream is damaged: {error}");
                let error = ModelError::new(ModelErrorKind::Decode, message).with_source(error);
                Err(error.into())
            }
        }
    }
}

/// The text of a header.
fn text<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let header = message
        .headers()
        .iter()
        .find(|header| header.name().as_str() == name)?;
    header.value().as_string().ok().map(StrBytes::as_str)
}

fn broken(message: impl Into<String>) -> Failed {
    ModelError::new(ModelErrorKind::Decode, message).into()
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn message(headers: &[(&'static str, &'static str)], payload: &'static str) -> Vec<u8> {
        let mut message = Message::new(payload.as_bytes());
        for (name, value) in headers {
            let value = HeaderValue::String((*value).into());
            message = message.add_header(Header::new(*name, value));
        }
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn event(name: &'static str, payload: &'static str) -> Vec<u8> {
        message(
            &[(":message-type", "event"), (":event-type", name)],
            payload,
        )
    }

    /// Name and data of each event, and why it ended early.
    fn read<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<(String, String)>, Option<String>) {
        let mut messages = Messages::new(1_000);
        let mut all = Vec::new();
        for chunk in chunks {
            let fed: Result<(), Failed> = messages.feed(chunk, |frame| {
                all.push((frame.event.to_owned(), frame.data.to_owned()));
                Ok(())
            });
            if let Err(failed) = fed {
                let error = failed.into_error("", "", &crate::model::wire::Secrets::default());
                return (
                    all,
                    Some(format!("{} {}", error.kind().as_str(), error.message())),
                );
            }
        }
        (all, None)
    }

    #[test]
    fn messages_do_not_depend_on_the_cuts() {
        let body = [
            event("a", "{\"x\":\"日\"}"),
            event("b", ""),
            event("c", "{}"),
        ]
        .concat();
        let whole = read([&body[..]]);
        let named = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        assert_eq!(whole.0, [named("a", "{\"x\":\"日\"}"), named("c", "{}")]);
        assert_eq!(whole.1, None);
        for at in 0..=body.len() {
            let (start, end) = body.split_at(at);
            assert_eq!(read([start, end]), whole, "cut at {at}");
        }
        assert_eq!(read(body.chunks(1)), whole);
    }

    #[test]
    fn what_says_that_the_request_failed_keeps_its_class() {
        let exception = [
            (":message-type", "exception"),
            (":exception-type", "throttlingException"),
        ];
        let error = [
            (":message-type", "error"),
            (":error-code", "InternalFailure"),
            (":error-message", "it broke"),
        ];
        let read = |bytes: Vec<u8>| read([&bytes[..]]).1.unwrap();
        assert_eq!(
            read(message(&exception, r#"{"message":"slow down"}"#)),
            "rate_limited slow down"
        );
        assert_eq!(
            read(message(&exception, "")),
            "rate_limited the server says that the request failed"
        );
        assert_eq!(read(message(&error, "")), "overloaded it broke");
    }

    #[test]
    fn damage_is_found_and_a_long_message_is_refused_before_it_comes() {
        let whole = event("a", "{}");
        for at in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let error = read([&damaged[..]]).1.unwrap();
            assert!(error.starts_with("decode "), "{at}: {error}");
        }
        assert!(read([&[0, 0, 0, 15][..]]).1.unwrap().contains("shorter"));
        assert!(read([&[0, 0, 4, 0][..]]).1.unwrap().contains("line_bytes"));
        assert!(read([&[255; 4][..]]).1.unwrap().contains("line_bytes"));
    }

    /// The checksum of the format, bit by bit.
    fn checksum(bytes: &[u8]) -> [u8; 4] {
        let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        });
        (!crc).to_be_bytes()
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_though_their_checksums_are_right(
            inside in proptest::collection::vec(any::<u8>(), 0..80),
            headers in 0..100_u32,
        ) {
            let mut bytes = u32::try_from(inside.len() + 16).unwrap().to_be_bytes().to_vec();
            bytes.extend(headers.to_be_bytes());
            bytes.extend(checksum(&bytes));
            bytes.extend(&inside);
            bytes.extend(checksum(&bytes));
            let _ = read([&bytes[..]]);
        }
    }
}
