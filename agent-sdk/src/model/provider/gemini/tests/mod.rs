//! The client as a whole: what is sent, what is read, on our own cases and on recorded traffic.

mod answers;
mod calls;
mod errors;
mod fixtures;
mod places;
mod requests;
mod streams;
mod turns;

use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        ChatEvent, ChatResponse, ChatStream, Limits, Model, ModelErrorKind,
        http::testing::{self, drain, sse, text_of},
        wire::{Decode, Secrets},
    },
    operation::RunContext,
};

/// A client of a server that is not there.
fn offline() -> GeminiBuilder {
    Gemini::builder("gemini-3-flash-preview")
        .base_url("http://127.0.0.1:9/v1beta")
        .without_key()
}

/// A reply whose body is these chunks, and then its end.
fn reply<C: Into<Vec<u8>>>(client: &Gemini, chunks: impl IntoIterator<Item = C>) -> ChatStream {
    testing::reply(&client.client, chunks)
}

/// A streamed answer of these data.
async fn streamed(data: &[&str]) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
    drain(reply(&offline().build().unwrap(), [sse(data)])).await
}

/// An answer that came as one body.
fn whole(body: &Value) -> Result<ChatResponse, ModelError> {
    let answer = Assembler::new(&Limits::default()).whole(&body.to_string());
    answer.map_err(|failed| failed.into_error("the API", "application/json", &Secrets::default()))
}

/// The body of a request to a model of Google AI Studio.
fn body(model: &str, request: &ChatRequest) -> Value {
    written(&GenerateContent::default(), model, request)
}

fn written(api: &GenerateContent, model: &str, request: &ChatRequest) -> Value {
    let body = api.body(model, request, false).unwrap();
    serde_json::from_slice(&body).unwrap()
}
