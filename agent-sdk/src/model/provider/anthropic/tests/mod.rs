//! The client as a whole: in memory, against a server of scripts, and on recorded traffic.

mod answers;
mod fixtures;
mod history;
mod requests;
mod streams;
mod wire;

use std::sync::Arc;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    message::Conversation,
    model::{
        ChatEvent, ChatSettings, FinishReason, Limits, ModelErrorKind, OutputFormat, ToolChoice,
        ToolSpec,
        http::testing::{self, drain, sse, text_of},
    },
};

/// A client of a server that is not there.
fn offline() -> AnthropicBuilder {
    Anthropic::builder("m")
        .base_url("http://127.0.0.1:9")
        .without_key()
}

fn habits(request: &ChatRequest, habits: Habits) -> Value {
    let body = request::body("m", request, false, habits).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn body(request: &ChatRequest) -> Value {
    habits(request, Habits::default())
}

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec::new(name, "", schema(r#"{"type":"object"}"#))
}
