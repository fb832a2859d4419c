//! What several runs came to.

use std::{sync::Arc, time::Duration};

use crate::{
    cost::Usd,
    model::Usage,
    operation::{Outcome, RunId, TraceId},
    profile::Profile,
    run::{RunError, RunReport},
};

/// What several runs came to: each of them, and their sums.
#[derive(Debug)]
#[non_exhaustive]
pub struct ParallelReport {
    /// What all of these runs have in common, as their events say it: the id of the workflow's span.
    pub batch_id: Arc<str>,
    /// The run that they are inside of.
    pub run_id: RunId,
    /// The trace that all of them can be found under.
    pub trace_id: TraceId,
    /// [`Ok`](Outcome::Ok) where all answered, otherwise the outcome of the first that failed.
    pub outcome: Outcome,
    /// Each run exactly once, in the order in which they were given. One that did not start was cancelled, had no time left, or
    /// had a budget that is none; its report is empty.
    pub runs: Vec<Result<RunReport, RunError>>,
    /// What all model requests used, as far as the providers said.
    pub usage: Usage,
    /// What all of it cost, as far as prices are known.
    pub cost: Usd,
    /// Model requests that `cost` lacks, because their price or their usage is unknown.
    pub unpriced_calls: u32,
    /// Model requests, failed ones included.
    pub model_calls: u32,
    /// Tool calls, failed ones included.
    pub tool_calls: u32,
    /// How long it took from the first start to the last end.
    pub duration: Duration,
    /// How long the runs took, one added to the other.
    pub work: Duration,
    /// Where the time went, of the runs that are not [kept](crate::run::RunRequest::store) under an id of their own.
    pub profile: Arc<Profile>,
    agents: Vec<Arc<str>>,
}

impl ParallelReport {
    pub(super) fn new(
        whole: &RunReport,
        batch_id: Arc<str>,
        agents: Vec<Arc<str>>,
        runs: Vec<Result<RunReport, RunError>>,
        work: Duration,
    ) -> Self {
        let mut report = Self {
            batch_id,
            run_id: whole.run_id.clone(),
            trace_id: whole.trace_id,
            outcome: whole.outcome,
            runs,
            usage: whole.usage,
            cost: whole.cost,
            unpriced_calls: whole.unpriced_calls,
            model_calls: whole.model_calls,
            tool_calls: whole.tool_calls,
            duration: whole.duration,
            work,
            profile: whole.profile.clone(),
            agents,
        };
        // Runs with ids of their own are in no sum but their own.
        for result in &report.runs {
            let run = result.as_ref().unwrap_or_else(RunError::report);
            if run.run_id != report.run_id {
                report.usage.add(&run.usage);
                report.cost = report.cost.saturating_add(run.cost);
                report.unpriced_calls = report.unpriced_calls.saturating_add(run.unpriced_calls);
                report.model_calls = report.model_calls.saturating_add(run.model_calls);
                report.tool_calls = report.tool_calls.saturating_add(run.tool_calls);
            }
        }
        report
    }

    /// The answers that there are: the agent's name and the text, in the order of the runs.
    pub fn answers(&self) -> impl Iterator<Item = (&str, &str)> {
        let runs = self.agents.iter().zip(&self.runs);
        runs.filter_map(|(agent, run)| Some((&**agent, run.as_ref().ok()?.text.as_str())))
    }

    /// Every failure, with its run's place among those that were given.
    pub fn errors(&self) -> impl Iterator<Item = (usize, &RunError)> {
        let runs = self.runs.iter().enumerate();
        runs.filter_map(|(index, run)| Some((index, run.as_ref().err()?)))
    }

    /// How many times longer the runs would have taken one after the other; 1 where nothing took any time.
    pub fn speedup(&self) -> f64 {
        if self.duration.is_zero() {
            return 1.0;
        }
        self.work.as_secs_f64() / self.duration.as_secs_f64()
    }
}
