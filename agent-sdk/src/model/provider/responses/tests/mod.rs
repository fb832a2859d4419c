//! The client as a whole: what it sends, streams in memory, whole answers, and recorded traffic.

mod fixtures;
mod history;
mod requests;
#[expect(
    clippy::needless_pass_by_value,
    reason = "values are written where they are used"
)]
mod streams;
mod whole;

use super::*;
use crate::model::{
    ChatResponse, ChatStream, Limits, ModelErrorKind,
    http::testing::{self, drain, text_of},
    wire::{Secrets, read_whole},
};

/// A client of a server that is not there.
fn offline() -> OpenAiResponses {
    let builder = OpenAiResponses::builder("m").base_url("http://127.0.0.1:9/v1");
    builder.without_key().build().unwrap()
}

/// A reply whose body is these chunks, and then its end.
fn reply<C: Into<Vec<u8>>>(chunks: impl IntoIterator<Item = C>) -> ChatStream {
    testing::reply(&offline().client, chunks)
}

/// An answer that came as this body.
fn whole(body: &str) -> Result<ChatResponse, ModelError> {
    let (limits, media_type) = (Limits::default(), "application/json");
    read_whole::<Assembler>(body.as_bytes(), media_type, &limits, Secrets::default)
}
