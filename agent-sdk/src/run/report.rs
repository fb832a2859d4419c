//! What a run came to.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    cost::Usd,
    journal::{Before, Question},
    message::Content,
    model::Usage,
    operation::{
        OperationInfo, OperationRecord, Outcome, Payload, RunId, SpanId, TraceContext, TraceId,
    },
    profile::Profile,
};

/// What a run came to: its answer, what it used and cost, and where its time went.
///
/// A failed run has one too ([`RunError::report`](super::RunError::report)), because what it spent is spent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run_id: RunId,
    /// The trace that it can be found under.
    pub trace_id: TraceId,
    /// How it ended.
    pub outcome: Outcome,
    /// The answer; of a run that failed, what there was of it.
    pub text: Content,
    /// What all model requests used, as far as the providers said.
    pub usage: Usage,
    /// What all of it cost, as far as prices are known.
    #[serde(rename = "cost_usd")]
    pub cost: Usd,
    /// Model requests that `cost` lacks, because their price or their usage is unknown.
    pub unpriced_calls: u32,
    /// Model requests, failed ones included.
    pub model_calls: u32,
    /// Tool calls, failed ones included.
    pub tool_calls: u32,
    /// Words in the answer, as separated by white space.
    pub words: usize,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    pub duration: Duration,
    /// The files that the run wrote in its workspace, agents inside it included, ordered by path. Among them is the saved answer;
    /// the saved report, which holds this list, is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// The failure's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many processes ran it, one after the other; sums and duration are over all of them, the trace and the profile are
    /// of the last.
    #[serde(skip_serializing_if = "is_one")]
    pub lives: u32,
    /// What it waits to be told, where it is paused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Where the time went.
    pub profile: Arc<Profile>,
    /// The span that stands for the run.
    #[serde(skip)]
    pub(super) trace: TraceContext,
}

/// A file that a run wrote in its workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Artifact {
    /// Its path from the workspace, with `/` between names.
    pub path: String,
    /// How many bytes it held when the run had written it.
    pub bytes: u64,
}

impl Artifact {
    /// A file that a run wrote.
    pub fn new(path: impl Into<String>, bytes: u64) -> Self {
        Self {
            path: path.into(),
            bytes,
        }
    }
}

impl RunReport {
    /// Sums up a finished operation.
    pub(crate) fn of(record: &OperationRecord<'_>, payload: Payload<'_>) -> Self {
        let text = match payload {
            Payload::Answer(text) => text,
            _ => "",
        };
        let totals = record.totals;
        Self {
            run_id: record.info.run_id.clone(),
            trace_id: record.info.trace.trace_id,
            outcome: record.outcome,
            text: text.into(),
            usage: totals.usage,
            cost: totals.cost,
            unpriced_calls: totals.unpriced_calls,
            model_calls: totals.model_calls,
            tool_calls: totals.tool_calls,
            words: text.split_whitespace().count(),
            duration: record.duration,
            artifacts: record.facts.artifacts.clone(),
            error: record
                .facts
                .error
                .as_ref()
                .map(|failure| failure.class.clone().into_owned()),
            lives: 1,
            questions: Vec::new(),
            profile: record.profile.cloned().unwrap_or_default(),
            trace: record.info.trace,
        }
    }
}

impl RunReport {
    /// Adds what earlier lives of the run came to.
    pub(crate) fn add_earlier(&mut self, before: &Before) {
        let totals = &before.totals;
        self.usage.add(&totals.usage);
        self.cost = self.cost.saturating_add(totals.cost);
        self.unpriced_calls += totals.unpriced_calls;
        self.model_calls += totals.model_calls;
        self.tool_calls += totals.tool_calls;
        self.duration += before.duration;
        self.lives += before.lives;
    }

    /// The report of a run that its session refused, before it began.
    pub(crate) fn not_begun(run: &RunId) -> Self {
        let nowhere = TraceContext::new(TraceId(0), SpanId(0), false);
        Self::empty(run, nowhere, Outcome::Error, "session")
    }

    /// The report of an operation that something else ended before.
    pub(crate) fn given_up(info: &OperationInfo) -> Self {
        let outcome = Outcome::Cancelled;
        Self::empty(&info.run_id, info.trace, outcome, "cancelled")
    }

    /// The report of a run of which nothing else is known, in the operation around it.
    pub(crate) fn of_nothing(info: &OperationInfo, outcome: Outcome, error: &str) -> Self {
        Self::empty(&info.run_id, info.trace, outcome, error)
    }

    fn empty(run: &RunId, trace: TraceContext, outcome: Outcome, error: &str) -> Self {
        Self {
            run_id: run.clone(),
            trace_id: trace.trace_id,
            outcome,
            text: Content::default(),
            usage: Usage::unknown(),
            cost: Usd::ZERO,
            unpriced_calls: 0,
            model_calls: 0,
            tool_calls: 0,
            words: 0,
            duration: Duration::ZERO,
            error: Some(error.to_owned()),
            artifacts: Vec::new(),
            lives: 1,
            questions: Vec::new(),
            profile: Arc::default(),
            trace,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_one(lives: &u32) -> bool {
    *lives == 1
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}
