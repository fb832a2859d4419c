//! Making the context of a session short again.

use std::{collections::HashMap, sync::Arc};

use super::{
    Session, SessionError, View,
    record::{Compressed, Record},
    summary,
};
use crate::{
    message::{CallId, Message, Part, Role},
    model::ModelHandle,
    operation::{RunContext, decision},
};

/// What a picture, a sound or a document is taken to be, in tokens.
const MEDIA_TOKENS: u64 = 1_000;

/// How full the window is when it is compressed by itself.
const DEFAULT_SHARE: f64 = 0.8;

/// What is kept of a session's context, and what becomes of the rest.
///
/// The last turns stay whole. A turn begins with a message of the user, and a tool call and its result are never separated: where a turn
/// would do so, the one before it stays too. What is older gives way to one message: a summary by a model, or without one a note that says how many messages
/// were left out. All of it is still in the versions before.
#[derive(Clone, Debug)]
pub struct Compression {
    keep_last_turns: usize,
    keep_keys: Option<Vec<Arc<str>>>,
    summary: Option<(ModelHandle, u32)>,
}

impl Compression {
    /// Keeps so many of the last turns, all keys of the shared state, and a note in place of what is older. With 0 turns only the note stays.
    pub fn keep_last_turns(turns: usize) -> Self {
        Self {
            keep_last_turns: turns,
            keep_keys: None,
            summary: None,
        }
    }

    /// Keeps only these keys of the shared state; the others are removed from it. Default: all.
    #[must_use]
    pub fn keep_keys<K: Into<Arc<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keep_keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Lets a model sum up what is left out, in at most so many tokens. It is asked as any model is: seen, priced and tried again. A
    /// summary that does not fit is a failure, and none is shortened in silence.
    #[must_use]
    pub fn summarize(mut self, model: impl Into<ModelHandle>, max_tokens: u32) -> Self {
        self.summary = Some((model.into(), max_tokens));
        self
    }
}

/// Compression before the model's window is full.
#[derive(Clone, Debug)]
pub struct AutoCompress {
    window_tokens: u64,
    share: f64,
    compression: Compression,
}

impl AutoCompress {
    /// Compresses once the conversation takes 80 % of a window of so many tokens.
    pub fn new(window_tokens: u64, compression: Compression) -> Self {
        Self {
            window_tokens,
            share: DEFAULT_SHARE,
            compression,
        }
    }

    /// Sets how full the window may get, from 0 to 1. What is no number leaves it as it was. Default: 0.8, because instructions, tools and the
    /// answer need room too.
    #[must_use]
    pub fn at(mut self, share: f64) -> Self {
        if !share.is_nan() {
            self.share = share.clamp(0.0, 1.0);
        }
        self
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate is not exact to 2^53 tokens either"
    )]
    fn is_due(&self, tokens: u64) -> bool {
        tokens as f64 >= self.window_tokens as f64 * self.share
    }
}

/// What a compression did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionReport {
    /// The session's version with it.
    pub version: u64,
    /// How many messages gave way to the summary or the note, an earlier summary included.
    pub replaced: usize,
    /// The keys that were removed from the shared state.
    pub removed_keys: Vec<Arc<str>>,
    /// About how many tokens the conversation had.
    pub tokens_before: u64,
    /// About how many it has.
    pub tokens_after: u64,
}

