//! What a stored run holds, by agent and turn.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::super::machine::denied;
use crate::{
    cost::Usd,
    journal::{Answered, Definition, Question, QuestionKind, Record, StoredRecord, Verdict},
    message::{Conversation, Message, ToolCall, ToolResult},
    model::{ModelErrorKind, Usage},
    operation::{Outcome, Totals},
    run::RunErrorKind,
    session::SessionVersion,
};

/// What a stored run holds, by agent and turn, whatever the order in which it was kept.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Its agents, by path.
    pub(super) agents: BTreeMap<Arc<str>, Played>,
    /// Where its calls are, by path: the agent's path, the turn and the place.
    places: HashMap<String, Vec<(Arc<str>, usize, usize)>>,
    pub(super) lives: u32,
    pub(super) began: Option<SystemTime>,
    pub(super) ask_before: Vec<Arc<str>>,
    /// How its last life ended, unless it was killed.
    pub(super) end: Option<Ended>,
    /// The number of its last record.
    pub(super) last: u64,
}

/// What one agent did.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The number of the record that says what it was.
    pub(super) version: u64,
    /// The version of the records' form.
    pub(super) form: u32,
    pub(super) definition: Definition,
    /// What was said before, or the version of the session that has it.
    pub(super) conversation: Conversation,
    pub(super) session: Option<SessionVersion>,
    pub(super) turns: Vec<Turn>,
}

/// An answer of a model, and what came of it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) version: u64,
    pub(super) answered: Answered,
    /// What it added to the run's sums.
    pub(super) added: Added,
    pub(super) calls: Vec<Call>,
    /// What was wrong with it.
    pub(super) rejected: Option<String>,
}

/// What an answer added to the run's sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Added {
    /// Tokens read and written; what is unknown counts as none.
    pub(super) tokens: (u64, u64),
    pub(super) cost: Usd,
    pub(super) unpriced: u32,
}

/// A tool call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) wanted: ToolCall,
    /// The number of its last record; of the answer that wants it, while it has none.
    pub(super) version: u64,
    pub(super) asked: Vec<Asked>,
    /// What it gave, and how long it took.
    pub(super) result: Option<(ToolResult, Duration)>,
}

/// A question about a call.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    /// When, and in which life.
    at: (Timestamp, u32),
    /// What was decided, and after how long.
    pub(super) verdict: Option<(Verdict, Duration)>,
}

/// How a life ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) error: Option<String>,
    /// The time since the record before.
    pub(super) after: Duration,
}

impl Recording {
    pub(super) fn of(records: &[StoredRecord]) -> Self {
        let mut this = Self::default();
        let mut sums = Totals::default();
        let mut before = None;
        for kept in records {
            this.last = kept.version;
            this.take_in(kept, &sums, before.unwrap_or(kept.at));
            sums = kept.totals;
            before = Some(kept.at);
        }
        this
    }

    fn take_in(&mut self, kept: &StoredRecord, sums: &Totals, before: Timestamp) {
        match &kept.record {
            Record::LifeBegan { ask_before, .. } => {
                self.lives += 1;
                self.began.get_or_insert(kept.at.into());
                self.ask_before.extend(ask_before.iter().cloned());
                return;
            }
            Record::Stopped { outcome, error } => {
                // A life that was refused changed nothing.
                if error.as_deref() != Some(RunErrorKind::Changed.as_str()) {
                    self.end = Some(Ended {
                        outcome: *outcome,
                        error: error.clone(),
                        after: between(before, kept.at),
                    });
                }
                return;
            }
            _ => self.end = None,
        }
        let agent = self.agents.entry(kept.path.clone()).or_default();
        match &kept.record {
            Record::Started {
                version,
                definition,
                conversation,
                session,
            } => {
                agent.version = kept.version;
                agent.form = *version;
                agent.definition = definition.clone();
                agent.conversation = conversation.clone();
                agent.session.clone_from(session);
            }
            Record::Answered(answered) => {
                let turn = Turn::new(kept, answered, sums);
                agent.turns.push(turn);
                let number = agent.turns.len();
                let calls = answered.response.message.tool_calls();
                for (place, call) in calls.enumerate() {
                    let path = path_of(&kept.path, number, call);
                    let places = self.places.entry(path).or_default();
                    places.push((kept.path.clone(), number - 1, place));
                }
            }
            Record::OutputRejected { reason } => {
                if let Some(turn) = agent.turns.last_mut() {
                    turn.rejected = Some(reason.clone());
                }
            }
            Record::ToolStarted { place }
            | Record::ApprovalRequested { place, .. }
            | Record::ApprovalGiven { place, .. }
            | Record::ToolReturned { place, .. } => {
                let turn = agent.turns.last_mut();
                if let Some(call) = turn.and_then(|turn| turn.calls.get_mut(*place)) {
                    call.take_in(kept, self.lives);
                }
            }
            _ => {}
        }
    }

