//! Prompts, answers and tool data as attributes, where the user switched that on.
//!
//! Each attribute is one JSON text in the schema of the conventions. A part of a message is cut to [`MAX_PART`] bytes and a
//! conversation to its newest [`MAX_MESSAGES`] bytes, both with a mark of what is missing: what leaves is bounded and always
//! valid JSON.

use agent_sdk::message::{Media, MediaKind, MediaSource, Message, Part, ToolCall, ToolResult};
use agent_sdk::model::{ChatRequest, ChatResponse, FinishReason};
use agent_sdk::operation::Payload;
use opentelemetry::KeyValue;
use serde_json::{Value, json};

use crate::attrs;

/// The longest text of one part, in bytes.
const MAX_PART: usize = 16 * 1024;

/// The longest list of messages, in bytes of their parts; the oldest are left out.
const MAX_MESSAGES: usize = 256 * 1024;

/// The attributes of what goes with a start or an end.
pub(crate) fn of(payload: Payload<'_>) -> Vec<KeyValue> {
    let text = |name, value: &Value| vec![attrs::text(name, value.to_string())];
    match payload {
        Payload::Prompt(conversation) => {
            text(attrs::INPUT_MESSAGES, &messages(conversation.messages()))
        }
        Payload::Answer(answer) => {
            let part = json!({"type": "text", "content": cut(answer)});
            let said = json!([{"role": "assistant", "parts": [part]}]);
            text(attrs::OUTPUT_MESSAGES, &said)
        }
        Payload::Request(request) => request_attributes(request),
        Payload::Response(response) => text(attrs::OUTPUT_MESSAGES, &answered(response)),
        Payload::Arguments(arguments) => text(attrs::TOOL_CALL_ARGUMENTS, &data(arguments)),
        Payload::Result(result) => text(attrs::TOOL_CALL_RESULT, &data(result)),
        _ => Vec::new(),
    }
}

fn request_attributes(request: &ChatRequest) -> Vec<KeyValue> {
    let said = messages(request.conversation.messages());
    let mut all = vec![attrs::text(attrs::INPUT_MESSAGES, said.to_string())];
    if let Some(instructions) = &request.instructions {
        let instructions = json!([{"type": "text", "content": cut(instructions)}]);
        all.push(attrs::text(
            attrs::SYSTEM_INSTRUCTIONS,
            instructions.to_string(),
        ));
    }
    all
}

fn answered(response: &ChatResponse) -> Value {
    let reason = match &response.finish_reason {
        FinishReason::ToolCalls => "tool_call",
        other => other.as_str(),
    };
    let parts = response.message.parts.iter().map(|said| part(said).0);
    json!([{
        "role": response.message.role.as_str(),
        "parts": parts.collect::<Vec<_>>(),
        "finish_reason": reason,
    }])
}

fn messages(said: &[Message]) -> Value {
    let mut left = MAX_MESSAGES;
    let mut newest_first = Vec::new();
    for message in said.iter().rev() {
        let (parts, sizes): (Vec<_>, Vec<_>) = message.parts.iter().map(part).unzip();
        let Some(rest) = left.checked_sub(sizes.iter().sum()) else {
            break;
        };
        left = rest;
        newest_first.push(json!({"role": message.role.as_str(), "parts": parts}));
    }
    let missing = said.len() - newest_first.len();
    if missing > 0 {
        let words = format!("[{missing} earlier messages cut]");
        let part = json!({"type": "text", "content": words});
        newest_first.push(json!({"role": "system", "parts": [part]}));
    }
    newest_first.reverse();
    Value::Array(newest_first)
}

