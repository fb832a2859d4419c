//! What was read, as one flat JSON object.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Inspection;
use crate::{
    message::{Message, Part, ToolCall},
    model::{ChatResponse, Usage},
};

#[derive(Default, Serialize)]
struct Form<'a> {
    model: Option<&'a str>,
    text: String,
    reasoning_text: String,
    refusal: Option<String>,
    tool_calls: Vec<Call<'a>>,
    finish_reasons: Vec<Value>,
    usage: Option<Tokens>,
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    /// As the provider gave it, if it did.
    id: Option<&'a str>,
    name: &'a str,
    arguments: Value,
}

#[expect(clippy::struct_field_names, reason = "they are the names on the wire")]
#[derive(Serialize)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Failure<'a> {
    kind: &'static str,
    status: Option<u16>,
    #[serde(rename = "type")]
    provider_type: Option<&'a str>,
    code: Option<&'a str>,
    message: &'a str,
}

impl<'a> Form<'a> {
    fn of(response: &'a ChatResponse) -> Self {
        let mut form = Self {
            model: response.model.as_deref(),
            finish_reasons: response
                .native_finish_reasons
                .iter()
                .map(|reason| sent(reason))
                .collect(),
            usage: Tokens::of(&response.usage),
            ..Self::default()
        };
        let alternatives = std::iter::once(&response.message).chain(&response.alternatives);
        for part in alternatives.flat_map(|message: &Message| &message.parts) {
            match part {
                Part::Text(text) => form.text.push_str(text),
                Part::Reasoning(thought) => form.reasoning_text.push_str(&thought.text),
                Part::Refusal(text) => form.refusal.get_or_insert_default().push_str(text),
                Part::ToolCall(call) => form.tool_calls.push(Call::of(call)),
                _ => {}
            }
        }
        form
    }
}

/// A finish reason as it was sent: a word, a number, or nothing.
fn sent(reason: &str) -> Value {
    match reason.parse::<u64>() {
        _ if reason.is_empty() => Value::Null,
        Ok(number) => number.into(),
        Err(_) => reason.into(),
    }
}

impl<'a> Call<'a> {
    fn of(call: &'a ToolCall) -> Self {
        let arguments = serde_json::from_str(&call.arguments);
        Self {
            id: (!call.has_made_id).then_some(call.id.as_str()),
            name: &call.name,
            arguments: arguments.unwrap_or_else(|_| call.arguments.as_str().into()),
        }
    }
}

impl Tokens {
    fn of(usage: &Usage) -> Option<Self> {
        (!usage.is_unknown()).then_some(Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        })
    }
}

impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = self.response().map(Form::of).unwrap_or_default();
        form.error = self.result.as_ref().err().map(|error| Failure {
            kind: error.kind().as_str(),
            status: (!(200..300).contains(&self.status)).then_some(self.status),
            provider_type: error.provider_type(),
            code: error.code(),
            message: error.message(),
        });
        form.serialize(serializer)
    }
}
