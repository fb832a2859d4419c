//! Lines and reports, from operations as they happen.

mod attribution;
mod bounds;
mod keeping;
mod rendering;
mod reports;
mod sums;

use super::*;
use crate::{
    cost::Usd,
    model::Usage,
    operation::{
        FixedClock, Kind, Outcome, RunContext, RunContextBuilder, trace_agent, trace_chat,
    },
};

fn seconds(time: &str) -> u64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    time.as_second().try_into().unwrap()
}

/// A run that begins at a time and is watched.
fn run(tracker: &CostTracker, id: &str, time: &str) -> RunContextBuilder {
    RunContext::builder()
        .run_id(id)
        .clock(FixedClock::at(seconds(time)))
        .observers(tracker.observers())
}

/// A request to a model, written `provider:model`, of which the provider says what it cost.
fn paid(context: &RunContext, model: &str, nanos: u64) {
    let (provider, model) = model.split_once(':').unwrap();
    let chat = trace_chat(context, provider, model).begin();
    chat.record(|facts| {
        facts.usage = Usage::new(1_000, 10);
        facts.provider_cost = Some(Usd::from_nanos(nanos));
    });
    chat.end(Outcome::Ok, Payload::None);
}

/// A request whose cost nobody knows.
fn unpriced(context: &RunContext, model: &str, usage: Usage) {
    let (provider, model) = model.split_once(':').unwrap();
    let chat = trace_chat(context, provider, model).begin();
    chat.record(|facts| facts.usage = usage);
    chat.end(Outcome::Ok, Payload::None);
}

fn by<const N: usize>(names: [&str; N]) -> CostQuery {
    CostQuery::by(names.map(|name| name.parse().unwrap()))
}