/// A part in the conventions' schema, and about how many bytes it takes.
fn part(part: &Part) -> (Value, usize) {
    // What stands around the text in JSON.
    let around = 128;
    let of_text = |kind: &str, text: &str| {
        let value = json!({"type": kind, "content": cut(text)});
        (value, around + text.len().min(MAX_PART))
    };
    match part {
        Part::Text(text) => of_text("text", text),
        Part::Reasoning(reasoning) => of_text("reasoning", &reasoning.text),
        Part::Refusal(text) => of_text("refusal", text),
        Part::ToolCall(ToolCall {
            id,
            name,
            arguments,
            ..
        }) => {
            let value = json!({
                "type": "tool_call",
                "id": id.as_str(),
                "name": cut(name),
                "arguments": data(arguments),
            });
            (value, around + arguments.len().min(MAX_PART))
        }
        Part::ToolResult(ToolResult {
            call_id, content, ..
        }) => {
            let value = json!({
                "type": "tool_call_response",
                "id": call_id.as_str(),
                "response": data(content),
            });
            (value, around + content.len().min(MAX_PART))
        }
        Part::Media(media) => of_media(media, around),
        _ => (json!({"type": "unknown"}), around),
    }
}

fn of_media(media: &Media, around: usize) -> (Value, usize) {
    let modality = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Audio => "audio",
        _ => "document",
    };
    let (kind, key, text) = match &media.source {
        MediaSource::Url(url) => ("uri", "uri", url.as_str()),
        MediaSource::Base64(data) => ("blob", "content", data.as_str()),
        MediaSource::FileId(id) => ("file", "file_id", id.as_str()),
        _ => ("unknown", "content", ""),
    };
    let mut value = json!({"type": kind, "modality": modality, key: cut(text)});
    if let (Some(media_type), Some(fields)) = (&media.media_type, value.as_object_mut()) {
        fields.insert("mime_type".into(), media_type.as_str().into());
    }
    (value, around + text.len().min(MAX_PART))
}

/// Tool data: the JSON that it is, or else a text.
fn data(text: &str) -> Value {
    let whole = (text.len() <= MAX_PART).then(|| serde_json::from_str(text).ok());
    whole.flatten().unwrap_or_else(|| Value::String(cut(text)))
}

/// The beginning of a text that is too long, with a mark of how much is missing.
fn cut(text: &str) -> String {
    match text.get(..text.floor_char_boundary(MAX_PART)) {
        Some(head) if head.len() < text.len() => {
            format!("{head}[{} bytes cut]", text.len() - head.len())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use agent_sdk::message::Conversation;

    use super::*;

    fn json(payload: Payload<'_>) -> Value {
        let all = of(payload);
        serde_json::from_str(&all[0].value.as_str()).unwrap()
    }

    #[test]
    fn long_parts_are_cut_between_characters() {
        let long = "ä".repeat(MAX_PART);
        let cut = json(Payload::Answer(&long));
        let content = cut[0]["parts"][0]["content"].as_str().unwrap();
        assert!(content.len() < MAX_PART + 32);
        assert!(content.ends_with("ä[16384 bytes cut]"));
    }

    #[test]
    fn long_conversations_keep_their_newest_messages() {
        let long = "x".repeat(MAX_PART);
        let mut said = vec![Message::user("first")];
        said.extend((0..40).map(|_| Message::user(long.as_str())));
        said.push(Message::user("last"));
        let said = Conversation::from_iter(said);
        let kept = json(Payload::Prompt(&said));
        let kept = kept.as_array().unwrap();
        let text = |n: usize| kept[n]["parts"][0]["content"].as_str().unwrap();
        assert!(kept.len() < 20, "{}", kept.len());
        assert_eq!(text(kept.len() - 1), "last");
        let missing = said.len() - (kept.len() - 1);
        assert_eq!(text(0), format!("[{missing} earlier messages cut]"));
    }

    #[test]
    fn tool_data_is_json_in_any_case() {
        assert_eq!(json(Payload::Arguments(r#"{"n":1}"#)), json!({"n": 1}));
        assert_eq!(json(Payload::Result("no JSON")), json!("no JSON"));
    }
}
