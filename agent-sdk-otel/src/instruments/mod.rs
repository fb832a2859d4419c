//! The metrics observer: every finished operation into the instruments, sampled or not.
//!
//! The series of an operation are looked up at once, by what its labels come from, and kept: a [`Key`] is borrowed from the
//! operation, so that recording into series that exist builds no labels and allocates nothing. Beyond its limit the cache keeps
//! no more, and the SDK finds the series each time; beyond the SDK's own limit it is the overflow series. Sums are the same.
//!
//! Labels are an allow-list: names that a developer chose and classes of failures, no ids and no text of a user or a model. The name
//! of a tool that does not exist comes from a model, so it counts as `other`; so do the names of answering models once a provider
//! has given too many for one model that was asked.

mod active;
mod bound;
mod cache;
mod key;
mod known;
mod labels;
mod request;
mod set;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_sdk::cost::Usd;
use agent_sdk::operation::{
    Kind, Observer, OperationId, OperationInfo, OperationRecord, Payload, RunId,
};

use crate::attrs;
use crate::metrics::Metrics;
use crate::openmetrics::Moment;
use crate::profile::EmissionProfile;
use crate::settings::Settings;
use active::Active;
use bound::{CountSeries, DistributionSeries};
use cache::Cache;
use key::Key;
use known::{Known, OTHER};
pub(crate) use labels::{Labels, WatchedNames};
use request::RequestSeries;
use set::Instruments;

/// The label of money that a tool says it spent.
const FROM_TOOL: &str = "tool";

/// The class of failures that nobody here named, once there are too many.
const OTHER_ERROR: &str = "_OTHER";

/// Counts operations.
#[derive(Debug)]
pub(crate) struct MetricsObserver {
    instruments: Instruments,
    profile: EmissionProfile,
    labels: Labels,
    models: Known,
    errors: Known,
    active: Active,
    requests: Cache<RequestSeries>,
    runs: Cache<RunSeries>,
    timed: Cache<DistributionSeries<f64>>,
    charges: Cache<ChargeSeries>,
    /// The names of workflows that run now, for their steps.
    workflows: Mutex<HashMap<(RunId, OperationId), Arc<str>>>,
}

/// The series of an agent's runs.
#[derive(Debug)]
struct RunSeries {
    inference_calls: DistributionSeries<u64>,
    tool_calls: DistributionSeries<u64>,
    duration: DistributionSeries<f64>,
}

/// The series of what tools spend.
#[derive(Debug)]
struct ChargeSeries {
    cost: CountSeries<f64>,
    operation_cost: DistributionSeries<f64>,
}

impl MetricsObserver {
    pub(crate) fn new(metrics: &Metrics, settings: &Settings) -> Self {
        Self {
            instruments: Instruments::new(&metrics.meter(), &metrics.exemplars()),
            profile: settings.profile,
            labels: Labels::new(settings),
            models: Known::default(),
            errors: Known::default(),
            active: Active::default(),
            requests: Cache::default(),
            runs: Cache::default(),
            timed: Cache::default(),
            charges: Cache::default(),
            workflows: Mutex::default(),
        }
    }

    fn active(&self, info: &OperationInfo, change: i64) {
        let (kind, agent) = (info.kind, info.agent.as_deref().unwrap_or_default());
        self.active.add(kind, agent, change, || {
            let labels = self.labels.of(&[
                (attrs::OPERATION_KIND, kind.as_str()),
                (attrs::AGENT_NAME, agent),
            ]);
            self.instruments.active.bind(&labels)
        });
    }

    fn request(&self, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let key = request_key(record);
        let series = self.requests.get(&key).unwrap_or_else(|| {
            let asker = (key.provider, key.name);
            let key = Key {
                answered: self.models.or(asker, key.answered, OTHER),
                error: self.class(record),
                ..key
            };
            self.requests
                .get_or_make(&key, || RequestSeries::new(&self.labels, &key))
        });
        series.record(&self.instruments, self.profile, record, moment);
    }

    fn charges(&self, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let charges = record.facts.charges.iter();
        let sum = charges.fold(Usd::default(), |sum, (_, usd)| sum.saturating_add(*usd));
        let is_tool = record.info.kind == Kind::Tool;
        let key = Key {
            agent: agent(record),
            ..Key::new(Kind::Tool, if is_tool { tool(record) } else { "" })
        };
        let series = self.charges.get_or_make(&key, || {
            let labels = self.labels.of(&[
                (attrs::TOOL_NAME, key.name),
                (attrs::AGENT_NAME, key.agent),
                (attrs::COST_SOURCE, FROM_TOOL),
            ]);
            ChargeSeries {
                cost: self.instruments.cost.bind(&labels),
                operation_cost: self.instruments.operation_cost.bind(&labels),
            }
        });
        series.cost.add(sum.as_f64(), moment);
        series.operation_cost.record(sum.as_f64(), moment);
    }

    fn agent_run(&self, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let set = &self.instruments;
        let key = Key {
            agent: &record.info.name,
            error: error_type(record),
            ..Key::new(
                Kind::Agent,
                record.only_model.map_or("", |model| &model.model),
            )
        };
        let series = self.runs.get(&key).unwrap_or_else(|| {
            let key = Key {
                error: self.class(record),
                ..key
            };
            self.runs.get_or_make(&key, || {
                let name = (attrs::AGENT_NAME, key.agent);
                let labels = self.labels.of(&[name]);
                let all = self.labels.of(&[
                    name,
                    (attrs::REQUEST_MODEL, key.name),
                    (attrs::ERROR_TYPE, key.error),
                ]);
                RunSeries {
                    inference_calls: set.agent_inference_calls.bind(&labels),
                    tool_calls: set.agent_tool_calls.bind(&labels),
                    duration: set.agent_duration.bind(&all),
                }
            })
        });
        let totals = record.totals;
        series
            .inference_calls
            .record(totals.own_model_calls.into(), moment);
        series
            .tool_calls
            .record(totals.own_tool_calls.into(), moment);
        series
            .duration
            .record(record.duration.as_secs_f64(), moment);
    }

