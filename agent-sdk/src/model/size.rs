//! How large a request is, before anybody has counted its tokens.

use super::{ChatRequest, OutputFormat};
use crate::message::{MediaSource, Part, Signature};

/// The parts of a request that take tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestSize {
    /// UTF-8 bytes of everything that is text: of messages, calls, results, tools and schemas.
    pub(crate) text_bytes: u64,
    /// Messages and their parts.
    pub(crate) parts: u64,
    pub(crate) tools: u64,
    /// Images, sounds and documents.
    pub(crate) media: u64,
    /// Bytes of those that are in the request itself.
    pub(crate) media_bytes: u64,
}

impl RequestSize {
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let mut size = Self::default();
        size.text(request.instructions.as_deref().unwrap_or_default());
        for message in request.conversation.messages() {
            size.parts += 1;
            for part in &message.parts {
                size.part(part);
            }
        }
        for tool in request.tools.iter() {
            size.tools += 1;
            size.text(&tool.name);
            size.text(&tool.description);
            size.text(tool.parameters.get());
        }
        if let OutputFormat::JsonSchema { name, schema, .. } = &request.output {
            size.text(name);
            size.text(schema.get());
        }
        size
    }

    fn part(&mut self, part: &Part) {
        self.parts += 1;
        match part {
            Part::Text(text) | Part::Refusal(text) => self.text(text),
            Part::Reasoning(reasoning) => {
                self.text(&reasoning.text);
                self.signature(reasoning.signature.as_ref());
            }
            Part::ToolCall(call) => {
                self.text(call.id.as_str());
                self.text(&call.name);
                self.text(&call.arguments);
                self.signature(call.signature.as_ref());
            }
            Part::ToolResult(result) => {
                self.text(result.call_id.as_str());
                self.text(&result.content);
            }
            Part::Opaque(opaque) => self.text(&opaque.json),
            Part::Media(media) => {
                self.media += 1;
                match &media.source {
                    MediaSource::Url(url) => self.text(url),
                    MediaSource::Base64(base64) => self.media_bytes += base64.len() as u64 / 4 * 3,
                    MediaSource::FileId(id) => self.text(id),
                }
            }
        }
    }

    /// What a model kept to itself stands in a signature, and is input again.
    fn signature(&mut self, signature: Option<&Signature>) {
        self.text(signature.map_or("", |signature| &signature.value));
    }

    fn text(&mut self, text: &str) {
        self.text_bytes += text.len() as u64;
    }
}
