//! Reads recorded answers exactly as the clients read live ones, without a client: no network, no clock, no key.
//!
//! [`inspect`] takes the bytes of one answer and gives back what a program would have seen of it. [`Answer`] says more about
//! where the bytes are from, and takes them in pieces. An [`Inspection`] serialises into one flat JSON object, for people and
//! for comparisons.

mod form;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use super::{anthropic, gemini, ollama, openai, responses};
use crate::model::{
    ChatEvent, ChatResponse, FinishReason, Limits, ModelError, ModelErrorKind, embedding,
    wire::{Decode, Reader, Secrets, not_a_stream, read_body, read_whole, refused},
};

/// Reads one whole answer of an API as its client does: `stream` says whether it was asked for piece by piece.
///
/// # Example
///
/// ```
/// use agent_sdk::model::provider::{Api, inspect};
///
/// let body = br#"{"model":"m-1","choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}"#;
/// let inspection = inspect(Api::OpenAiChat, 200, false, body);
/// assert_eq!(inspection.result.as_ref().unwrap().text(), "hello");
/// assert_eq!(serde_json::to_value(&inspection)?["finish_reasons"][0], "stop");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn inspect(api: Api, status: u16, stream: bool, bytes: &[u8]) -> Inspection {
    Answer::of(api)
        .status(status)
        .streamed(stream)
        .read([bytes])
}

/// An API whose answers can be read. Its name, as [`Display`](fmt::Display) writes and [`FromStr`] reads it, is the one that
/// [`Opaque::api`](crate::message::Opaque::api) has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// `openai.chat`: the Chat Completions API.
    OpenAiChat,
    /// `openai.responses`: the Responses API.
    OpenAiResponses,
    /// `anthropic.messages`: the Messages API.
    AnthropicMessages,
    /// `gemini.generate`: `generateContent` and its stream.
    GeminiGenerate,
    /// `ollama.chat`: Ollama's own chat API.
    OllamaChat,
    /// `bedrock.converse`: `Converse` and `ConverseStream`.
    BedrockConverse,
    /// `openai.embeddings`: the embeddings API, of which the model and the usage are read.
    OpenAiEmbeddings,
}

