//! Summaries of what ended, and the context of what failed.
//!
//! They are `tracing` events inside the span of the operation, so that every layer logs them: ours with ids and paths, any other as it
//! logs everything. No content is in them.

use agent_sdk::message::CallId;
use agent_sdk::model::FinishReason;
use agent_sdk::operation::{
    Details, Kind, Observer, OperationInfo, OperationRecord, Outcome, Payload,
};
use tracing::Level;

use super::place::Place;
use crate::spans::attributes::error_type;

/// The target of the summaries.
pub(super) const SUMMARY: &str = "agent_sdk::summary";

/// The target of failures.
pub(super) const FAILURE: &str = "agent_sdk::failure";

/// Sums up operations in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogObserver;

impl Observer for LogObserver {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        Place::note(operation);
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let place = Place::of(record.info);
        match record.info.kind {
            Kind::Chat | Kind::Embeddings => chat(record),
            Kind::Tool => tool(record),
            Kind::Agent | Kind::Workflow => run(record),
            _ => {}
        }
        // What its caller gave up did not fail, and an attempt that failed is the affair of its request.
        let has_failed = record.outcome.is_failure() && record.outcome != Outcome::Cancelled;
        if has_failed && record.info.kind != Kind::Attempt {
            failure(record, place.as_deref());
        }
        if let Some(place) = &place {
            place.remember(record);
        }
    }
}

fn chat(record: &OperationRecord<'_>) {
    if !tracing::event_enabled!(target: SUMMARY, Level::INFO) {
        return;
    }
    let (info, facts) = (record.info, record.facts);
    let usage = facts.usage;
    let reasons: Vec<_> = facts
        .finish_reasons
        .iter()
        .map(FinishReason::as_str)
        .collect();
    let reasons = Some(reasons.join(",")).filter(|reasons| !reasons.is_empty());
    let (name, outcome, took) = (&*info.name, record.outcome.as_str(), record.duration);
    tracing::event!(name: "agent_sdk.chat.finished", target: SUMMARY, parent: &info.span, Level::INFO, {
        gen_ai.operation.name = info.kind.span_name(),
        gen_ai.provider.name = info.model().map(|model| &*model.provider),
        gen_ai.request.model = name,
        gen_ai.response.model = facts.response_model.as_deref(),
        gen_ai.response.id = facts.response_id.as_deref(),
        gen_ai.response.finish_reasons = reasons.as_deref(),
        gen_ai.usage.input_tokens = usage.input_tokens.map(count),
        gen_ai.usage.output_tokens = usage.output_tokens.map(count),
        gen_ai.usage.cost = record.cost.map(|cost| cost.total.as_f64()),
        agent_sdk.outcome = outcome,
        error.type = error_type(record).as_deref(),
        agent_sdk.chat.attempts = facts.attempts.map(i64::from),
        agent_sdk.duration_ms = took.as_secs_f64() * 1e3
    }, "{} {name}: {outcome} after {took:.1?}", info.kind.span_name());
}

fn tool(record: &OperationRecord<'_>) {
    let info = record.info;
    let call = match &info.details {
        Details::Tool(tool) => tool.call_id.as_ref(),
        _ => None,
    };
    let (name, outcome, took) = (&*info.name, record.outcome.as_str(), record.duration);
    tracing::event!(name: "agent_sdk.tool.finished", target: SUMMARY, parent: &info.span, Level::INFO, {
        gen_ai.tool.name = name,
        gen_ai.tool.call.id = call.map(CallId::as_str),
        agent_sdk.outcome = outcome,
        error.type = error_type(record).as_deref(),
        agent_sdk.duration_ms = took.as_secs_f64() * 1e3
    }, "tool {name}: {outcome} after {took:.1?}");
}

fn run(record: &OperationRecord<'_>) {
    let (info, totals) = (record.info, record.totals);
    let (name, outcome, took) = (&*info.name, record.outcome.as_str(), record.duration);
    let is_agent = info.kind == Kind::Agent;
    // Nothing spent and not knowing what was spent are two things.
    let usd = Some(totals.cost.as_f64()).filter(|usd| totals.unpriced_calls == 0 || *usd > 0.0);
    tracing::event!(name: "agent_sdk.run.finished", target: SUMMARY, parent: &info.span, Level::INFO, {
        gen_ai.agent.name = is_agent.then_some(name),
        gen_ai.workflow.name = (!is_agent).then_some(name),
        agent_sdk.outcome = outcome,
        error.type = error_type(record).as_deref(),
        agent_sdk.model_calls = i64::from(totals.model_calls),
        agent_sdk.tool_calls = i64::from(totals.tool_calls),
        agent_sdk.usage.input_tokens = totals.usage.input_tokens.map(count),
        agent_sdk.usage.output_tokens = totals.usage.output_tokens.map(count),
        agent_sdk.cost.total_usd = usd,
        agent_sdk.cost.unpriced_calls = i64::from(totals.unpriced_calls),
        agent_sdk.duration_ms = took.as_secs_f64() * 1e3
    }, "{name}: {outcome} after {took:.1?}");
}

/// Says what failed, where, and what came before it. A model request's failure has the name of the conventions.
fn failure(record: &OperationRecord<'_>, place: Option<&Place>) {
    if !tracing::event_enabled!(target: FAILURE, Level::WARN) {
        return;
    }
    let (info, facts) = (record.info, record.facts);
    let class = error_type(record).unwrap_or_default();
    let words = facts.error.as_ref().map(|failure| failure.message.as_str());
    let words = words.unwrap_or(&class);
    let attempt = facts.attempts.map(i64::from);
    let path = place.map(|place| match facts.attempts {
        Some(number) => format!("{} > attempt {number}", place.path()),
        None => place.path(),
    });
    let path = path.as_deref();
    let recent = place.map(Place::recent).filter(|words| !words.is_empty());
    let recent = recent.as_deref();
    if info.kind.is_priced() {
        tracing::event!(name: "gen_ai.client.operation.exception", target: FAILURE, parent: &info.span, Level::WARN, {
            exception.type = &*class,
            exception.message = words,
            gen_ai.request.model = &*info.name,
            agent_sdk.attempt = attempt,
            agent_sdk.failure.path = path,
            agent_sdk.failure.recent = recent
        });
    } else {
        tracing::event!(name: "agent_sdk.operation.failed", target: FAILURE, parent: &info.span, Level::WARN, {
            error.type = &*class,
            agent_sdk.failure.path = path,
            agent_sdk.failure.recent = recent
        }, "{words}");
    }
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