    /// What has a duration and nothing else.
    fn timed(&self, record: &OperationRecord<'_>, name: &str, moment: Option<Moment>) {
        let key = Key {
            agent: if record.info.kind == Kind::Tool {
                agent(record)
            } else {
                ""
            },
            error: error_type(record),
            ..Key::new(record.info.kind, name)
        };
        let series = self.timed.get(&key).unwrap_or_else(|| {
            let key = Key {
                error: self.class(record),
                ..key
            };
            self.timed.get_or_make(&key, || self.timed_series(&key))
        });
        series.record(record.duration.as_secs_f64(), moment);
    }

    fn timed_series(&self, key: &Key<'_>) -> DistributionSeries<f64> {
        let set = &self.instruments;
        let error = (attrs::ERROR_TYPE, key.error);
        let (instrument, labels) = match key.kind {
            Kind::Tool => {
                let labels = self.labels.of(&[
                    (attrs::TOOL_NAME, key.name),
                    (attrs::TOOL_TYPE, "function"),
                    (attrs::AGENT_NAME, key.agent),
                    error,
                ]);
                (&set.tool_duration, labels)
            }
            Kind::Workflow => {
                let labels = self.labels.of(&[(attrs::WORKFLOW_NAME, key.name), error]);
                (&set.workflow_duration, labels)
            }
            Kind::Step => {
                let labels = self.labels.of(&[(attrs::PLAN_NAME, key.name), error]);
                (&set.step_duration, labels)
            }
            _ => {
                let operation = (attrs::OPERATION_NAME, key.kind.span_name());
                (&set.operation_duration, self.labels.of(&[operation, error]))
            }
        };
        instrument.bind(&labels)
    }

    /// The class of a failure as a label: one that is written in a program is taken as it is, one that was made while it ran only while
    /// such classes are few.
    fn class<'a>(&self, record: &'a OperationRecord<'_>) -> &'a str {
        let class = error_type(record);
        let failure = record.facts.error.as_ref();
        match failure.map(|failure| &failure.class) {
            Some(Cow::Owned(_)) => self.errors.or(("", ""), class, OTHER_ERROR),
            _ => class,
        }
    }

    fn workflows(&self) -> MutexGuard<'_, HashMap<(RunId, OperationId), Arc<str>>> {
        self.workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let info = record.info;
        let plan = info.parent.and_then(|parent| {
            let plans = self.workflows();
            plans.get(&(info.run_id.clone(), parent)).cloned()
        });
        self.timed(record, plan.as_deref().unwrap_or_default(), moment);
    }
}

impl Observer for MetricsObserver {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        self.active(operation, 1);
        if operation.kind == Kind::Workflow {
            let id = (operation.run_id.clone(), operation.id);
            self.workflows().insert(id, operation.name.clone());
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let info = record.info;
        self.active(info, -1);
        let moment = Moment::of(&info.trace, record.ended);
        match info.kind {
            Kind::Chat | Kind::Embeddings => self.request(record, moment),
            Kind::Agent => self.agent_run(record, moment),
            Kind::Tool => self.timed(record, tool(record), moment),
            Kind::Step => self.step(record, moment),
            Kind::Retrieval => self.timed(record, "", moment),
            Kind::Workflow => {
                self.workflows().remove(&(info.run_id.clone(), info.id));
                self.timed(record, &info.name, moment);
            }
            _ => {}
        }
        if !record.facts.charges.is_empty() {
            self.charges(record, moment);
        }
    }
}

fn request_key<'a>(record: &OperationRecord<'a>) -> Key<'a> {
    let (info, facts) = (record.info, record.facts);
    let key = Key {
        answered: facts.response_model.as_deref().unwrap_or_default(),
        error: error_type(record),
        agent: info.agent.as_deref().unwrap_or_default(),
        source: record.cost.map_or("", |cost| cost.source.as_str()),
        ..Key::new(info.kind, &info.name)
    };
    match info.model() {
        Some(model) => Key {
            name: &model.model,
            provider: &model.provider,
            address: model.server_address.as_deref().unwrap_or_default(),
            port: model.server_port,
            ..key
        },
        None => key,
    }
}

/// The class of a failure, or how else it ended where nobody said why; empty where it did not fail.
fn error_type<'a>(record: &OperationRecord<'a>) -> &'a str {
    if !record.outcome.is_failure() {
        return "";
    }
    let failure = record.facts.error.as_ref();
    failure.map_or(record.outcome.as_str(), |failure| &failure.class)
}

fn agent<'a>(record: &OperationRecord<'a>) -> &'a str {
    record.info.agent.as_deref().unwrap_or_default()
}

/// A tool's name; that of a tool which does not exist was made up by a model.
fn tool<'a>(record: &OperationRecord<'a>) -> &'a str {
    let error = record.facts.error.as_ref();
    if error.is_some_and(|error| error.class == "unknown_tool") {
        OTHER
    } else {
        &record.info.name
    }
}
