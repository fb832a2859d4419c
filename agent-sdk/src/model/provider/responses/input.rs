//! The history as the items of a request.

use std::{borrow::Cow, collections::HashSet};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};
use serde_json::value::RawValue;

use super::API;
use crate::{
    message::{Media, MediaKind, MediaSource, Message, Part, Reasoning, Role, Signature, ToolCall},
    model::{
        ChatRequest, ModelError,
        http::body::{Address, Joined, no_place, refuse},
    },
};

/// The API, in words.
const NAME: &str = "the Responses API";

/// What a call must be sent back with, besides what every call has.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct CallSignature<'a> {
    /// It is of a custom tool, which takes text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) custom: bool,
    /// The tools among which the called one was found.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<Cow<'a, str>>,
}

impl<'a> CallSignature<'a> {
    /// As it is kept with the call; most calls need none.
    pub(super) fn write(&self) -> Option<Signature> {
        if !self.custom && self.namespace.is_none() {
            return None;
        }
        let text = serde_json::to_string(self).ok()?;
        Some(Signature::new(API, text))
    }

    fn of(call: &'a ToolCall) -> Self {
        let text = call.signature.as_ref().and_then(|own| own.of(API));
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

/// The history, and the instructions where they are a message.
pub(super) struct Input<'a> {
    instructions: Option<&'a str>,
    messages: &'a [Message],
    /// Whether the server keeps its answers.
    stored: bool,
    /// The calls of custom tools, whose results have a form of their own.
    custom: HashSet<&'a str>,
}

impl<'a> Input<'a> {
    /// Refuses what the API has no place for.
    pub(super) fn new(
        request: &'a ChatRequest,
        system_message: bool,
        stored: bool,
    ) -> Result<Self, ModelError> {
        let messages = request.conversation.messages();
        let mut custom = HashSet::new();
        for message in messages {
            for part in &message.parts {
                check(message.role, part)?;
                if let Part::ToolCall(call) = part
                    && CallSignature::of(call).custom
                {
                    custom.insert(call.id.as_str());
                }
            }
        }
        Ok(Self {
            instructions: request.instructions.as_deref().filter(|_| system_message),
            messages,
            stored,
            custom,
        })
    }
}

fn check(role: Role, part: &Part) -> Result<(), ModelError> {
    let fits = match part {
        Part::Text(_) => !matches!(role, Role::Tool),
        Part::Reasoning(_) | Part::Refusal(_) | Part::ToolCall(_) => {
            matches!(role, Role::Assistant)
        }
        Part::ToolResult(_) => matches!(role, Role::Tool | Role::User),
        Part::Media(_) => matches!(role, Role::User),
        Part::Opaque(own) => *own.api != *API || !matches!(role, Role::System),
    };
    if !fits {
        return no_place(NAME, role, part);
    }
    match part {
        Part::Opaque(own) if *own.api == *API && object(&own.json).is_none() => {
            refuse(format!("a part `{}` of {NAME} is no JSON object", own.kind))
        }
        Part::Reasoning(Reasoning {
            signature: Some(own),
            ..
        }) if own.of(API).is_some_and(|text| object(text).is_none()) => refuse(format!(
            "the signature of a reasoning part of {NAME} is no JSON object"
        )),
        Part::Media(media) => check_media(media),
        _ => Ok(()),
    }
}

fn check_media(media: &Media) -> Result<(), ModelError> {
    match (media.kind, &media.source) {
        (MediaKind::Audio, _) => refuse(format!("{NAME} takes no sound")),
        (_, MediaSource::Base64(_)) if media.media_type.is_none() => {
            refuse("the media part has no media type")
        }
        _ => Ok(()),
    }
}

/// The text as the JSON object that it is.
fn object(text: &str) -> Option<&RawValue> {
    let text = text.trim_ascii();
    let object = serde_json::from_str(text).ok();
    object.filter(|_| text.starts_with('{'))
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if let Some(content) = self.instructions {
            list.serialize_element(&Said {
                role: "system",
                content,
            })?;
        }
        for Message { role, parts, .. } in self.messages {
            match role {
                Role::Assistant => self.answer(&mut list, parts)?,
                Role::System => list.serialize_element(&Said {
                    role: "system",
                    content: Joined(parts),
                })?,
                Role::User | Role::Tool => self.asked(&mut list, *role, parts)?,
            }
        }
        list.end()
    }
}

