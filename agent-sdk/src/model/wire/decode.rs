//! What an API has to say of its own: how its answers are put together.

use serde::{Deserialize, de::Error as _};

use super::{Events, Frame, Framing, Limits, Report, Secrets};
use crate::model::{ChatResponse, ModelError, ModelErrorKind};

/// An answer of one API that is being put together, from a whole body or from the events of a stream.
pub(in crate::model) trait Decode: Send + Unpin + Sized + 'static {
    /// The API's name, for people: `the Chat Completions API`.
    const API: &'static str;
    /// How its streams are cut into events.
    const FRAMING: Framing;

    /// Nothing yet.
    fn new(limits: &Limits) -> Self;

    /// Adds an event of a stream.
    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed>;

    /// Whether the model said why it stopped: what follows is at most its usage, and a stream that ends here is whole.
    fn is_at_tail(&self) -> bool;

    /// The whole answer of a stream.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Truncated`] where the model never said why it stopped.
    fn finish(self, events: &mut Events) -> Result<ChatResponse, ModelError>;

    /// What has come so far, of an answer that will not be whole.
    fn partial(self) -> ChatResponse;

    /// Reads an answer that came as one body.
    fn whole(self, body: &str) -> Result<ChatResponse, Failed>;
}

/// Whether more events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Flow {
    More,
    /// That was the last one.
    Done,
}

/// Why an answer could not be read.
#[derive(Debug)]
pub(in crate::model) enum Failed {
    /// The server says that it failed.
    Report(Report),
    /// It is not what the API answers.
    NotOurs(serde_json::Error),
    /// Anything else.
    Because(ModelError),
}

impl From<ModelError> for Failed {
    fn from(error: ModelError) -> Self {
        Self::Because(error)
    }
}

impl From<serde_json::Error> for Failed {
    fn from(error: serde_json::Error) -> Self {
        Self::NotOurs(error)
    }
}

impl Failed {
    /// As an error for the caller. Of a reply that is not ours nothing is repeated: it may be a model's answer.
    pub(in crate::model) fn into_error(
        self,
        api: &str,
        media_type: &str,
        secrets: &Secrets,
    ) -> ModelError {
        match self {
            Self::Report(report) => report.into_error(None, secrets),
            Self::Because(error) => error,
            Self::NotOurs(error) => ModelError::new(
                ModelErrorKind::Decode,
                format!(
                    "the reply is not what {api} answers: {media_type} with a {:?} error at line {} column {}",
                    error.classify(),
                    error.line(),
                    error.column()
                ),
            ),
        }
    }
}

/// Reads a body that is an object; derived readers would take a list of fields too.
pub(in crate::model) fn object<'a, T: Deserialize<'a>>(
    body: &'a str,
) -> Result<T, serde_json::Error> {
    if body.trim_ascii_start().starts_with(|first| first != '{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_str(body)
}
