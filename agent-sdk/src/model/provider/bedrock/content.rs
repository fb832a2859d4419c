//! A conversation as the API wants it: the developer's texts in front, then the two sides in turns.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{API, NAME};
use crate::{
    message::{Media, MediaKind, MediaSource, Message, Part, Reasoning, Role, ToolResult},
    model::{
        CacheLifetime, ChatRequest, ModelError,
        http::body::{Arguments, no_place, refuse},
    },
};

/// What stands in a list of content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(&'a str),
    Image(Image<'a>),
    Document(Document<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(Answer<'a>),
    ReasoningContent(Thought<'a>),
    CachePoint(CachePoint),
    /// One that came from this API, as it came.
    #[serde(untagged)]
    Own(&'a RawValue),
}

#[derive(Serialize)]
pub(super) struct Image<'a> {
    format: &'a str,
    source: Source<'a>,
}

#[derive(Serialize)]
pub(super) struct Document<'a> {
    name: String,
    format: &'a str,
    source: Source<'a>,
}

/// Where bytes are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    Bytes(&'a str),
    S3Location { uri: &'a str },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    #[serde(rename = "toolUseId")]
    id: &'a str,
    name: &'a str,
    input: Arguments<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    tool_use_id: &'a str,
    content: Vec<Words<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Serialize)]
struct Words<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

/// Everything before it is kept in the provider's cache.
#[derive(Clone, Copy, Serialize)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CachePoint {
    pub(super) fn of(lifetime: CacheLifetime) -> Self {
        Self {
            kind: "default",
            ttl: (lifetime == CacheLifetime::OneHour).then_some("1h"),
        }
    }
}

/// What one side said at once.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// The whole of what was said.
pub(super) struct Turns<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) list: Vec<Turn<'a>>,
    /// Whether a tool was called.
    pub(super) has_calls: bool,
    /// How many documents there were.
    documents: usize,
}

impl<'a> Turns<'a> {
    /// Reads a request's instructions and history.
    ///
    /// # Errors
    ///
    /// `BadRequest` where the API has no place for a part.
    pub(super) fn of(request: &'a ChatRequest) -> Result<Self, ModelError> {
        let mut turns = Self {
            system: Vec::new(),
            list: Vec::new(),
            has_calls: false,
            documents: 0,
        };
        turns
            .system
            .extend(request.instructions.as_deref().and_then(text));
        for message in request.conversation.messages() {
            turns.add(message)?;
        }
        if let Some(cache) = request.settings.prompt_cache {
            let point = || Block::CachePoint(CachePoint::of(cache.lifetime));
            if cache.instructions && !turns.system.is_empty() {
                turns.system.push(point());
            }
            if cache.conversation
                && let Some(turn) = turns.list.last_mut()
            {
                turn.content.push(point());
            }
        }
        Ok(turns)
    }

    fn add(&mut self, message: &'a Message) -> Result<(), ModelError> {
        let mut content = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            content.extend(self.block(message.role, part)?);
        }
        let role = match message.role {
            Role::System => {
                self.system.append(&mut content);
                return Ok(());
            }
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        match self.list.last_mut() {
            Some(turn) if turn.role == role => turn.content.append(&mut content),
            // A message without content is refused by the API, and says nothing.
            _ if content.is_empty() => {}
            _ => self.list.push(Turn { role, content }),
        }
        Ok(())
    }

