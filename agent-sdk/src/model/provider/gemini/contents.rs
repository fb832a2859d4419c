//! A history as the API's `contents`.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::value::RawValue;

use super::{API, SIGNATURE};
use crate::{
    message::{Media, MediaSource, Message, Opaque, Part, Role},
    model::{
        ModelError,
        http::body::{Arguments, no_place, refuse},
        wire::{Text, object},
    },
};

/// What stands in place of a signature on a call that another model made: from their third generation on, Gemini models refuse
/// a first call without one, and Google names this word for histories of other origin.
const FOREIGN: &str = "skip_thought_signature_validator";

/// Refuses a part that the API has no place for, so that nothing is left out silently.
pub(super) fn check(role: Role, part: &Part) -> Result<(), ModelError> {
    let fits = match part {
        Part::Text(_) => true,
        Part::Reasoning(_) | Part::Refusal(_) | Part::ToolCall(_) => role == Role::Assistant,
        Part::ToolResult(_) => matches!(role, Role::Tool | Role::User),
        Part::Media(_) => role != Role::System,
        // Left out where another API wrote it.
        Part::Opaque(opaque) => *opaque.api != *API || role != Role::System,
    };
    if !fits {
        return no_place("the Gemini API", role, part);
    }
    match part {
        Part::Media(media)
            if media.media_type.is_none() && matches!(media.source, MediaSource::Base64(_)) =>
        {
            refuse("the media part has no media type")
        }
        Part::Opaque(opaque) if *opaque.api == *API => match wire(part, None, None, false) {
            None if signature(part).is_none() => refuse(format!(
                "the part `{}` of the Gemini API is not the JSON that it wrote",
                opaque.kind
            )),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The history, without the instructions in it. Messages of one side that follow one another are one content, so that all results
/// of a turn stand together and an empty message leaves no gap.
pub(super) struct Contents<'a> {
    pub(super) messages: &'a [Message],
    /// Whether a call without a signature would be refused.
    pub(super) wants_signatures: bool,
}

impl Serialize for Contents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sides: Vec<(&'static str, &[Part])> = self
            .messages
            .iter()
            .filter_map(|message| Some((side(message.role)?, message.parts.as_slice())))
            .filter(|(_, parts)| pieces(parts, self.wants_signatures).next().is_some())
            .collect();
        let mut list = serializer.serialize_seq(None)?;
        for messages in sides.chunk_by(|one, other| one.0 == other.0) {
            if let Some((role, _)) = messages.first() {
                list.serialize_element(&Content {
                    role,
                    parts: Parts {
                        messages,
                        wants_signatures: self.wants_signatures,
                    },
                })?;
            }
        }
        list.end()
    }
}

/// Who says it, in the API's word; nobody where it is an instruction.
fn side(role: Role) -> Option<&'static str> {
    match role {
        Role::System => None,
        Role::User | Role::Tool => Some("user"),
        Role::Assistant => Some("model"),
    }
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Parts<'a>,
}

struct Parts<'a> {
    messages: &'a [(&'static str, &'a [Part])],
    wants_signatures: bool,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let messages = self.messages.iter();
        serializer.collect_seq(messages.flat_map(|(_, parts)| pieces(parts, self.wants_signatures)))
    }
}

/// The parts of one message as the API writes them.
fn pieces(parts: &[Part], wants_signatures: bool) -> impl Iterator<Item = Wire<'_>> {
    let is_call = |part: &Part| matches!(part, Part::ToolCall(_));
    let first_call = parts.iter().position(is_call).filter(|_| wants_signatures);
    parts.iter().enumerate().filter_map(move |(at, part)| {
        let before = at.checked_sub(1).and_then(|before| parts.get(before));
        wire(part, before, parts.get(at + 1), Some(at) == first_call)
    })
}

