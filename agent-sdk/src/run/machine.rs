//! The run loop's decisions.
//!
//! [`Machine`] is told what happened and answers what to do next; the driver does it. It is a fold: the same records give the
//! same commands, so a run can be looked at, replayed and resumed between any two of them.
//!
//! Invariants: nothing here awaits, reads a clock or touches the network. A conversation that leaves the machine has exactly one
//! result for each tool call. Of a truncated answer no call runs.

use std::sync::Arc;

use super::{Limit, Limits};
use crate::{
    journal::Record,
    message::{Conversation, Message, Part, ToolCall, ToolResult},
    model::{ChatResponse, FinishReason},
};

/// How often an answer that does not fit its schema is sent back.
const OUTPUT_REPAIRS: u32 = 1;

/// Decides what a run does next.
#[derive(Clone, Debug)]
pub struct Machine {
    conversation: Conversation,
    limits: Limits,
    turns: u32,
    tool_calls: u32,
    repairs: u32,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The model is to be asked.
    Asking,
    /// Calls are to be made; results are kept by place until all are there.
    Calling {
        calls: Arc<[ToolCall]>,
        results: Vec<Option<ToolResult>>,
    },
    /// Nothing more is to be done.
    Over(End),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Ask the model.
    CallModel,
    /// Make those of these calls that are [pending](Machine::pending); every one of them must give a result.
    CallTools(Arc<[ToolCall]>),
    /// Stop.
    Finish(End),
}

/// How a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The last message is the answer.
    Answered,
    /// The answer is not whole.
    Truncated,
    /// The provider withheld the answer.
    Filtered,
    /// A limit was reached.
    Limit(Limit),
    /// The answer does not fit, also after it was sent back.
    InvalidOutput,
}

impl Machine {
    /// A machine that will answer this conversation.
    pub fn new(conversation: Conversation, limits: Limits) -> Self {
        Self {
            conversation,
            limits,
            turns: 0,
            tool_calls: 0,
            repairs: 0,
            phase: Phase::Asking,
        }
    }

    /// What was said so far.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// How many times the model answered.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// What to do next, as the machine stands.
    pub fn command(&self) -> Command {
        match &self.phase {
            Phase::Asking => Command::CallModel,
            Phase::Calling { calls, .. } => Command::CallTools(calls.clone()),
            Phase::Over(end) => Command::Finish(*end),
        }
    }

    /// The places of the calls that have not given a result yet.
    pub fn pending(&self) -> Vec<usize> {
        let Phase::Calling { results, .. } = &self.phase else {
            return Vec::new();
        };
        let open =
            |(place, result): (usize, &Option<ToolResult>)| result.is_none().then_some(place);
        results.iter().enumerate().filter_map(open).collect()
    }

    /// Takes in what happened and answers what to do next. A record that does not fit the moment changes nothing.
    pub fn apply(&mut self, record: Record) -> Command {
        match record {
            Record::Started { conversation, .. } => self.conversation = conversation,
            Record::Answered(response) if matches!(self.phase, Phase::Asking) => {
                self.answered(*response);
            }
            Record::ToolReturned { place, result } => self.returned(place, result),
            Record::OutputRejected { reason } if self.phase_is_answered() => self.rejected(&reason),
            Record::Answered(_) | Record::OutputRejected { .. } => {}
        }
        self.command()
    }

    /// Gives each call that has no result an error in its place, so that the conversation can go on.
    pub fn settle(&mut self, why: &str) {
        if let Phase::Calling { calls, results } = &mut self.phase {
            let calls = calls.clone();
            let results = std::mem::take(results);
            let settled = calls
                .iter()
                .zip(results)
                .map(|(call, result)| result.unwrap_or_else(|| ToolResult::error(call, why)));
            self.conversation.push(Message::tool_results(settled));
            self.phase = Phase::Asking;
        }
    }

    /// Gives the conversation back, and keeps none.
    pub fn take_conversation(&mut self) -> Conversation {
        std::mem::take(&mut self.conversation)
    }

    fn phase_is_answered(&self) -> bool {
        matches!(self.phase, Phase::Over(End::Answered))
    }

    fn answered(&mut self, response: ChatResponse) {
        self.turns += 1;
        let ChatResponse {
            mut message,
            finish_reason,
            ..
        } = response;
        match finish_reason {
            FinishReason::Length => return self.cut_short(message, End::Truncated),
            FinishReason::ContentFilter | FinishReason::Error => {
                return self.cut_short(message, End::Filtered);
            }
            _ => {}
        }
        let calls: Arc<[ToolCall]> = message.tool_calls().cloned().collect();
        if message.parts.is_empty() {
            message.parts.push(Part::Text("".into()));
        }
        self.conversation.push(message);
        if calls.is_empty() {
            if finish_reason == FinishReason::Paused {
                self.ask_again();
            } else {
                self.phase = Phase::Over(End::Answered);
            }
            return;
        }
        let wanted = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let results = vec![None; calls.len()];
        let total = self.tool_calls.saturating_add(wanted);
        self.phase = Phase::Calling { calls, results };
        if total > self.limits.max_tool_calls {
            let limit = Limit::MaxToolCalls(self.limits.max_tool_calls);
            self.settle(&format!("not run: the run reached its limit {limit}"));
            self.phase = Phase::Over(End::Limit(limit));
        } else {
            self.tool_calls = total;
        }
    }

    /// Keeps what was said, without calls that will never run.
    fn cut_short(&mut self, mut message: Message, end: End) {
        message
            .parts
            .retain(|part| !matches!(part, Part::ToolCall(_)));
        if !message.parts.is_empty() {
            self.conversation.push(message);
        }
        self.phase = Phase::Over(end);
    }

    fn returned(&mut self, place: usize, result: ToolResult) {
        let Phase::Calling { results, .. } = &mut self.phase else {
            return;
        };
        if let Some(slot @ None) = results.get_mut(place) {
            *slot = Some(result);
        }
        if results.iter().any(Option::is_none) {
            return;
        }
        let results = std::mem::take(results).into_iter().flatten();
        self.conversation.push(Message::tool_results(results));
        self.ask_again();
    }

    fn rejected(&mut self, reason: &str) {
        if self.repairs >= OUTPUT_REPAIRS {
            self.phase = Phase::Over(End::InvalidOutput);
            return;
        }
        self.repairs += 1;
        self.conversation.push(Message::user(format!(
            "The answer does not fit the schema: {reason}\nAnswer again, with JSON of the schema only."
        )));
        self.ask_again();
    }

    fn ask_again(&mut self) {
        let max = self.limits.max_turns.get();
        self.phase = if self.turns >= max {
            Phase::Over(End::Limit(Limit::MaxTurns(max)))
        } else {
            Phase::Asking
        };
    }
}
