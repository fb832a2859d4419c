//! The content of a message: text, pictures, sounds, documents.

use serde::{Serialize, Serializer};

use crate::{
    message::{Media, MediaKind, MediaSource, Part, Role},
    model::{
        ModelError,
        http::body::{Address, no_place, refuse},
    },
};

/// Refuses a part that the API has no place for, so that nothing is left out silently. Reasoning is, where a server takes none back.
pub(super) fn check(role: Role, part: &Part) -> Result<(), ModelError> {
    let fits = match part {
        Part::Text(_) => !matches!(role, Role::Tool),
        Part::Reasoning(_) | Part::Refusal(_) | Part::ToolCall(_) => {
            matches!(role, Role::Assistant)
        }
        Part::ToolResult(_) => matches!(role, Role::Tool | Role::User),
        Part::Media(_) => matches!(role, Role::User),
        // Another API's is left out. This one's is what the model spoke.
        Part::Opaque(_) => true,
    };
    if !fits {
        return no_place("the Chat Completions API", role, part);
    }
    let Part::Media(media) = part else {
        return Ok(());
    };
    match (&media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Url(_)) | (MediaKind::Document, MediaSource::FileId(_)) => {
            Ok(())
        }
        (_, MediaSource::Base64(_)) if media.media_type.is_some() => Ok(()),
        (_, MediaSource::Base64(_)) => refuse("the media part has no media type"),
        (kind, MediaSource::Url(_)) => refuse(format!(
            "the Chat Completions API takes no URL of a part of the kind {kind:?}"
        )),
        (kind, MediaSource::FileId(_)) => refuse(format!(
            "the Chat Completions API takes no file id for a part of the kind {kind:?}"
        )),
    }
}

/// What the user says: one text, or a list of parts.
pub(super) struct UserContent<'a>(pub(super) &'a [Part]);

impl Serialize for UserContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [] => serializer.serialize_str(""),
            [Part::Text(text)] => serializer.serialize_str(text),
            parts => serializer.collect_seq(parts.iter().filter_map(Piece::of)),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Image<'a> },
    InputAudio { input_audio: Audio<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Image<'a> {
    url: Address<'a>,
}

#[derive(Serialize)]
struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "file_id", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "file_data", skip_serializing_if = "Option::is_none")]
    data: Option<Address<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part) -> Option<Self> {
        match part {
            Part::Text(text) => Some(Self::Text { text }),
            Part::Media(media) => Self::media(media),
            _ => None,
        }
    }

    fn media(media: &'a Media) -> Option<Self> {
        let media_type = media.media_type.as_deref().unwrap_or_default();
        match (media.kind, &media.source) {
            (MediaKind::Image, source) => {
                let url = Address::of(media_type, source)?;
                Some(Self::ImageUrl {
                    image_url: Image { url },
                })
            }
            (MediaKind::Audio, MediaSource::Base64(data)) => {
                let input_audio = Audio {
                    data,
                    format: audio_format(media_type),
                };
                Some(Self::InputAudio { input_audio })
            }
            (MediaKind::Document, source) => {
                let id = match source {
                    MediaSource::FileId(id) => Some(id.as_str()),
                    _ => None,
                };
                let data = Address::of(media_type, source);
                // A file that comes as bytes must have a name.
                let unnamed = data.is_some().then_some("document");
                let filename = media.name.as_deref().or(unnamed);
                Some(Self::File {
                    file: File { id, data, filename },
                })
            }
            (MediaKind::Audio, _) => None,
        }
    }
}

/// The API's word for an audio type: `wav`, `mp3`, …
fn audio_format(media_type: &str) -> &str {
    let subtype = media_type.rsplit('/').next().unwrap_or_default();
    match subtype.strip_prefix("x-").unwrap_or(subtype) {
        "mpeg" | "mpga" => "mp3",
        "wave" | "vnd.wave" => "wav",
        subtype => subtype,
    }
}
