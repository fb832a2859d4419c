//! What a request is made of, apart from the message in it.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, TE};

use super::{Compression, Protocol, Target};

/// What every gRPC message begins with: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The body that carries `message` to a target; `None` where a message cannot be carried.
pub(super) fn body(target: &Target, message: &Bytes) -> Option<Bytes> {
    let is_compressed = target.compression == Compression::Gzip;
    match target.protocol {
        Protocol::HttpProtobuf if !is_compressed => Some(message.clone()),
        Protocol::HttpProtobuf => {
            let room = Vec::with_capacity(message.len() / 8);
            gzip(message, room).ok().map(Bytes::from)
        }
        Protocol::Grpc => {
            let mut body = Vec::with_capacity(PREFIX + message.len());
            // The length is known later.
            body.extend_from_slice(&[is_compressed.into(), 0, 0, 0, 0]);
            if is_compressed {
                body = gzip(message, body).ok()?;
            } else {
                body.extend_from_slice(message);
            }
            let length = u32::try_from(body.len().checked_sub(PREFIX)?).ok()?;
            body.get_mut(1..PREFIX)?
                .copy_from_slice(&length.to_be_bytes());
            Some(body.into())
        }
    }
}

/// Appends the compressed bytes to `to`.
fn gzip(bytes: &[u8], to: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(to, flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Puts what the body is among the target's headers.
pub(super) fn describe(target: &mut Target) {
    let encoding = match target.protocol {
        Protocol::HttpProtobuf => CONTENT_ENCODING,
        Protocol::Grpc => HeaderName::from_static("grpc-encoding"),
    };
    let kind = match target.protocol {
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::Grpc => "application/grpc",
    };
    let headers = &mut target.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if target.protocol == Protocol::Grpc {
        // By which a proxy that would lose the trailers shows itself.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if target.compression == Compression::Gzip {
        headers.insert(encoding, HeaderValue::from_static("gzip"));
    }
}