impl Api {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::GeminiGenerate,
        Self::OllamaChat,
        Self::BedrockConverse,
        Self::OpenAiEmbeddings,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai.chat",
            Self::OpenAiResponses => "openai.responses",
            Self::AnthropicMessages => "anthropic.messages",
            Self::GeminiGenerate => "gemini.generate",
            Self::OllamaChat => "ollama.chat",
            Self::BedrockConverse => "bedrock.converse",
            Self::OpenAiEmbeddings => "openai.embeddings",
        }
    }

    /// Whether this version of the library reads its answers.
    pub fn is_supported(self) -> bool {
        self.reader().is_some()
    }

    /// How its answers are read. An API is added by its line here.
    #[cfg_attr(
        feature = "bedrock",
        expect(clippy::unnecessary_wraps, reason = "a build may leave one out")
    )]
    fn reader(self) -> Option<Read> {
        Some(match self {
            Self::OpenAiChat => read::<openai::Assembler>,
            Self::OpenAiResponses => read::<responses::Assembler>,
            Self::AnthropicMessages => read::<anthropic::Assembler>,
            Self::GeminiGenerate => read::<gemini::Assembler>,
            Self::OllamaChat => read::<ollama::Assembler>,
            Self::OpenAiEmbeddings => embeddings,
            #[cfg(feature = "bedrock")]
            Self::BedrockConverse => read::<super::bedrock::Assembler>,
            #[cfg(not(feature = "bedrock"))]
            Self::BedrockConverse => return None,
        })
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Api {
    type Err = ModelError;

    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`] for any other name, with the list of those that there are.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        let found = Self::ALL.iter().find(|api| api.as_str() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|api| api.as_str()).collect();
            let message = format!("no such API; there are {}", names.join(", "));
            ModelError::new(ModelErrorKind::Configuration, message)
        })
    }
}

/// What is known of an answer besides its bytes.
#[derive(Clone, Debug)]
#[must_use = "nothing is read until `read` is called"]
pub struct Answer {
    api: Api,
    status: u16,
    streamed: bool,
    media_type: Option<String>,
    limits: Limits,
}

impl Answer {
    /// An answer of an API.
    pub fn of(api: Api) -> Self {
        Self {
            api,
            status: 200,
            streamed: false,
            media_type: None,
            limits: Limits::default(),
        }
    }

    /// Sets its HTTP status. Default: 200.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Whether it was asked for piece by piece. Default: no.
    pub fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Sets its `content-type`; where one was asked for piece by piece and came as another, it is no stream. Default: none.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        let content_type = content_type.into();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self.media_type = (!essence.is_empty()).then(|| essence.to_owned());
        self
    }

    /// Sets how large it may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads it, from pieces that may be cut anywhere.
    pub fn read<'a>(self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Inspection {
        let Some(read) = self.api.reader() else {
            let message = format!("answers of {} cannot be read by this version", self.api);
            return Inspection {
                status: self.status,
                events: Vec::new(),
                result: Err(ModelError::new(ModelErrorKind::Configuration, message)),
            };
        };
        read(&self, &mut pieces.into_iter())
    }

    fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The media type, in words.
    fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or("no content type")
    }
}

/// What was read of an answer.
///
/// It serialises as an object of `model`, `text` (all alternatives, joined), `reasoning_text`, `refusal`, `tool_calls` (a list of
/// `id`, `name` and `arguments`, which are JSON, or the raw text where that is not valid JSON), `finish_reasons` as they were sent,
/// `usage` and `error` (`status` of the HTTP answer unless that was one of success, `type` and `code` in the provider's words, `kind`
/// in ours, `message`). What is not known is
/// `null`. Of an answer that broke off it holds what had come.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The pieces that a stream's reader is handed, in order; none where the answer was asked for whole.
    pub events: Vec<ChatEvent>,
    /// The answer, or why there is none.
    pub result: Result<ChatResponse, ModelError>,
    status: u16,
}

impl Inspection {
    /// The answer, or what had come of it.
    pub fn response(&self) -> Option<&ChatResponse> {
        match &self.result {
            Ok(response) => Some(response),
            Err(error) => error.partial(),
        }
    }
}

type Read = fn(&Answer, &mut dyn Iterator<Item = &[u8]>) -> Inspection;

fn read<D: Decode>(answer: &Answer, pieces: &mut dyn Iterator<Item = &[u8]>) -> Inspection {
    let media_type = answer.media_type.as_deref();
    if answer.is_ok() && answer.streamed && D::FRAMING.may_be(media_type) {
        return stream::<D>(answer, pieces);
    }
    whole(answer, pieces, |body| {
        if answer.streamed {
            return Err(not_a_stream(body, answer.media_type(), &Secrets::default()));
        }
        read_whole::<D>(body, answer.media_type(), &answer.limits, Secrets::default)
    })
}

/// Vectors are no message: what is read of them is whose they are and what they used.
fn embeddings(answer: &Answer, pieces: &mut dyn Iterator<Item = &[u8]>) -> Inspection {
    whole(answer, pieces, |body| {
        let read = |text: &str| embedding::read_openai(text, None, None);
        let api = embedding::OPENAI_API;
        let read = read_body(api, body, answer.media_type(), Secrets::default, read)?;
        let mut response = ChatResponse::new(Vec::new(), FinishReason::Stop, read.usage);
        response.model = read.model;
        response.provider_cost = read.provider_cost;
        Ok(response)
    })
}

/// Reads an answer that came as one body, or refuses the request.
fn whole(
    answer: &Answer,
    pieces: &mut dyn Iterator<Item = &[u8]>,
    read: impl FnOnce(&[u8]) -> Result<ChatResponse, ModelError>,
) -> Inspection {
    let body: Vec<u8> = pieces.flatten().copied().collect();
    let result = if answer.is_ok() {
        read(&body)
    } else {
        let secrets = Secrets::default();
        let media_type = answer.media_type();
        Err(refused(answer.status, media_type, None, &body, &secrets))
    };
    Inspection {
        status: answer.status,
        events: Vec::new(),
        result,
    }
}

fn stream<D: Decode>(answer: &Answer, mut pieces: &mut dyn Iterator<Item = &[u8]>) -> Inspection {
    let mut reader = Reader::<D>::new(&answer.limits);
    let end = Iterator::find_map(&mut pieces, |piece| reader.feed(piece))
        .unwrap_or_else(|| reader.cut(answer.media_type(), |broken| broken));
    let result =
        end.map_err(|broken| broken.into_error::<D>(answer.media_type(), &Secrets::default()));
    Inspection {
        status: answer.status,
        events: std::iter::from_fn(|| reader.pop()).collect(),
        result,
    }
}