    /// The calls of a path: several only where a model gave the same id to calls of one turn.
    pub(super) fn calls(&self, path: &str) -> Vec<&Call> {
        let places = self.places.get(path).into_iter().flatten();
        let calls = places.filter_map(|(agent, turn, place)| {
            let turn = self.agents.get(agent)?.turns.get(*turn)?;
            turn.calls.get(*place)
        });
        calls.collect()
    }

    /// The agent that makes a call.
    pub(super) fn agent_of(&self, call: &str) -> &str {
        let places = self.places.get(call);
        let first = places.and_then(|places| places.first());
        first.map(|(agent, _, _)| &**agent).unwrap_or_default()
    }

    /// The nearest call around an agent that gave a result, by path; the agent's own call first.
    pub(super) fn settled_around<'a>(&'a self, agent: &'a str) -> Option<&'a str> {
        let mut path = agent;
        while !path.is_empty() {
            if self.calls(path).iter().any(|call| call.result.is_some()) {
                return Some(path);
            }
            let (above, _, _) = self.places.get(path)?.first()?;
            path = above;
        }
        None
    }

    /// Whether an agent's last answer was acted upon: the run did not end, or was killed, with it.
    pub(super) fn is_over(&self, agent: &str) -> bool {
        if agent.is_empty() {
            let is_final = |end: &Ended| {
                !matches!(
                    end.outcome,
                    Outcome::Cancelled | Outcome::Paused | Outcome::Timeout
                )
            };
            return self.end.as_ref().is_some_and(is_final);
        }
        self.calls(agent).iter().any(|call| call.result.is_some())
    }

    /// Whether the run's time was up.
    pub(super) fn is_out_of_time(&self) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|end| end.outcome == Outcome::Timeout)
    }

    /// The failure of the model that ended the run, if one did, and how long its request took.
    pub(super) fn model_failure(&self) -> Option<(ModelErrorKind, Duration)> {
        let end = self.end.as_ref()?;
        let class = end
            .error
            .as_deref()
            .filter(|_| end.outcome == Outcome::Error)?;
        Some((ModelErrorKind::named(class)?, end.after))
    }

    /// What the answers used, all together.
    pub(super) fn usage(&self) -> Usage {
        let mut sum = Usage::unknown();
        for turn in self.agents.values().flat_map(|agent| &agent.turns) {
            sum.add(&turn.answered.response.usage);
        }
        sum
    }

    /// The outermost agent's last answer.
    pub(super) fn last_answer(&self) -> Option<&Message> {
        let turn = self.agents.get("")?.turns.last()?;
        Some(&turn.answered.response.message)
    }
}

impl Turn {
    fn new(kept: &StoredRecord, answered: &Answered, sums: &Totals) -> Self {
        let calls = answered.response.message.tool_calls().map(|call| Call {
            wanted: call.clone(),
            version: kept.version,
            asked: Vec::new(),
            result: None,
        });
        let more = |now: Option<u64>, then: Option<u64>| {
            now.unwrap_or_default()
                .saturating_sub(then.unwrap_or_default())
        };
        let (now, then) = (&kept.totals, sums);
        Self {
            version: kept.version,
            added: Added {
                tokens: (
                    more(now.usage.input_tokens, then.usage.input_tokens),
                    more(now.usage.output_tokens, then.usage.output_tokens),
                ),
                cost: now.cost.saturating_sub(then.cost),
                unpriced: now.unpriced_calls.saturating_sub(then.unpriced_calls),
            },
            calls: calls.collect(),
            answered: answered.clone(),
            rejected: None,
        }
    }

    pub(super) fn took(&self) -> Duration {
        millis(self.answered.took_ms)
    }
}

impl Call {
    fn take_in(&mut self, kept: &StoredRecord, life: u32) {
        self.version = kept.version;
        match &kept.record {
            Record::ApprovalRequested { question, .. } => self.asked.push(Asked {
                question: question.clone(),
                at: (kept.at, life),
                verdict: None,
            }),
            Record::ApprovalGiven { verdict, .. } => {
                let Some(asked) = self.asked.last_mut() else {
                    return;
                };
                // Nobody waits between two lives.
                let (at, asked_in) = asked.at;
                let waited = if asked_in == life {
                    between(at, kept.at)
                } else {
                    Duration::ZERO
                };
                asked.verdict = Some((verdict.clone(), waited));
                if !verdict.allowed {
                    let denied = denied(&self.wanted, asked.question.kind, verdict);
                    self.result = Some((denied, Duration::ZERO));
                }
            }
            Record::ToolReturned {
                result, took_ms, ..
            } => {
                self.result = Some((result.clone(), millis(*took_ms)));
            }
            _ => {}
        }
    }

    /// The question whether it may be made, if that was asked.
    pub(super) fn approval(&self) -> Option<&Asked> {
        let is_approval = |asked: &&Asked| asked.question.kind == QuestionKind::Approval;
        self.asked.iter().rfind(is_approval)
    }
}

fn path_of(agent: &str, turn: usize, call: &ToolCall) -> String {
    if agent.is_empty() {
        format!("{turn}/{}", call.id)
    } else {
        format!("{agent}/{turn}/{}", call.id)
    }
}

fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}
