//! The client as a whole: against a server of scripts, in memory with a clock that stands still, and on recorded traffic.

mod calls;
mod faults;
mod fixtures;
mod propagation;
mod requests;
mod streams;
mod wire;

use super::*;
use crate::{
    model::{
        ChatEvent, ChatResponse, ChatStream, Limits, Model, ModelErrorKind, Timeouts,
        http::testing::{self, Body, drain, sse, text_of},
    },
    operation::RunContext,
};

/// A client of a server that is not there.
fn offline() -> OpenAiBuilder {
    OpenAi::builder("m")
        .base_url("http://127.0.0.1:9/v1")
        .without_key()
}

/// A reply whose body is these chunks, and then its end.
fn reply<C: Into<Vec<u8>>>(client: &OpenAi, chunks: impl IntoIterator<Item = C>) -> ChatStream {
    testing::reply(&client.client, chunks)
}

fn reply_of(client: &OpenAi, context: &RunContext, body: Body) -> ChatStream {
    testing::reply_of(&client.client, context, body)
}
