//! An answer, put together from a whole body or from the pieces of a stream.

use super::{
    finish,
    usage::{self, Counts},
    voice::Voice,
    wire::{Answer, Candidate},
};
use crate::{
    message::{Message, Role},
    model::{
        ChatResponse, FinishReason, ModelError, ModelErrorKind,
        wire::{
            Decode, Events, Failed, Few, Flow, Frame, Framing, Limits, Report, Text, keep, object,
        },
    },
};

/// The last data of a stream that some gateways add.
const DONE: &str = "[DONE]";

/// The finish reason of a whole answer that names none.
const UNKNOWN_REASON: &str = "unknown";

/// How many alternatives one answer may have.
const MAX_ALTERNATIVES: usize = 128;

/// An answer that is being put together. The first of several alternatives is the answer; events tell of it alone.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    first: Voice,
    others: Vec<Voice>,
    has_candidates: bool,
    /// Why the prompt was refused.
    blocked: Option<String>,
    counts: Counts,
    tool_argument_bytes: usize,
}

impl Decode for Assembler {
    const API: &'static str = "the Gemini API";
    const FRAMING: Framing = Framing::Sse;

    fn new(limits: &Limits) -> Self {
        Self {
            id: None,
            model: None,
            tier: None,
            first: Voice::new(0, limits.tool_argument_bytes),
            others: Vec::new(),
            has_candidates: false,
            blocked: None,
            counts: Counts::default(),
            tool_argument_bytes: limits.tool_argument_bytes,
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        if frame.data == DONE {
            return Ok(Flow::Done);
        }
        if frame.event == "error" {
            return Err(Failed::Report(Report::of_data(frame.data)));
        }
        self.answer(frame.data, events)?;
        Ok(Flow::More)
    }

    fn is_at_tail(&self) -> bool {
        if !self.has_candidates {
            return self.blocked.is_some();
        }
        self.first.is_finished() && self.others.iter().all(Voice::is_finished)
    }

    fn finish(mut self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        if !self.is_at_tail() {
            return Err(ModelError::truncated(
                "the answer ended without a finish reason",
            ));
        }
        let usage = self.counts.usage(self.model.as_deref());
        let mut response = if self.has_candidates {
            self.others.sort_by_key(|voice| voice.index);
            let (mut reasons, mut alternatives) = (Vec::new(), Vec::new());
            for voice in self.others {
                let (parts, native, _) = voice.finish(&mut Events::none())?;
                alternatives.push(Message::new(Role::Assistant, parts));
                reasons.push(native);
            }
            let (parts, native, reason) = self.first.finish(events)?;
            reasons.insert(0, native);
            let mut response = ChatResponse::new(parts, reason, usage);
            response.native_finish_reasons = reasons;
            response.alternatives = alternatives;
            response
        } else {
            // The prompt was refused: no candidate, and so no finish reason, was sent.
            let mut response = ChatResponse::new(Vec::new(), FinishReason::ContentFilter, usage);
            response.block_reason = self.blocked;
            response
        };
        response.id = self.id;
        response.model = self.model;
        response.service_tier = self.tier;
        Ok(response)
    }

    fn partial(self) -> ChatResponse {
        let usage = self.counts.usage(self.model.as_deref());
        let native = self.first.native().map(str::to_owned);
        let mut response = ChatResponse::new(self.first.said(), FinishReason::Error, usage);
        response.native_finish_reasons.extend(native);
        response.id = self.id;
        response.model = self.model;
        response.service_tier = self.tier;
        response
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        self.answer(body, &mut Events::none())?;
        if !self.has_candidates && self.blocked.is_none() {
            let message = "the reply holds no candidate";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        }
        for voice in std::iter::once(&mut self.first).chain(&mut self.others) {
            if !voice.is_finished() {
                voice.stop(Text(Some(UNKNOWN_REASON.into())));
            }
        }
        Ok(self.finish(&mut Events::none())?)
    }
}

impl Assembler {
    /// Adds a whole answer, or a piece of one.
    fn answer(&mut self, data: &str, events: &mut Events) -> Result<(), Failed> {
        if data.trim_ascii_start().starts_with('[')
            && let Some(report) = Report::of_body(data)
        {
            return Err(Failed::Report(report));
        }
        let answer: Answer<'_> = object(data)?;
        // What was used, and what had come, may stand beside the failure.
        let report = answer.error.map(|error| Report::of_value(error.get()));
        let taken = (0..)
            .zip(self.envelope(answer))
            .try_for_each(|(place, candidate)| self.candidate(place, candidate, events));
        report.map_or(taken, |report| Err(Failed::Report(report)))
    }

    /// Takes what stands around the candidates.
    fn envelope<'a>(&mut self, answer: Answer<'a>) -> Few<Candidate<'a>> {
        keep(&mut self.id, answer.response_id);
        keep(&mut self.model, answer.model_version);
        if let Some(mut usage) = answer.usage_metadata {
            self.tier = usage::tier(&mut usage).or(self.tier.take());
            self.counts.report(*usage);
        }
        let blocked = answer.prompt_feedback.map(|told| told.block_reason);
        if let Some(blocked) = blocked.and_then(Text::filled)
            && !finish::is_unspecified(&blocked)
        {
            self.blocked = Some(blocked.into_owned());
        }
        answer.candidates
    }

    /// Adds a candidate, or more of it. The first one's index is left out by some servers.
    fn candidate(
        &mut self,
        place: u64,
        candidate: Candidate<'_>,
        events: &mut Events,
    ) -> Result<(), Failed> {
        self.has_candidates = true;
        let index = candidate.index.0.unwrap_or(place);
        if let Some(grounding) = candidate.grounding_metadata {
            let queries = grounding.web_search_queries.into_iter();
            let searches = queries.filter_map(Text::filled).count();
            if searches > 0 {
                self.counts.search(searches.try_into().unwrap_or(u64::MAX));
            }
        }
        let mut unheard = Events::none();
        let (voice, events) = if index == 0 {
            (&mut self.first, events)
        } else {
            (
                other(&mut self.others, index, self.tool_argument_bytes)?,
                &mut unheard,
            )
        };
        if let Some(content) = candidate.content {
            voice.say(content, self.id.as_deref(), events)?;
        }
        voice.stop(candidate.finish_reason);
        Ok(())
    }
}

/// The alternative of this index, which is not the first one's.
fn other(others: &mut Vec<Voice>, index: u64, bytes: usize) -> Result<&mut Voice, ModelError> {
    let known = others.iter().position(|voice| voice.index == index);
    if known.is_none() {
        if others.len() >= MAX_ALTERNATIVES {
            let message = format!("the answer has more than {MAX_ALTERNATIVES} alternatives");
            return Err(ModelError::new(ModelErrorKind::Decode, message));
        }
        others.push(Voice::new(index, bytes));
    }
    let at = known.unwrap_or(others.len() - 1);
    others
        .get_mut(at)
        .ok_or_else(|| ModelError::new(ModelErrorKind::Decode, "an alternative was lost"))
}