    /// A part as a block; none where it is empty, or another API's own.
    fn block(&mut self, role: Role, part: &'a Part) -> Result<Option<Block<'a>>, ModelError> {
        Ok(match (part, role) {
            (Part::Text(words), Role::System | Role::User | Role::Assistant)
            | (Part::Refusal(words), Role::Assistant) => text(words),
            (Part::Reasoning(reasoning), Role::Assistant) => thought(reasoning),
            (Part::ToolCall(call), Role::Assistant) => {
                self.has_calls = true;
                Some(Block::ToolUse(ToolUse {
                    id: call.id.as_str(),
                    name: &call.name,
                    input: Arguments(&call.arguments),
                }))
            }
            (Part::ToolResult(result), Role::User | Role::Tool) => {
                self.has_calls = true;
                Some(Block::ToolResult(answer(result)))
            }
            (Part::Media(media), Role::User) => Some(self.media(media)?),
            (Part::Opaque(opaque), _) if *opaque.api == *API => {
                let json = serde_json::from_str(&opaque.json);
                match json {
                    Ok(json) => Some(Block::Own(json)),
                    Err(_) => return refuse("a part of the API's own is no JSON"),
                }
            }
            (Part::Opaque(_), _) => None,
            _ => return no_place(NAME, role, part),
        })
    }

    fn media(&mut self, media: &'a Media) -> Result<Block<'a>, ModelError> {
        let kind = media.kind;
        let source = match &media.source {
            MediaSource::Base64(data) => Source::Bytes(data),
            MediaSource::Url(uri) if uri.starts_with("s3://") => Source::S3Location { uri },
            MediaSource::Url(_) | MediaSource::FileId(_) => {
                return refuse(format!(
                    "{NAME} takes bytes and addresses of S3 alone, not this part of the kind {kind:?}"
                ));
            }
        };
        let media_type = media.media_type.as_deref();
        match kind {
            MediaKind::Image => {
                let format = media_type.and_then(|name| name.strip_prefix("image/"));
                let named = format.or_else(|| extension(&media.source));
                match named {
                    Some("jpg") => Ok(Block::Image(Image {
                        format: "jpeg",
                        source,
                    })),
                    Some(format) => Ok(Block::Image(Image { format, source })),
                    None => refuse("an image has no media type"),
                }
            }
            MediaKind::Document => {
                self.documents += 1;
                let format = media_type
                    .and_then(document)
                    .or_else(|| extension(&media.source));
                let Some(format) = format else {
                    return refuse(format!("{NAME} does not know a document's media type"));
                };
                let name = match &media.name {
                    Some(name) => plain(name),
                    None => format!("document {}", self.documents),
                };
                Ok(Block::Document(Document {
                    name,
                    format,
                    source,
                }))
            }
            MediaKind::Audio => refuse(format!(
                "{NAME} has no place for a part of the kind {kind:?}"
            )),
        }
    }
}

/// A text, unless there is nothing in it, which the API refuses.
pub(super) fn text(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(text))
}

/// Reasoning goes back where it carries this API's proof; without one, or with another's, it would be refused.
fn thought(reasoning: &Reasoning) -> Option<Block<'_>> {
    let signature = reasoning.signature.as_ref()?.of(API)?;
    Some(Block::ReasoningContent(if reasoning.is_redacted {
        Thought::RedactedContent(signature)
    } else {
        Thought::ReasoningText {
            text: &reasoning.text,
            signature,
        }
    }))
}

fn answer(result: &ToolResult) -> Answer<'_> {
    let words = Words {
        text: &result.content,
    };
    Answer {
        tool_use_id: result.call_id.as_str(),
        content: Some(words)
            .filter(|words| !words.text.trim().is_empty())
            .into_iter()
            .collect(),
        // The usual status is not known to all models.
        status: result.is_error.then_some("error"),
    }
}

/// The API's word for a document's media type.
fn document(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/markdown" => "md",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        text if text.starts_with("text/") => "txt",
        _ => return None,
    })
}

/// The last part of an address's name.
fn extension(source: &MediaSource) -> Option<&str> {
    match source {
        MediaSource::Url(uri) => uri.rsplit('/').next()?.rsplit_once('.').map(|(_, end)| end),
        _ => None,
    }
}

/// A name of those characters alone that the API allows in one, no two spaces beside one another.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
    let words = name
        .split(|c: char| c.is_whitespace())
        .filter(|word| !word.is_empty());
    let words = words.map(|word| -> String {
        let letters = word.chars();
        letters.map(|c| if allowed(c) { c } else { '-' }).collect()
    });
    words.collect::<Vec<_>>().join(" ")
}
