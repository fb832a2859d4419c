//! Where the bytes of pictures and documents are.

use std::borrow::Cow;

use serde::Serialize;

use super::content::NAME;
use crate::{
    message::{Media, MediaKind, MediaSource},
    model::{ModelError, http::body::refuse},
};

/// Where the bytes of a picture or a document are.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Url {
        url: &'a str,
    },
    Base64 {
        media_type: &'a str,
        data: &'a str,
    },
    /// A document of plain text, which goes as it is.
    Text {
        media_type: &'static str,
        data: Cow<'a, str>,
    },
    File {
        file_id: &'a str,
    },
}

impl<'a> Source<'a> {
    pub(super) fn of(media: &'a Media) -> Result<Self, ModelError> {
        match &media.source {
            MediaSource::FileId(file_id) => Ok(Self::File { file_id }),
            MediaSource::Url(url) => match data_url(url) {
                Some((media_type, data)) => Self::base64(media.kind, media_type, data),
                None => Ok(Self::Url { url }),
            },
            MediaSource::Base64(data) => match media.media_type.as_deref() {
                Some(media_type) => Self::base64(media.kind, media_type, data),
                None => refuse("the media part has no media type"),
            },
        }
    }

    fn base64(kind: MediaKind, media_type: &'a str, data: &'a str) -> Result<Self, ModelError> {
        match (kind, media_type) {
            (MediaKind::Document, "application/pdf") | (MediaKind::Image, _) => {
                Ok(Self::Base64 { media_type, data })
            }
            (MediaKind::Document, text) if text.starts_with("text/") => {
                let Some(text) = decoded(data).and_then(|bytes| String::from_utf8(bytes).ok())
                else {
                    return refuse("the document of text is not UTF-8 in base64");
                };
                Ok(Self::Text {
                    media_type: "text/plain",
                    data: Cow::Owned(text),
                })
            }
            (kind, media_type) => refuse(format!(
                "{NAME} has no place for {media_type:?} in a part of the kind {kind:?}"
            )),
        }
    }
}

/// The media type and the base64 of a URL that holds its bytes itself.
fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The bytes of base64 in the standard alphabet.
fn decoded(base64: &str) -> Option<Vec<u8>> {
    let base64 = base64.trim_ascii();
    let digits = base64.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\r' | b'\n' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_it_is_written() {
        let read = |text| decoded(text).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(read("bmHDr3Zl").as_deref(), Some("naïve"));
        assert_eq!(read("YWI=\n").as_deref(), Some("ab"));
        assert_eq!(read("YQ==").as_deref(), Some("a"));
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(read("a*b"), None);
    }
}
