//! Messages and tool data in the schema of the conventions: redacted, cut, and bounded.

use agent_sdk::message::{Media, MediaKind, MediaSource, Message, Part, ToolCall, ToolResult};
use agent_sdk::model::{ChatRequest, ChatResponse, FinishReason};
use agent_sdk::operation::Payload;
use agent_sdk::redact::Redactor;
use serde_json::{Value, json};

use super::Piece;
use crate::attrs;

/// The longest text of one part, in bytes.
const MAX_PART: usize = 16 * 1024;

/// The longest list of messages, in bytes of its JSON; the oldest are left out.
const MAX_MESSAGES: usize = 256 * 1024;

/// So much more than is kept is redacted, so that a secret across the end is seen whole.
const MARGIN: usize = 4 * 1024;

const INPUT: (&str, &str) = (attrs::CONTENT_INPUT_REF, "input");
const INSTRUCTIONS: (&str, &str) = (attrs::CONTENT_INSTRUCTIONS_REF, "instructions");
const OUTPUT: (&str, &str) = (attrs::CONTENT_OUTPUT_REF, "output");
const ARGUMENTS: (&str, &str) = (attrs::CONTENT_ARGUMENTS_REF, "arguments");
const RESULT: (&str, &str) = (attrs::CONTENT_RESULT_REF, "result");

/// Makes pieces of payloads.
pub(super) struct Messages<'r> {
    pub(super) redactor: &'r Redactor,
}