impl Session {
    /// Makes the context short, now. `None` where there is nothing to leave out.
    ///
    /// It is an operation of the kind `memory`, and the model's request is one inside it. Giving the future up gives the request up.
    ///
    /// # Errors
    ///
    /// [`Model`](super::SessionErrorKind::Model) where the summary failed, [`Conflict`](super::SessionErrorKind::Conflict) where a run is
    /// under way or somebody else wrote to the session meanwhile. The session is then as it was.
    pub async fn compress(
        &mut self,
        context: &RunContext,
        compression: &Compression,
    ) -> Result<Option<CompressionReport>, SessionError> {
        self.between_runs()?;
        let replaced = first_kept(&self.view, compression.keep_last_turns);
        let removed_keys = match &compression.keep_keys {
            None => Vec::new(),
            Some(kept) => {
                let keys = self.view.state.keys();
                keys.filter(|key| !kept.contains(key)).cloned().collect()
            }
        };
        if replaced == 0 && removed_keys.is_empty() {
            return Ok(None);
        }
        let (summary, model) = match &compression.summary {
            _ if replaced == 0 => (None, None),
            Some((model, max_tokens)) => {
                let old = self.conversation().messages().iter().take(replaced);
                let text = summary::write(context, model, *max_tokens, old).await?;
                (Some(text), Some(model.info().model.clone()))
            }
            None => {
                let earlier_summary = u64::from(self.view.left_out > 0);
                let left_out = self.view.left_out + replaced as u64 - earlier_summary;
                (Some(summary::note(left_out)), None)
            }
        };
        let tokens_before = self.view.estimated_tokens();
        let record = Compressed {
            replaced,
            summary,
            removed_keys: removed_keys.clone(),
            model,
        };
        let version = self.commit(Record::Compressed(record)).await?;
        let tokens_after = self.view.estimated_tokens();
        decision::conversation_compacted(replaced, tokens_before, tokens_after);
        Ok(Some(CompressionReport {
            version,
            replaced,
            removed_keys,
            tokens_before,
            tokens_after,
        }))
    }

    /// Compresses where the conversation, by its [estimated tokens](View::estimated_tokens), fills the window as far as it may; for each
    /// time before a run begins. `None` where it does not, and where nothing can be left out: the last turns stay whole, however long they are.
    ///
    /// # Errors
    ///
    /// Those of [`compress`](Self::compress).
    pub async fn compress_if_needed(
        &mut self,
        context: &RunContext,
        auto: &AutoCompress,
    ) -> Result<Option<CompressionReport>, SessionError> {
        if !auto.is_due(self.view.estimated_tokens()) {
            return Ok(None);
        }
        self.compress(context, &auto.compression).await
    }
}

/// How many messages go, from the first on, so that the last turns stay whole; 0 where nothing new would go.
fn first_kept(view: &View, turns: usize) -> usize {
    let messages = view.conversation.messages();
    let has_summary = view.left_out > 0;
    let spans = open_spans(messages);
    let starts = messages.iter().enumerate().filter(|(place, message)| {
        // The summary speaks as the user, and is no turn.
        message.role == Role::User && !(*place == 0 && has_summary)
    });
    let mut starts: Vec<usize> = starts.map(|(place, _)| place).collect();
    starts.push(messages.len());
    let is_whole = |cut: &usize| !spans.iter().any(|(call, end)| call < cut && cut <= end);
    let cut = starts.iter().rev().skip(turns).copied().find(is_whole);
    match cut {
        Some(cut) if cut > usize::from(has_summary) => cut,
        _ => 0,
    }
}

/// From where to where a call waits for its result. Ids may come again in later turns: the nearest call is meant.
fn open_spans(messages: &[Message]) -> Vec<(usize, usize)> {
    let mut open: HashMap<&CallId, Vec<usize>> = HashMap::new();
    let mut spans = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        for part in &message.parts {
            match part {
                Part::ToolCall(call) => open.entry(&call.id).or_default().push(place),
                Part::ToolResult(result) => {
                    let calls = open.get_mut(&result.call_id);
                    if let Some(call) = calls.and_then(Vec::pop) {
                        spans.push((call, place));
                    }
                }
                _ => {}
            }
        }
    }
    spans
}

/// About how many tokens a message has.
pub(super) fn tokens(message: &Message) -> u64 {
    let of_part = |part: &Part| {
        let bytes = match part {
            Part::Text(text) | Part::Refusal(text) => text.len(),
            Part::Reasoning(reasoning) => {
                let proof = reasoning.signature.as_ref();
                reasoning.text.len() + proof.map_or(0, |proof| proof.value.len())
            }
            Part::ToolCall(call) => call.name.len() + call.arguments.len(),
            Part::ToolResult(result) => result.name.len() + result.content.len(),
            Part::Opaque(opaque) => opaque.json.len(),
            Part::Media(_) => return MEDIA_TOKENS,
        };
        bytes.div_ceil(4) as u64
    };
    message.parts.iter().map(of_part).sum()
}
