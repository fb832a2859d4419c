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
    journal::{Question, QuestionKind, Record, Verdict},
    message::{Conversation, Message, Part, ToolCall, ToolResult},
    model::{ChatResponse, FinishReason},
    tool::ToolErrorKind,
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
    /// Calls are to be made; what came of each is kept by place until all have a result.
    Calling {
        calls: Arc<[ToolCall]>,
        stages: Vec<Stage>,
        /// How many times each was asked about.
        asked: Vec<u32>,
    },
    /// Nothing more is to be done.
    Over(End),
}

/// How far a tool call is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Nothing happened yet.
    Waiting,
    /// It was begun, and its tool writes: if nobody is making it now, it is in doubt whether it took effect.
    Started,
    /// A person is to decide about it.
    Asked(Question),
    /// A person allowed it.
    Allowed,
    /// It gave its result.
    Returned(ToolResult),
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

    /// The calls that have not given a result yet, by place, and how far they are.
    pub fn pending(&self) -> Vec<(usize, Stage)> {
        let Phase::Calling { stages, .. } = &self.phase else {
            return Vec::new();
        };
        let is_open = |(_, stage): &(usize, &Stage)| !matches!(stage, Stage::Returned(_));
        let open = stages.iter().enumerate().filter(is_open);
        open.map(|(place, stage)| (place, stage.clone())).collect()
    }

    /// How many times a call of the turn was asked about.
    pub(crate) fn times_asked(&self, place: usize) -> u32 {
        match &self.phase {
            Phase::Calling { asked, .. } => asked.get(place).copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Takes in what happened and answers what to do next. A record that does not fit the moment changes nothing.
    pub fn apply(&mut self, record: Record) -> Command {
        self.take_in(record);
        self.command()
    }

    /// Takes in what happened in earlier lives of the run.
    ///
    /// # Errors
    ///
    /// The number of the first record that does not fit what was before it: the limits are not those of then.
    pub fn fold(&mut self, records: impl IntoIterator<Item = Record>) -> Result<(), usize> {
        for (number, record) in (1..).zip(records) {
            if !self.take_in(record) {
                return Err(number);
            }
        }
        Ok(())
    }

    /// Whether the record fitted.
    fn take_in(&mut self, record: Record) -> bool {
        match record {
            Record::LifeBegan { .. } | Record::Stopped { .. } => {}
            Record::Started { conversation, .. } => self.conversation = conversation,
            Record::Answered(answered) if matches!(self.phase, Phase::Asking) => {
                self.answered(answered.response);
            }
            Record::OutputRejected { reason } if self.phase_is_answered() => self.rejected(&reason),
            // The last ones are a plan's, which no agent has.
            Record::Answered(_)
            | Record::OutputRejected { .. }
            | Record::PlanStarted { .. }
            | Record::PlanChanged { .. }
            | Record::StepEnded { .. }
            | Record::StepTimedOut { .. }
            | Record::StepAsked { .. }
            | Record::StepDecided { .. } => return false,
            Record::ToolStarted { place } => return self.put(place, Stage::Started),
            Record::ApprovalRequested { place, question } => {
                return self.put(place, Stage::Asked(question));
            }
            Record::ApprovalGiven { place, verdict } => return self.decided(place, &verdict),
            Record::ToolReturned { place, result, .. } => {
                return self.put(place, Stage::Returned(result));
            }
        }
        true
    }

    /// Gives each call that has no result an error in its place, so that the conversation can go on.
    pub fn settle(&mut self, why: &str) {
        if let Phase::Calling { calls, stages, .. } = &mut self.phase {
            let calls = calls.clone();
            let stages = std::mem::take(stages);
            let settled = calls.iter().zip(stages).map(|(call, stage)| match stage {
                Stage::Returned(result) => result,
                _ => ToolResult::error(call, why),
            });
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
        let stages = vec![Stage::Waiting; calls.len()];
        let total = self.tool_calls.saturating_add(wanted);
        let asked = vec![0; calls.len()];
        self.phase = Phase::Calling {
            calls,
            stages,
            asked,
        };
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

    /// Moves a call on; one that has given its result stays as it is.
    fn put(&mut self, place: usize, stage: Stage) -> bool {
        let Phase::Calling { stages, asked, .. } = &mut self.phase else {
            return false;
        };
        if matches!(stage, Stage::Asked(_))
            && let Some(times) = asked.get_mut(place)
        {
            *times += 1;
        }
        match stages.get_mut(place) {
            None | Some(Stage::Returned(_)) => return false,
            Some(slot) => *slot = stage,
        }
        if stages.iter().any(|it| !matches!(it, Stage::Returned(_))) {
            return true;
        }
        let results = std::mem::take(stages)
            .into_iter()
            .filter_map(|stage| match stage {
                Stage::Returned(result) => Some(result),
                _ => None,
            });
        self.conversation.push(Message::tool_results(results));
        self.ask_again();
        true
    }

    /// A call that was not allowed has a result that says so.
    fn decided(&mut self, place: usize, verdict: &Verdict) -> bool {
        let Phase::Calling { calls, stages, .. } = &self.phase else {
            return false;
        };
        let (Some(call), Some(Stage::Asked(question))) = (calls.get(place), stages.get(place))
        else {
            return false;
        };
        let stage = if verdict.allowed {
            Stage::Allowed
        } else {
            Stage::Returned(denied(call, question.kind, verdict))
        };
        self.put(place, stage)
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

/// The result of a call that a person did not allow.
pub(super) fn denied(call: &ToolCall, kind: QuestionKind, verdict: &Verdict) -> ToolResult {
    let (class, what) = match kind {
        QuestionKind::Approval => (ToolErrorKind::Rejected, "a person did not allow this call"),
        QuestionKind::InDoubt => (
            ToolErrorKind::Interrupted,
            "this call was under way when the run stopped, and it is not known whether it took effect; it is not made again",
        ),
    };
    let reason = verdict
        .reason
        .as_deref()
        .filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {reason}"));
    let why = format!("{}: {what}{}", class.as_str(), reason.unwrap_or_default());
    ToolResult::error(call, why)
}