impl Messages<'_> {
    /// What goes with a start or an end.
    pub(super) fn of(&self, payload: Payload<'_>) -> Vec<Piece> {
        let piece = |name, reference, value| {
            vec![Piece {
                name,
                reference,
                value,
            }]
        };
        match payload {
            Payload::Prompt(conversation) => {
                let said = self.list(conversation.messages());
                piece(attrs::INPUT_MESSAGES, INPUT, said)
            }
            Payload::Answer(answer) => {
                let part = json!({"type": "text", "content": self.text(answer)});
                let said = json!([{"role": "assistant", "parts": [part]}]);
                piece(attrs::OUTPUT_MESSAGES, OUTPUT, said)
            }
            Payload::Request(request) => self.request(request),
            Payload::Response(response) => {
                piece(attrs::OUTPUT_MESSAGES, OUTPUT, self.answered(response))
            }
            Payload::Arguments(arguments) => {
                let data = self.data(arguments);
                piece(attrs::TOOL_CALL_ARGUMENTS, ARGUMENTS, data)
            }
            Payload::Result(result) => piece(attrs::TOOL_CALL_RESULT, RESULT, self.data(result)),
            _ => Vec::new(),
        }
    }

    fn request(&self, request: &ChatRequest) -> Vec<Piece> {
        let mut pieces = vec![Piece {
            name: attrs::INPUT_MESSAGES,
            reference: INPUT,
            value: self.list(request.conversation.messages()),
        }];
        pieces.extend(request.instructions.as_deref().map(|instructions| Piece {
            name: attrs::SYSTEM_INSTRUCTIONS,
            reference: INSTRUCTIONS,
            value: json!([{"type": "text", "content": self.text(instructions)}]),
        }));
        pieces
    }

    fn answered(&self, response: &ChatResponse) -> Value {
        let reason = match &response.finish_reason {
            FinishReason::ToolCalls => "tool_call".to_owned(),
            other => self.text(other.as_str()),
        };
        let (mut message, _) = self.message(&response.message, MAX_MESSAGES);
        if let Some(fields) = message.as_object_mut() {
            fields.insert("finish_reason".into(), reason.into());
        }
        Value::Array(vec![message])
    }

    /// The newest messages, as many as there is room for, and a mark of how many are missing.
    fn list(&self, said: &[Message]) -> Value {
        let mut left = MAX_MESSAGES;
        let mut newest_first = Vec::new();
        for message in said.iter().rev() {
            // Of the newest one there is at least a part.
            let is_newest = newest_first.is_empty();
            let (value, is_whole) = self.message(message, left);
            let size = size(&value);
            if !is_newest && (!is_whole || size > left) {
                break;
            }
            left = left.saturating_sub(size);
            newest_first.push(value);
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

    /// A message with as many of its parts as there is room for, and whether those are all.
    fn message(&self, message: &Message, room: usize) -> (Value, bool) {
        let (mut left, mut parts) = (room, Vec::new());
        for part in &message.parts {
            let value = self.part(part);
            let size = size(&value);
            if size > left {
                break;
            }
            left -= size;
            parts.push(value);
        }
        let missing = message.parts.len() - parts.len();
        if missing > 0 {
            let words = format!("[{missing} later parts cut]");
            parts.push(json!({"type": "text", "content": words}));
        }
        let value = json!({"role": message.role.as_str(), "parts": parts});
        (value, missing == 0)
    }

    /// A part in the conventions' schema.
    fn part(&self, part: &Part) -> Value {
        let of_text = |kind: &str, text: &str| json!({"type": kind, "content": self.text(text)});
        match part {
            Part::Text(text) => of_text("text", text),
            Part::Reasoning(reasoning) => of_text("reasoning", &reasoning.text),
            Part::Refusal(text) => of_text("refusal", text),
            Part::ToolCall(ToolCall {
                id,
                name,
                arguments,
                ..
            }) => json!({
                "type": "tool_call",
                "id": self.text(id.as_str()),
                "name": self.text(name),
                "arguments": self.data(arguments),
            }),
            Part::ToolResult(ToolResult {
                call_id, content, ..
            }) => json!({
                "type": "tool_call_response",
                "id": self.text(call_id.as_str()),
                "response": self.data(content),
            }),
            Part::Media(media) => self.media(media),
            _ => json!({"type": "unknown"}),
        }
    }

    /// Media by their address or their id. Of bytes there are the type and the size.
    fn media(&self, media: &Media) -> Value {
        let modality = match media.kind {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
            _ => "document",
        };
        let media_type = media.media_type.as_deref().map(|name| self.text(name));
        let bytes = |length: usize| {
            let media_type = media_type.as_deref().unwrap_or(modality);
            format!("[{media_type}, {length} bytes of base64]")
        };
        let (kind, key, text) = match &media.source {
            // An address that holds the data itself.
            MediaSource::Url(url) if is_data(url) => ("blob", "content", bytes(url.len())),
            MediaSource::Url(url) => ("uri", "uri", self.text(url)),
            MediaSource::Base64(data) => ("blob", "content", bytes(data.len())),
            MediaSource::FileId(id) => ("file", "file_id", self.text(id)),
            _ => ("unknown", "content", String::new()),
        };
        let mut value = json!({"type": kind, "modality": modality, key: text});
        if let (Some(media_type), Some(fields)) = (media_type, value.as_object_mut()) {
            fields.insert("mime_type".into(), media_type.into());
        }
        value
    }

    /// Tool data: the JSON that it is, or else a text.
    fn data(&self, text: &str) -> Value {
        let whole = (text.len() <= MAX_PART).then(|| serde_json::from_str(text).ok());
        match whole.flatten() {
            Some(value) => self.redactor.json(value),
            None => Value::String(self.text(text)),
        }
    }

    /// A text without what is to be taken out; of one that is too long its beginning, with a mark of how much is missing.
    fn text(&self, text: &str) -> String {
        let head = text.get(..text.floor_char_boundary(MAX_PART + MARGIN));
        let head = head.unwrap_or_default();
        let clean = self.redactor.text(head);
        let is_all = head.len() == text.len();
        if is_all && clean.len() <= MAX_PART {
            return clean.into_owned();
        }
        // What may be the beginning of a secret that goes on behind the margin is not kept, however much was taken out before it.
        let most = if is_all {
            MAX_PART
        } else {
            MAX_PART.min(clean.len().saturating_sub(MARGIN))
        };
        let kept = clean.get(..clean.floor_char_boundary(most));
        let kept = kept.unwrap_or_default();
        let missing = text.len().saturating_sub(kept.len()).max(1);
        format!("{kept}[{missing} bytes cut]")
    }
}

fn is_data(url: &str) -> bool {
    url.get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// How many bytes of JSON a value is.
fn size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use agent_sdk::message::Conversation;

    use super::*;

    fn json(payload: Payload<'_>) -> Value {
        let redactor = Redactor::new();
        let mut pieces = Messages {
            redactor: &redactor,
        }
        .of(payload);
        let value = pieces.remove(0).value;
        let read: Value = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(read, value);
        assert!(size(&value) <= MAX_MESSAGES + 1024, "{}", size(&value));
        value
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
    fn a_secret_across_the_end_leaves_no_beginning() {
        let key = format!("sk-proj-{}", "a1".repeat(500));
        for before in MAX_PART - 30..MAX_PART + 2 {
            let text = format!("{} {key} more {}", "x".repeat(before), "y".repeat(MAX_PART));
            let shown = json(Payload::Answer(&text)).to_string();
            assert!(!shown.contains("sk-"), "{before}");
        }
        // Where much is taken out, the end of what was looked at comes within what is kept.
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----{}-----END PRIVATE KEY-----",
            "A".repeat(15_000)
        );
        let mut text = format!("{pem} {}", "y".repeat(MAX_PART + MARGIN - pem.len() - 9));
        text.push_str(" sk-proj-");
        text.push_str(&"a1".repeat(5_000));
        let shown = json(Payload::Answer(&text)).to_string();
        assert!(!shown.contains("sk-"), "the beginning of a key is left");
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
    fn a_message_of_too_many_parts_and_one_of_many_escapes_are_bounded() {
        let mut message = Message::user("begin");
        let control = "\u{1}".repeat(MAX_PART);
        message
            .parts
            .extend((0..400).map(|_| Part::Text(control.as_str().into())));
        let said = Conversation::from_iter([Message::user("old"), message]);
        let kept = json(Payload::Prompt(&said));
        let parts = kept[1]["parts"].as_array().unwrap();
        assert_eq!(parts[0]["content"], "begin");
        let last = parts.last().unwrap()["content"].as_str().unwrap();
        assert_eq!(last, "[398 later parts cut]");
    }

    #[test]
    fn tool_data_is_json_in_any_case() {
        assert_eq!(json(Payload::Arguments(r#"{"n":1}"#)), json!({"n": 1}));
        assert_eq!(json(Payload::Result("no JSON")), json!("no JSON"));
        let login = r#"{"user":"jo@example.com","password":["hunter2"]}"#;
        let shown = json!({"user": "[redacted:email]", "password": "[redacted:secret]"});
        assert_eq!(json(Payload::Arguments(login)), shown);
    }

    #[test]
    fn bytes_of_media_are_a_mark() {
        let of = |source| {
            let mut message = Message::user("look");
            let mut media = Media::base64(MediaKind::Image, "image/png", "");
            media.source = source;
            message.parts.push(Part::Media(media));
            let said = Conversation::from_iter([message]);
            json(Payload::Prompt(&said))[0]["parts"][1].clone()
        };
        let bytes = of(MediaSource::Base64("iVBORw0KGgo".into()));
        assert_eq!(bytes["content"], "[image/png, 11 bytes of base64]");
        let inline = of(MediaSource::Url("data:image/png;base64,iVBORw0KGgo".into()));
        assert_eq!(inline["content"], "[image/png, 33 bytes of base64]");
        let address = of(MediaSource::Url(
            "https://jo:pw@h/a.png?key=abcd1234".into(),
        ));
        assert_eq!(
            address["uri"],
            "https://[redacted:userinfo]@h/a.png?key=[redacted:secret]"
        );
    }
}
