//! One answer of a scripted model, and how it arrives.

use std::{collections::VecDeque, fmt, future::pending, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use crate::{
    cost::Usd,
    message::{CallId, Content, Part, Reasoning, ToolCall},
    model::{ChatEvent, ChatRequest, ChatResponse, ChatStream, FinishReason, ModelError, Usage},
};

/// One answer of a [`ScriptedModel`](super::ScriptedModel): what it says, and how it arrives.
///
/// By default it arrives at once, each part in one piece; its finish reason is `tool_calls` where it calls a tool and `stop`
/// elsewhere; its usage is unknown. A text is a turn too: `Turn::from("hello")`.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use agent_sdk::{model::Usage, testing::Turn};
///
/// let turn = Turn::new()
///     .text("Let me look that up.")
///     .tool_call("call-1", "search", serde_json::json!({"query": "rust"}))
///     .usage(Usage::new(120, 18))
///     .delay(Duration::from_millis(300))
///     .chunk_words(2)
///     .chunk_delay(Duration::from_millis(20));
/// ```
#[derive(Debug, Default)]
#[must_use = "a turn does nothing until a model is given it"]
pub struct Turn {
    parts: Vec<Part>,
    finish_reason: Option<FinishReason>,
    usage: Usage,
    words_as_tokens: bool,
    id: Option<String>,
    model: Option<String>,
    provider_cost: Option<Usd>,
    delay: Duration,
    chunking: Chunking,
    chunk_delay: Duration,
    ending: Ending,
}

/// Into what pieces a text is cut.
#[derive(Clone, Copy, Debug, Default)]
enum Chunking {
    #[default]
    Whole,
    Words(usize),
    Bytes(usize),
}

/// How the stream of a turn ends: the numbers are of events before.
#[derive(Debug, Default)]
enum Ending {
    #[default]
    Done,
    Cut(usize),
    Fail(usize, ModelError),
    Hang(usize),
}

impl Turn {
    /// A turn that says nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Says a text, after what it said before.
    pub fn text(self, text: impl Into<Content>) -> Self {
        self.part(Part::Text(text.into()))
    }

    /// Shows reasoning.
    pub fn reasoning(self, text: impl Into<Content>) -> Self {
        self.part(Part::Reasoning(Reasoning::new(text)))
    }

    /// Refuses.
    pub fn refusal(self, text: impl Into<Content>) -> Self {
        self.part(Part::Refusal(text.into()))
    }

    /// Calls a tool. `arguments` is JSON text or a `serde_json::Value`; text is kept as it is, also where it is not valid JSON.
    pub fn tool_call(
        self,
        id: impl Into<CallId>,
        name: impl Into<Arc<str>>,
        arguments: impl fmt::Display,
    ) -> Self {
        self.part(Part::ToolCall(ToolCall::new(
            id,
            name,
            arguments.to_string(),
        )))
    }

    /// Sets why it stopped.
    pub fn finish(mut self, reason: FinishReason) -> Self {
        self.finish_reason = Some(reason);
        self
    }

    /// Sets what it used. Default: unknown.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self.words_as_tokens = false;
        self
    }

    /// Reports the number of words as the number of tokens: of the request as input, of the answer as output.
    ///
    /// No tokenizer counts like that; it is for demonstrations that need numbers of a plausible size.
    pub fn words_as_tokens(mut self) -> Self {
        self.words_as_tokens = true;
        self
    }

    /// Sets the name of the model that answers. Default: none is given.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Sets the answer's id. Default: none is given.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets what the provider says that it costs. Default: it says nothing.
    pub fn provider_cost(mut self, cost: Usd) -> Self {
        self.provider_cost = Some(cost);
        self
    }

    /// Waits before anything is answered.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Streams this many words at a time, at least one, with the space after them; arguments of tool calls too.
    pub fn chunk_words(mut self, words: usize) -> Self {
        self.chunking = Chunking::Words(words.max(1));
        self
    }

    /// Streams this many bytes at a time, fewer where that would cut a character, but at least one character.
    pub fn chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunking = Chunking::Bytes(bytes.max(1));
        self
    }

    /// Waits before each event after the first. The last event, [`ChatEvent::Done`], comes at once after the one before it.
    pub fn chunk_delay(mut self, delay: Duration) -> Self {
        self.chunk_delay = delay;
        self
    }

    /// Fails, after its [`delay`](Self::delay), before anything is answered.
    pub fn fail(self, error: ModelError) -> Self {
        self.fail_after(0, error)
    }

    /// Fails after this many events, at the latest before the last one.
    pub fn fail_after(mut self, events: usize, error: ModelError) -> Self {
        self.ending = Ending::Fail(events, error);
        self
    }

    /// Breaks off after this many events, at the latest before the last one: whoever reads it sees a truncated answer.
    pub fn cut_after(mut self, events: usize) -> Self {
        self.ending = Ending::Cut(events);
        self
    }

    /// Never answers.
    pub fn hang(self) -> Self {
        self.hang_after(0)
    }

    /// Falls silent after this many events, at the latest before the last one.
    pub fn hang_after(mut self, events: usize) -> Self {
        self.ending = Ending::Hang(events);
        self
    }

    /// Plays the turn.
    pub(super) async fn play(self, request: &ChatRequest) -> Result<ChatStream, ModelError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let mut events = self.pieces();
        let gap = self.chunk_delay;
        let ending = match self.ending {
            Ending::Fail(0, error) => return Err(error),
            Ending::Hang(0) => pending().await,
            Ending::Done => {
                let response = self.response(request);
                events.push_back(ChatEvent::Done(Box::new(response)));
                Ending::Done
            }
            Ending::Cut(n) | Ending::Fail(n, _) | Ending::Hang(n) => {
                events.truncate(n);
                self.ending
            }
        };
        let feed = Feed {
            events,
            gap,
            begun: false,
            ending: Some(ending),
        };
        Ok(ChatStream::new(stream::unfold(feed, Feed::next).fuse()))
    }

    /// The events before the last one.
    fn pieces(&self) -> VecDeque<ChatEvent> {
        let mut events = VecDeque::new();
        let mut calls = 0;
        for part in &self.parts {
            match part {
                Part::Text(text) => events.extend(self.cut(text).map(ChatEvent::Text)),
                Part::Refusal(text) => events.extend(self.cut(text).map(ChatEvent::Refusal)),
                Part::Reasoning(reasoning) => {
                    events.extend(self.cut(&reasoning.text).map(ChatEvent::Reasoning));
                }
                Part::ToolCall(call) => {
                    let index = calls;
                    calls += 1;
                    events.push_back(ChatEvent::ToolCall {
                        index,
                        id: call.id.clone(),
                        name: call.name.to_string(),
                    });
                    let fragments = self.cut(&call.arguments);
                    events.extend(
                        fragments.map(|fragment| ChatEvent::ToolCallArguments { index, fragment }),
                    );
                }
                Part::ToolResult(_) | Part::Media(_) | Part::Opaque(_) => {}
            }
        }
        events
    }

    fn cut<'a>(&self, text: &'a str) -> impl Iterator<Item = String> + use<'a> {
        let (chunking, mut rest) = (self.chunking, text);
        std::iter::from_fn(move || {
            let (piece, more) = rest.split_at_checked(chunking.first(rest))?;
            rest = more;
            (!piece.is_empty()).then(|| piece.to_owned())
        })
    }

    fn response(self, request: &ChatRequest) -> ChatResponse {
        let called = |part: &Part| matches!(part, Part::ToolCall(_));
        let finish_reason = self.finish_reason.unwrap_or_else(|| {
            if self.parts.iter().any(called) {
                FinishReason::ToolCalls
            } else {
                FinishReason::Stop
            }
        });
        let usage = if self.words_as_tokens {
            let instructions = request.instructions.as_deref().map_or(0, words);
            let messages = request.conversation.messages().iter();
            let asked = messages
                .map(|message| words_of(&message.parts))
                .sum::<u64>();
            Usage::new(instructions + asked, words_of(&self.parts))
        } else {
            self.usage
        };
        let mut response = ChatResponse::new(self.parts, finish_reason, usage);
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.provider_cost;
        response
    }
}

