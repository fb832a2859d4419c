//! What the targets of the providers' decoders share.
//!
//! The first byte of an input says what kind of answer it is, the second how it is cut, the rest is the body:
//!
//! - bit 0 of the first: whether the answer was asked for piece by piece;
//! - bits 1 and 2: its status, of [`STATUSES`].
//!
//! The digits `0` and `1` are therefore a whole and a streamed answer that went well, `2` and `3` ones that were refused.

use agent_sdk::model::provider::{Answer, Api, Inspection};

const STATUSES: [u16; 4] = [200, 429, 503, 302];

/// Reads any bytes as an answer of an API: nothing panics, and what is read does not depend on the cuts.
pub fn reads_alike(api: Api, input: &[u8]) {
    if let [kind, cuts, body @ ..] = input {
        compare(api, *kind, *cuts, body);
    }
}

/// The same for AWS's event streams, whose checksums no mutation keeps: each line of a streamed body is the name of an event, a
/// space and its payload, and becomes a message that is whole. Bit 3 of the first byte leaves the body as it is.
pub fn reads_event_streams_alike(api: Api, input: &[u8]) {
    let [kind, cuts, body @ ..] = input else {
        return;
    };
    if kind & 1 == 0 || kind & 8 != 0 {
        return compare(api, *kind, *cuts, body);
    }
    let mut messages = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b' ');
        let (name, payload) = line.split_at(at.unwrap_or(line.len()));
        message(name, payload, &mut messages);
    }
    compare(api, *kind, *cuts, &messages);
}

fn compare(api: Api, kind: u8, cuts: u8, body: &[u8]) {
    let answer = || {
        let status = STATUSES[usize::from(kind >> 1 & 3)];
        Answer::of(api).status(status).streamed(kind & 1 == 1)
    };
    let whole = brief(&answer().read([body]));
    assert_eq!(brief(&answer().read(cut(body, cuts))), whole);
    assert_eq!(brief(&answer().read(body.chunks(1))), whole);
}

/// The body in chunks of a length that changes from one to the next.
fn cut(body: &[u8], mut seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let length = (usize::from(seed % 32) + 1).min(rest.len());
        let (chunk, tail) = rest.split_at(length);
        rest = tail;
        seed = seed.wrapping_mul(181).wrapping_add(59);
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Everything that was read. It is written out, for a number that is none is not even itself.
fn brief(inspection: &Inspection) -> (String, String, String) {
    let result = match &inspection.result {
        Ok(response) => serde_json::to_string(response).expect("a response is JSON"),
        Err(error) => format!(
            "{error} {:?}",
            error.partial().map(|partial| partial.text())
        ),
    };
    let events = format!("{:?}", inspection.events);
    let form = serde_json::to_string(inspection).expect("an inspection is JSON");
    (result, events, form)
}

/// Writes a message of an event stream: lengths, headers, payload, and the checksums of both.
fn message(name: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    let name = &name[..name.len().min(100)];
    let mut headers = Vec::new();
    let kind: &[u8] = if name == b"exception" {
        b"exception"
    } else {
        b"event"
    };
    let name_header: &[u8] = if kind == b"event" {
        b":event-type"
    } else {
        b":exception-type"
    };
    let pairs: [(&[u8], &[u8]); 3] = [
        (name_header, name),
        (b":content-type", b"application/json"),
        (b":message-type", kind),
    ];
    for (name, value) in pairs {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name);
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value);
    }
    let start = out.len();
    let length = 16 + headers.len() + payload.len();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    let checksum = crc32(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    let checksum = crc32(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}
