//! The history as turns of blocks.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{API, blocks::CITATIONS, media::Source, request::CacheControl};
use crate::{
    message::{Media, MediaKind, Message, Opaque, Part, Reasoning, Role, Signature, ToolCall},
    model::{
        ChatRequest, ModelError, PromptCache,
        http::body::{Arguments, no_place, refuse},
    },
};

/// The API, for people.
pub(super) const NAME: &str = "the Messages API";

/// The instructions and the turns.
#[derive(Default)]
pub(super) struct Turns<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) list: Vec<Turn<'a>>,
}

/// What one side says before the other does.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// A block of a turn.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Ours {
        #[serde(flatten)]
        body: Body<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// As the API wrote it.
    Raw(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Body<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<&'a RawValue>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: Id<'a>,
        name: &'a str,
        input: Arguments<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<&'a RawValue>,
    },
    ToolResult {
        tool_use_id: Id<'a>,
        #[serde(skip_serializing_if = "str::is_empty")]
        content: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

/// The id of a call. Those of other APIs may hold characters that this one does not take.
pub(super) struct Id<'a>(&'a str);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.0.chars().all(fits) {
            return serializer.serialize_str(self.0);
        }
        let id: String = self
            .0
            .chars()
            .map(|c| if fits(c) { c } else { '_' })
            .collect();
        serializer.serialize_str(&id)
    }
}

impl<'a> Turns<'a> {
    /// Lays out a request's history.
    pub(super) fn of(request: &'a ChatRequest) -> Result<Self, ModelError> {
        let mut turns = Self::default();
        if let Some(instructions) = request.instructions.as_deref() {
            add_text(instructions, &mut turns.system);
        }
        for message in request.conversation.messages() {
            turns.add(message)?;
        }
        for turn in &mut turns.list {
            // The API wants the results of the calls before whatever else is said.
            turn.content.sort_by_key(|block| !block.is_result());
        }
        Ok(turns)
    }

    fn add(&mut self, message: &'a Message) -> Result<(), ModelError> {
        let role = match message.role {
            Role::System => return blocks(message, &mut self.system),
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        match self.list.last_mut() {
            Some(turn) if turn.role == role => blocks(message, &mut turn.content),
            _ => {
                let mut content = Vec::with_capacity(message.parts.len());
                blocks(message, &mut content)?;
                // A turn of which nothing is left is none: its neighbours are then one.
                if !content.is_empty() {
                    self.list.push(Turn { role, content });
                }
                Ok(())
            }
        }
    }

    /// Ends the prompt cache with the instructions and with the last block of the last turn that can say so.
    pub(super) fn mark(&mut self, cache: PromptCache) {
        let mut ends = Vec::with_capacity(2);
        if cache.instructions {
            ends.push(&mut self.system);
        }
        if cache.conversation {
            ends.extend(self.list.last_mut().map(|turn| &mut turn.content));
        }
        for blocks in ends {
            if let Some(end) = blocks.iter_mut().rev().find_map(Block::cache_control) {
                *end = Some(cache.into());
            }
        }
    }
}

impl<'a> Block<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        let citations = None;
        Self::from(Body::Text { text, citations })
    }

    fn is_result(&self) -> bool {
        let Self::Ours { body, .. } = self else {
            return false;
        };
        matches!(body, Body::ToolResult { .. })
    }

    /// Where it says that the prompt cache ends with it. Thoughts cannot say so.
    fn cache_control(&mut self) -> Option<&mut Option<CacheControl>> {
        match self {
            Self::Raw(_)
            | Self::Ours {
                body: Body::Thinking { .. } | Body::RedactedThinking { .. },
                ..
            } => None,
            Self::Ours { cache_control, .. } => Some(cache_control),
        }
    }
}

impl<'a> From<Body<'a>> for Block<'a> {
    fn from(body: Body<'a>) -> Self {
        Self::Ours {
            body,
            cache_control: None,
        }
    }
}

/// Adds the blocks of a message.
fn blocks<'a>(message: &'a Message, to: &mut Vec<Block<'a>>) -> Result<(), ModelError> {
    let role = message.role;
    // Whether the last part was a text that is sent: the citations that follow are of it.
    let mut is_cited = false;
    for part in &message.parts {
        let may_be_cited = std::mem::take(&mut is_cited);
        match (part, role) {
            (Part::Text(text), Role::System | Role::User | Role::Assistant)
            | (Part::Refusal(text), Role::Assistant) => is_cited = add_text(text, to),
            (Part::Reasoning(reasoning), Role::Assistant) => {
                to.extend(thought(reasoning).map(Block::from));
            }
            (Part::ToolCall(call), Role::Assistant) => to.push(tool_use(call)?.into()),
            (Part::ToolResult(result), Role::User | Role::Tool) => {
                let result = Body::ToolResult {
                    tool_use_id: Id(result.call_id.as_str()),
                    content: &result.content,
                    is_error: result.is_error,
                };
                to.push(result.into());
            }
            (Part::Media(media), Role::User) => to.push(medium(media)?.into()),
            (Part::Opaque(opaque), _) if *opaque.api == *API => own(opaque, may_be_cited, to)?,
            (Part::Opaque(_), _) => {}
            (part, role) => return no_place(NAME, role, part),
        }
    }
    Ok(())
}

/// Adds a text, unless it is blank: the API refuses such blocks, though models write them.
fn add_text<'a>(text: &'a str, to: &mut Vec<Block<'a>>) -> bool {
    let is_blank = text.trim().is_empty();
    if !is_blank {
        to.push(Block::text(text));
    }
    !is_blank
}

/// The model's thoughts, where this API signed them; it takes no others.
fn thought(reasoning: &Reasoning) -> Option<Body<'_>> {
    let signature = reasoning.signature.as_ref()?.of(API)?;
    Some(if reasoning.is_redacted {
        Body::RedactedThinking { data: signature }
    } else {
        Body::Thinking {
            thinking: &reasoning.text,
            signature,
        }
    })
}

fn tool_use(call: &ToolCall) -> Result<Body<'_>, ModelError> {
    let caller = call
        .signature
        .as_ref()
        .and_then(|caller| Signature::of(caller, API));
    Ok(Body::ToolUse {
        id: Id(call.id.as_str()),
        name: &call.name,
        input: Arguments(&call.arguments),
        caller: caller.map(json).transpose()?,
    })
}

fn medium(media: &Media) -> Result<Body<'_>, ModelError> {
    let source = Source::of(media)?;
    Ok(match media.kind {
        MediaKind::Image => Body::Image { source },
        MediaKind::Document => Body::Document {
            source,
            title: media.name.as_deref(),
        },
        MediaKind::Audio => return refuse(format!("{NAME} has no place for audio")),
    })
}

/// Adds what the API wrote for itself: a block, or the citations of the text before it.
fn own<'a>(
    opaque: &'a Opaque,
    may_be_cited: bool,
    to: &mut Vec<Block<'a>>,
) -> Result<(), ModelError> {
    let json = json(&opaque.json)?;
    if *opaque.kind != *CITATIONS {
        to.push(Block::Raw(json));
    } else if may_be_cited
        && let Some(Block::Ours {
            body: Body::Text { citations, .. },
            ..
        }) = to.last_mut()
    {
        *citations = Some(json);
    }
    Ok(())
}

fn json(text: &str) -> Result<&RawValue, ModelError> {
    serde_json::from_str(text).or_else(|_| {
        refuse(format!(
            "a part that {NAME} wrote for itself is no JSON any more"
        ))
    })
}