/// One part as the API writes it.
#[derive(Serialize)]
#[serde(untagged)]
enum Wire<'a> {
    Ours(Box<Piece<'a>>),
    /// As it came from the API.
    AsItCame(&'a RawValue),
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Remote<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<Returned<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Remote<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    file_uri: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    name: &'a str,
    args: Arguments<'a>,
}

#[derive(Serialize)]
struct Returned<'a> {
    id: &'a str,
    name: &'a str,
    response: Outcome<'a>,
}

/// What a tool gave, under the two names that Google names. It is sent as the text that it is: as JSON of the API's, large
/// numbers in it would lose digits.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<'a> {
    Output(&'a str),
    Error(&'a str),
}

/// A part as the API writes it, if it is written at all.
fn wire<'a>(
    part: &'a Part,
    before: Option<&Part>,
    after: Option<&'a Part>,
    is_first_call: bool,
) -> Option<Wire<'a>> {
    let mut piece = Piece::default();
    match part {
        Part::Text(text) => {
            piece.thought_signature = after.and_then(signature);
            if text.is_empty() && piece.thought_signature.is_none() {
                return None;
            }
            piece.text = Some(text);
        }
        Part::Refusal(text) => {
            if text.is_empty() {
                return None;
            }
            piece.text = Some(text);
        }
        Part::Reasoning(thought) => {
            let signature = thought.signature.as_ref()?.of(API)?;
            piece.text = Some(&thought.text);
            piece.thought = Some(true);
            piece.thought_signature = Some(signature.into());
        }
        Part::ToolCall(call) => {
            piece.function_call = Some(Call {
                id: call.id.as_str(),
                name: &call.name,
                args: Arguments(&call.arguments),
            });
            let own = call.signature.as_ref().and_then(|signed| signed.of(API));
            let foreign = is_first_call.then_some(FOREIGN);
            piece.thought_signature = own.or(foreign).map(Into::into);
        }
        Part::ToolResult(result) => {
            let outcome = if result.is_error {
                Outcome::Error
            } else {
                Outcome::Output
            };
            piece.function_response = Some(Returned {
                id: result.call_id.as_str(),
                name: &result.name,
                response: outcome(&result.content),
            });
        }
        Part::Media(media) => {
            place(media, &mut piece);
            piece.thought_signature = after.and_then(signature);
        }
        Part::Opaque(opaque) => return kept(opaque, part, before),
    }
    Some(Wire::Ours(Box::new(piece)))
}

/// What only this API knows. A signature goes with the part that it stands behind, or alone where that is gone.
fn kept<'a>(opaque: &'a Opaque, part: &'a Part, before: Option<&Part>) -> Option<Wire<'a>> {
    if *opaque.api != *API {
        return None;
    }
    if let Some(signature) = signature(part) {
        let is_taken = matches!(before, Some(Part::Text(_) | Part::Media(_)));
        return (!is_taken).then(|| {
            Wire::Ours(Box::new(Piece {
                text: Some(""),
                thought_signature: Some(signature),
                ..Piece::default()
            }))
        });
    }
    object(&opaque.json).ok().map(Wire::AsItCame)
}

/// The signature that a part holds for the part before it.
fn signature(part: &Part) -> Option<Cow<'_, str>> {
    let Part::Opaque(Opaque { api, kind, json }) = part else {
        return None;
    };
    if **api != *API || **kind != *SIGNATURE || !json.starts_with('"') {
        return None;
    }
    let Text(signature) = serde_json::from_str(json).ok()?;
    signature
}

fn place<'a>(media: &'a Media, piece: &mut Piece<'a>) {
    let media_type = media.media_type.as_deref();
    match &media.source {
        MediaSource::Base64(data) => {
            piece.inline_data = Some(Blob {
                mime_type: media_type.unwrap_or_default(),
                data,
            });
        }
        MediaSource::Url(uri) | MediaSource::FileId(uri) => {
            piece.file_data = Some(Remote {
                mime_type: media_type.or_else(|| type_of(uri)),
                file_uri: uri,
            });
        }
    }
}

/// The media type that a URL's ending stands for: Vertex AI wants one told.
fn type_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        _ => return None,
    })
}
