//! The pieces of a message.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Content;
use crate::ids::text_id;

text_id! {
    /// The id that a model gave to a tool call. Cheap to clone.
    CallId
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text(Content),
    /// What the model thought before it answered.
    Reasoning(Reasoning),
    /// The model's refusal to answer.
    Refusal(Content),
    /// A call that the model wants made.
    ToolCall(ToolCall),
    /// What a call gave.
    ToolResult(ToolResult),
    /// An image, a sound or a document.
    Media(Media),
    /// Something that only one API knows, such as a search that the provider made: kept, and sent back to that API unchanged.
    Opaque(Opaque),
}

impl Part {
    /// The text, if this is a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reasoning that a model showed, and what it needs to see again in the next turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reasoning {
    /// The reasoning, or its summary; empty where the provider keeps it to itself.
    pub text: Content,
    /// The provider's id of it, where it is to be named in the next turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's proof, sent back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Whether the provider withheld the reasoning and gave the signature in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_redacted: bool,
}

/// What a provider wants to see again unchanged. No other API is shown it, so that a conversation can go on with another model.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signature {
    /// The API that wrote it, by the name that [`Opaque::api`] has too.
    pub api: Arc<str>,
    /// Its words.
    pub value: Content,
}

impl Signature {
    /// A signature of an API.
    pub fn new(api: impl Into<Arc<str>>, value: impl Into<Content>) -> Self {
        Self {
            api: api.into(),
            value: value.into(),
        }
    }

    /// Its words, for the API that wrote it.
    pub fn of(&self, api: &str) -> Option<&str> {
        (*self.api == *api).then_some(self.value.as_str())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}, {} bytes)", self.api, self.value.len())
    }
}

/// A piece of a message that only one API knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opaque {
    /// The API that wrote it, for example `anthropic.messages`.
    pub api: Arc<str>,
    /// The API's own word for what it is, for example `web_search_tool_result`.
    pub kind: Arc<str>,
    /// The piece as it came: JSON text.
    pub json: Content,
}

impl Opaque {
    /// A piece of an API.
    pub fn new(
        api: impl Into<Arc<str>>,
        kind: impl Into<Arc<str>>,
        json: impl Into<Content>,
    ) -> Self {
        Self {
            api: api.into(),
            kind: kind.into(),
            json: json.into(),
        }
    }
}

impl Reasoning {
    /// Reasoning without a signature.
    pub fn new(text: impl Into<Content>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Adds the provider's proof.
    #[must_use]
    pub fn with_signature(mut self, signature: Option<Signature>) -> Self {
        self.signature = signature;
        self
    }
}

/// A tool call as the model wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The model's id for the call; its result carries the same one.
    pub id: CallId,
    /// The tool's name.
    pub name: Arc<str>,
    /// The arguments: JSON text, `{}` where the model wrote nothing. Kept as it came, even where it is not valid JSON.
    pub arguments: Content,
    /// Whether the provider gave the call no id, and this one was made of the call's place in the turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_made_id: bool,
    /// The provider's proof of the reasoning behind the call, sent back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl ToolCall {
    /// A call; empty arguments become `{}`.
    pub fn new(
        id: impl Into<CallId>,
        name: impl Into<Arc<str>>,
        arguments: impl Into<Content>,
    ) -> Self {
        let mut arguments = arguments.into();
        if arguments.trim().is_empty() {
            arguments = Content::from("{}");
        }
        Self {
            id: id.into(),
            name: name.into(),
            arguments,
            has_made_id: false,
            signature: None,
        }
    }

    /// Marks the id as one that the provider did not give.
    #[must_use]
    pub fn with_made_id(mut self) -> Self {
        self.has_made_id = true;
        self
    }

    /// Adds the provider's proof.
    #[must_use]
    pub fn with_signature(mut self, signature: Option<Signature>) -> Self {
        self.signature = signature;
        self
    }
}

/// What a tool call gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: CallId,
    /// The tool's name.
    pub name: Arc<str>,
    /// What the model is shown.
    pub content: Content,
    /// Whether the call failed; `content` then says how.
    #[serde(default)]
    pub is_error: bool,
}

impl ToolResult {
    /// The result of a call that went well.
    pub fn ok(call: &ToolCall, content: impl Into<Content>) -> Self {
        Self {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: content.into(),
            is_error: false,
        }
    }

    /// The result of a call that failed.
    pub fn error(call: &ToolCall, content: impl Into<Content>) -> Self {
        Self {
            is_error: true,
            ..Self::ok(call, content)
        }
    }
}

/// An image, a sound or a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// The IANA media type, for example `image/png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The file's name, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its bytes are.
    pub source: MediaSource,
}

impl Media {
    /// An image at a URL.
    pub fn image_url(url: impl Into<String>) -> Self {
        Self {
            kind: MediaKind::Image,
            media_type: None,
            name: None,
            source: MediaSource::Url(url.into()),
        }
    }

    /// Bytes, base64-encoded, of a media type.
    pub fn base64(
        kind: MediaKind,
        media_type: impl Into<String>,
        data: impl Into<Content>,
    ) -> Self {
        Self {
            kind,
            media_type: Some(media_type.into()),
            name: None,
            source: MediaSource::Base64(data.into()),
        }
    }
}

/// The class of a [`Media`] part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A document, for example a PDF.
    Document,
}

/// Where the bytes of a [`Media`] part are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaSource {
    /// At a URL that the provider fetches.
    Url(String),
    /// Here, in base64 (standard alphabet, padded).
    Base64(Content),
    /// Uploaded to the provider before, under this id.
    FileId(String),
}
