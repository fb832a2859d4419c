//! An answer as it arrives.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};

use super::{ChatRequest, ChatResponse, ModelError};
use crate::message::CallId;

/// One piece of an answer that is arriving.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More text.
    Text(String),
    /// More reasoning.
    Reasoning(String),
    /// More of a refusal.
    Refusal(String),
    /// A tool call begins; its arguments follow.
    ToolCall {
        /// The place of the call in the turn, from 0.
        index: usize,
        /// The model's id for it.
        id: CallId,
        /// The tool's name.
        name: String,
    },
    /// More of a tool call's arguments.
    ToolCallArguments {
        /// The place of the call in the turn, from 0.
        index: usize,
        /// A piece of JSON text.
        fragment: String,
    },
    /// The whole answer; the last event of every stream that ends well.
    Done(Box<ChatResponse>),
}

/// The pieces of an answer, in order, ending with [`ChatEvent::Done`] or an error.
///
/// It is lazy: bytes are read when it is polled, so a slow consumer slows the provider. Dropping it gives the request up.
pub struct ChatStream {
    inner: Pin<Box<dyn Stream<Item = Result<ChatEvent, ModelError>> + Send>>,
    in_span: bool,
    /// What was asked, where an error may quote it: what comes from a model itself.
    asked: Option<Box<ChatRequest>>,
}

impl ChatStream {
    /// Wraps a stream. It must end after its [`ChatEvent::Done`] or its first error.
    pub fn new(stream: impl Stream<Item = Result<ChatEvent, ModelError>> + Send + 'static) -> Self {
        Self {
            inner: Box::pin(stream),
            in_span: true,
            asked: None,
        }
    }

    /// Takes what an error quotes of this request out of the error.
    pub(super) fn unquoted(mut self, asked: ChatRequest) -> Self {
        self.asked = Some(Box::new(asked));
        self
    }

    /// Polls the stream outside of its operation's `tracing` span: for one that opens no spans and logs nothing of its own while
    /// it is read. Entering a span that is exported costs about half a microsecond a poll.
    #[must_use]
    pub fn outside_span(mut self) -> Self {
        self.in_span = false;
        self
    }

    pub(super) fn is_in_span(&self) -> bool {
        self.in_span
    }

    /// A stream of one whole answer, for models that cannot stream.
    pub fn whole(response: ChatResponse) -> Self {
        let text = response.text();
        let mut events = Vec::with_capacity(2);
        if !text.is_empty() {
            events.push(Ok(ChatEvent::Text(text)));
        }
        events.push(Ok(ChatEvent::Done(Box::new(response))));
        Self::new(futures_util::stream::iter(events))
    }

    /// Reads to the end and returns the whole answer.
    ///
    /// # Errors
    ///
    /// The stream's own error, or [`ModelErrorKind::Truncated`](super::ModelErrorKind::Truncated) where it ends without its
    /// last event.
    pub async fn collect(mut self) -> Result<ChatResponse, ModelError> {
        while let Some(event) = self.next().await {
            if let ChatEvent::Done(response) = event? {
                return Ok(*response);
            }
        }
        Err(ModelError::truncated(
            "the stream ended without its last event",
        ))
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.inner.as_mut().poll_next(cx);
        match (event, &self.asked) {
            (Poll::Ready(Some(Err(error))), Some(asked)) => {
                Poll::Ready(Some(Err(error.without_quotes(asked))))
            }
            (Poll::Ready(Some(Ok(ChatEvent::Done(mut response)))), Some(_)) => {
                response.take_out_keys();
                Poll::Ready(Some(Ok(ChatEvent::Done(response))))
            }
            (event, _) => event,
        }
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatStream")
    }
}