impl Input<'_> {
    /// What a user or a tool says: the results first, for they belong to the calls before them.
    fn asked<L: SerializeSeq>(
        &self,
        list: &mut L,
        role: Role,
        parts: &[Part],
    ) -> Result<(), L::Error> {
        let is_item = |part: &Part| matches!(part, Part::ToolResult(_) | Part::Opaque(_));
        for part in parts {
            match part {
                Part::ToolResult(result) => {
                    let call_id = result.call_id.as_str();
                    list.serialize_element(&Given {
                        kind: if self.custom.contains(call_id) {
                            "custom_tool_call_output"
                        } else {
                            "function_call_output"
                        },
                        call_id,
                        output: result.content.as_str(),
                    })?;
                }
                Part::Opaque(own) if *own.api == *API => {
                    list.serialize_element(&object(&own.json))?;
                }
                _ => {}
            }
        }
        let items_only = !parts.is_empty() && parts.iter().all(is_item);
        if role == Role::Tool || items_only {
            return Ok(());
        }
        list.serialize_element(&Said {
            role: "user",
            content: Content(parts),
        })
    }

    /// What the model said, in order.
    fn answer<L: SerializeSeq>(&self, list: &mut L, parts: &[Part]) -> Result<(), L::Error> {
        let same = |one: &Part, next: &Part| one.as_text().is_some() && next.as_text().is_some();
        for run in parts.chunk_by(same) {
            match run {
                [Part::Text(_), ..] => list.serialize_element(&Said {
                    role: "assistant",
                    content: Joined(run),
                })?,
                [Part::Refusal(refusal)] => list.serialize_element(&Said {
                    role: "assistant",
                    content: [Refused {
                        kind: "refusal",
                        refusal,
                    }],
                })?,
                [Part::Reasoning(thought)] => self.thought(list, thought)?,
                [Part::ToolCall(call)] => {
                    let own = CallSignature::of(call);
                    let arguments = call.arguments.as_str();
                    list.serialize_element(&Called {
                        kind: if own.custom {
                            "custom_tool_call"
                        } else {
                            "function_call"
                        },
                        call_id: call.id.as_str(),
                        name: &call.name,
                        namespace: own.namespace.as_deref(),
                        arguments: (!own.custom).then_some(arguments),
                        input: own.custom.then_some(arguments),
                    })?;
                }
                [Part::Opaque(own)] if *own.api == *API => {
                    list.serialize_element(&object(&own.json))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reasoning as it came; without its proof, only its id means something, and only to a server that stored it.
    fn thought<L: SerializeSeq>(&self, list: &mut L, thought: &Reasoning) -> Result<(), L::Error> {
        let proof = thought.signature.as_ref().and_then(|own| own.of(API));
        if let Some(item) = proof.and_then(object) {
            return list.serialize_element(item);
        }
        let id = thought.id.as_deref().filter(|id| id.starts_with("rs_"));
        if let (true, None, Some(id)) = (self.stored, &thought.signature, id) {
            let summary = Some(thought.text.as_str()).filter(|text| !text.is_empty());
            let kind = "summary_text";
            return list.serialize_element(&Thought {
                kind: "reasoning",
                id,
                summary: summary.map(|text| Summary { kind, text }).as_slice(),
            });
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Said<T> {
    role: &'static str,
    content: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    refusal: &'a str,
}

#[derive(Serialize)]
struct Given<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    call_id: &'a str,
    output: &'a str,
}

#[derive(Serialize)]
struct Called<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    call_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
}

#[derive(Serialize)]
struct Thought<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    summary: &'a [Summary<'a>],
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

/// What the user says: one text, or a list of parts.
struct Content<'a>(&'a [Part]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [] => serializer.serialize_str(""),
            [Part::Text(text)] => serializer.serialize_str(text),
            parts => serializer.collect_seq(parts.iter().filter_map(Piece::of)),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "input_text")]
    Text { text: &'a str },
    #[serde(rename = "input_image")]
    Image {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Address<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
    #[serde(rename = "input_file")]
    File {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<Address<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
    },
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part) -> Option<Self> {
        let media = match part {
            Part::Text(text) => return Some(Self::Text { text }),
            Part::Media(media) => media,
            _ => return None,
        };
        let media_type = media.media_type.as_deref().unwrap_or_default();
        let file_id = match &media.source {
            MediaSource::FileId(id) => Some(id.as_str()),
            _ => None,
        };
        match media.kind {
            MediaKind::Image => Some(Self::Image {
                image_url: Address::of(media_type, &media.source),
                file_id,
            }),
            MediaKind::Document => {
                let file_url = match &media.source {
                    MediaSource::Url(url) => Some(url.as_str()),
                    _ => None,
                };
                let file_data = match &media.source {
                    MediaSource::Base64(_) => Address::of(media_type, &media.source),
                    _ => None,
                };
                // A file that comes as bytes must have a name.
                let unnamed = file_data.is_some().then_some("document");
                Some(Self::File {
                    file_id,
                    file_url,
                    filename: media
                        .name
                        .as_deref()
                        .filter(|_| file_data.is_some())
                        .or(unnamed),
                    file_data,
                })
            }
            MediaKind::Audio => None,
        }
    }
}