impl<T: Into<Content>> From<T> for Turn {
    fn from(text: T) -> Self {
        Self::new().text(text)
    }
}

impl Chunking {
    /// The length of the first piece of a text, in bytes.
    fn first(self, text: &str) -> usize {
        match self {
            Self::Whole => text.len(),
            Self::Words(n) => {
                let words = text.split_inclusive(char::is_whitespace);
                let mut left = n;
                let taken = words.take_while(|word| {
                    let is_space = word.trim().is_empty();
                    let take = is_space || left > 0;
                    left = left.saturating_sub(usize::from(!is_space));
                    take
                });
                taken.map(str::len).sum()
            }
            Self::Bytes(n) => match text.floor_char_boundary(n) {
                0 => text.chars().next().map_or(0, char::len_utf8),
                boundary => boundary,
            },
        }
    }
}

fn words(text: &str) -> u64 {
    text.split_whitespace().map(|_| 1).sum()
}

fn words_of(parts: &[Part]) -> u64 {
    let count = |part: &Part| match part {
        Part::Text(text) | Part::Refusal(text) => words(text),
        Part::Reasoning(reasoning) => words(&reasoning.text),
        Part::ToolCall(call) => words(&call.arguments),
        Part::ToolResult(result) => words(&result.content),
        Part::Media(_) | Part::Opaque(_) => 0,
    };
    parts.iter().map(count).sum()
}

/// What is left of a turn that is being streamed.
struct Feed {
    events: VecDeque<ChatEvent>,
    gap: Duration,
    begun: bool,
    ending: Option<Ending>,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<ChatEvent, ModelError>, Self)> {
        if let Some(event) = self.events.pop_front() {
            let is_last = matches!(event, ChatEvent::Done(_));
            if self.begun && !is_last && !self.gap.is_zero() {
                tokio::time::sleep(self.gap).await;
            }
            self.begun = true;
            return Some((Ok(event), self));
        }
        match self.ending.take()? {
            Ending::Done | Ending::Cut(_) => None,
            Ending::Fail(_, error) => Some((Err(error), self)),
            Ending::Hang(_) => pending().await,
        }
    }
}
