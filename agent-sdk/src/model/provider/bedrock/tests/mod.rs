//! The client as a whole: what it sends, what it reads, in memory, on loopback and on recorded traffic.

mod requests;
mod settings;
mod streams;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue as Word, Message as Frame};
use serde_json::Value;

use super::*;
use crate::model::provider::judge::judge;

/// A client of a server that is not there.
fn offline() -> BedrockBuilder {
    Bedrock::builder("m")
        .base_url("http://127.0.0.1:9")
        .without_key()
}

/// A message of a stream.
fn message(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let mut message = Frame::new(payload.as_bytes().to_vec());
    for (name, value) in headers {
        let value = Word::String((*value).to_owned().into());
        message = message.add_header(Header::new(*name, value));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, &payload.to_string())
}

fn exception(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":exception-type", name), (":message-type", "exception")];
    message(&headers, payload)
}

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("bedrock.converse", 5, &[], |base_url| {
        let builder = Bedrock::builder("m").base_url(base_url).without_key();
        builder.build().unwrap().client
    })
    .await;
}
