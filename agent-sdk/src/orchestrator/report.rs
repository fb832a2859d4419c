//! What a plan came to.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    operation::TraceContext,
    plan::{End, Fault, Machine, StepEnd},
    run::RunReport,
};

/// What a plan came to: every step once, what it gave, and what the run used, cost and took.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// What became of the plan.
    #[serde(flatten)]
    pub outcome: PlanOutcome,
    /// What the run came to.
    pub run: RunReport,
}

impl std::ops::Deref for PlanReport {
    type Target = PlanOutcome;

    fn deref(&self) -> &PlanOutcome {
        &self.outcome
    }
}

/// What became of a plan.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlanOutcome {
    /// Its name.
    pub plan: Arc<str>,
    /// How it ended; of one whose fallback was run, how that did.
    pub end: End,
    /// What it gave; `null` where it did not succeed.
    pub output: Value,
    /// Every step once, in the plan's order; those that were added while it ran behind.
    pub steps: Vec<StepReport>,
    /// From its beginning to its end, that of its fallback where one was run, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// How long its longest way through steps that waited for each other took, and that of its fallback where one was run, in
    /// milliseconds: with no cap on how many run at once it could not have been faster. Of a run that was resumed, what it did since.
    #[serde(rename = "critical_path_ms", serialize_with = "millis")]
    pub critical_path: Duration,
    /// What became of the plan that was run in its place, where it failed and has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<PlanOutcome>>,
}

impl PlanOutcome {
    /// What a machine knows of a plan.
    pub(super) fn of(machine: &Machine, plan: Arc<str>) -> Self {
        let end = machine.over().unwrap_or(End::Cancelled);
        let steps = machine.steps().map(|status| StepReport {
            id: status.step.id.clone(),
            end: status
                .end
                .cloned()
                .unwrap_or(StepEnd::Cancelled { causes: Vec::new() }),
            attempts: status.attempts,
            started: None,
            duration: Duration::ZERO,
            work: Duration::ZERO,
            inner: None,
            trace: None,
        });
        let output = match end {
            End::Ok => machine.output().unwrap_or(Value::Null),
            _ => Value::Null,
        };
        Self {
            plan,
            end,
            output,
            steps: steps.collect(),
            duration: Duration::ZERO,
            critical_path: Duration::ZERO,
            fallback: None,
        }
    }

    /// Another plan was run in its place.
    pub(super) fn stand_in(&mut self, other: Self) {
        (self.end, self.output) = (other.end, other.output.clone());
        self.duration += other.duration;
        self.critical_path += other.critical_path;
        self.fallback = Some(Box::new(other));
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&StepReport> {
        self.steps.iter().find(|step| *step.id == *id)
    }

    /// Every failure of every step, with the step's id, in the plan's order; those inside steps that are plans, and of the fallback,
    /// are there.
    pub fn failures(&self) -> Vec<(&Arc<str>, &Fault)> {
        let mut failures = Vec::new();
        let mut open = vec![self];
        while let Some(outcome) = open.pop() {
            for step in &outcome.steps {
                failures.extend(step.end.causes().iter().map(|fault| (&step.id, fault)));
                open.extend(step.inner.as_deref());
            }
            open.extend(outcome.fallback.as_deref());
        }
        failures
    }

    /// The time of all steps together, those of the fallback included, as if they had run one after the other.
    pub fn work(&self) -> Duration {
        self.with_fallbacks()
            .flat_map(|outcome| &outcome.steps)
            .map(|step| step.work)
            .sum()
    }

    /// How many times longer its steps would have taken one after the other; 1 where nothing took any time.
    pub fn speedup(&self) -> f64 {
        ratio(self.work(), self.duration)
    }

    /// How many steps ran at once on average, while any did; 1 where nothing took any time.
    pub fn parallelism(&self) -> f64 {
        let mut busy = Duration::ZERO;
        for outcome in self.with_fallbacks() {
            let spans = outcome.steps.iter();
            let spans =
                spans.filter_map(|step| Some((step.started?, step.started? + step.duration)));
            let mut spans: Vec<_> = spans.collect();
            spans.sort_unstable();
            let mut until = Duration::ZERO;
            for (from, to) in spans {
                busy += to.saturating_sub(from.max(until));
                until = until.max(to);
            }
        }
        ratio(self.work(), busy)
    }

    /// It, and what was run in its place.
    fn with_fallbacks(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |outcome| outcome.fallback.as_deref())
    }
}

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepReport {
    /// Its id.
    pub id: Arc<str>,
    /// How it ended, and what it gave.
    #[serde(flatten)]
    pub end: StepEnd,
    /// How many tries were begun, fallbacks and the elements of a list included; of this life of the run, where it was resumed, and of
    /// earlier ones as far as they ended.
    pub attempts: u32,
    /// From the beginning of the plan to its first try, in milliseconds; `None` where none was begun in this life of the run.
    #[serde(rename = "started_ms", serialize_with = "maybe_millis")]
    pub started: Option<Duration>,
    /// From its first try to its end, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// How long its tries took, all together, in milliseconds.
    #[serde(rename = "work_ms", serialize_with = "millis")]
    pub work: Duration,
    /// What became of the plan that it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<PlanOutcome>>,
    /// The span of its last try.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

fn ratio(work: Duration, time: Duration) -> f64 {
    if time.is_zero() {
        return 1.0;
    }
    work.as_secs_f64() / time.as_secs_f64()
}

fn millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64() * 1e3)
}

#[expect(clippy::ref_option, reason = "what `serde` calls it with")]
fn maybe_millis<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => millis(time, to),
        None => to.serialize_none(),
    }
}
