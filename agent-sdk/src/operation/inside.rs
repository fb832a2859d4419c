//! A request inside a request of its kind: one operation, not two.
//!
//! A model that asks another one, or a library that traces what a [`ModelHandle`](crate::model::ModelHandle) traces already, opens
//! an operation inside the operation of the same request. Two spans of one request would count its tokens and its cost twice. So the
//! inner one is none: what it starts hangs under the outer one, and what it learns goes to the outer one where that knows less.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::{Facts, Outcome};
use crate::{
    cost::Cost,
    model::{ModelInfo, Usage},
};

/// A request whose operation is the one around it.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The model that it asks, which has its own price.
    pub(crate) model: Option<Arc<ModelInfo>>,
    pub(crate) started: Instant,
    /// `None` once it has ended.
    facts: Mutex<Option<Facts>>,
}

impl Joined {
    pub(crate) fn new(model: Option<Arc<ModelInfo>>) -> Self {
        Self {
            model,
            started: Instant::now(),
            facts: Mutex::new(Some(Facts::default())),
        }
    }

    pub(crate) fn record(&self, learn: impl FnOnce(&mut Facts)) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = &mut *facts {
            learn(facts);
        }
    }

    /// Ends it: what was learnt of it, the first time.
    pub(crate) fn take(&self) -> Option<Facts> {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.take()
    }
}

/// What the requests inside a request came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside {
    usage: Usage,
    cost: Option<Cost>,
    unpriced: u32,
    /// Whether this is what the request around it came to.
    counts: bool,
    /// What else the last of them learnt.
    last: Facts,
}

impl Inside {
    /// Adds a request that is over.
    pub(crate) fn add(&mut self, facts: Facts, cost: Option<Cost>) {
        self.usage.add(&facts.usage);
        self.unpriced += facts.unpriced_requests(cost.as_ref());
        self.cost = match (self.cost.take(), cost) {
            (Some(sum), Some(more)) => Some(sum.plus(&more)),
            (sum, more) => sum.or(more),
        };
        self.last = facts;
    }

    /// How many of them may have cost something that nobody knows, where they are what the request came to.
    pub(crate) fn unpriced(&self) -> Option<u32> {
        self.counts.then_some(self.unpriced)
    }
}

/// Adds to what is known of a request what only those inside it know; answers with the cost. Its own word counts, unless more was
/// used inside: then it told of a part only.
pub(crate) fn enrich(facts: &mut Facts, outcome: Outcome, own: Option<Cost>) -> Option<Cost> {
    let Some(mut inside) = facts.inside.take() else {
        return own;
    };
    let last = &mut inside.last;
    fill(&mut facts.response_id, &mut last.response_id);
    fill(&mut facts.response_model, &mut last.response_model);
    fill(&mut facts.service_tier, &mut last.service_tier);
    fill(&mut facts.system_fingerprint, &mut last.system_fingerprint);
    fill(&mut facts.first_chunk, &mut last.first_chunk);
    fill(&mut facts.queued, &mut last.queued);
    fill(&mut facts.attempts, &mut last.attempts);
    fill(&mut facts.budget_max_tokens, &mut last.budget_max_tokens);
    fill(&mut facts.fallback_for, &mut last.fallback_for);
    fill(&mut facts.fallback_reason, &mut last.fallback_reason);
    fill(&mut facts.hedge_for, &mut last.hedge_for);
    if facts.finish_reasons.is_empty() {
        facts.finish_reasons = std::mem::take(&mut last.finish_reasons);
    }
    if facts.chunk_gaps_us.is_empty() {
        facts.chunk_gaps_us = std::mem::take(&mut last.chunk_gaps_us);
    }
    if outcome.is_failure() {
        fill(&mut facts.error, &mut last.error);
    }
    let told = !facts.usage.is_unknown() || facts.provider_cost.is_some();
    let told_of_all = told && tokens(&inside.usage) <= tokens(&facts.usage);
    let cost = if told_of_all {
        own.or_else(|| inside.cost.clone())
    } else {
        facts.usage = inside.usage;
        facts.cached |= inside.last.cached;
        inside.counts = true;
        inside.cost.clone()
    };
    facts.inside = Some(inside);
    cost
}

fn fill<T>(known: &mut Option<T>, more: &mut Option<T>) {
    if known.is_none() {
        *known = more.take();
    }
}

fn tokens(usage: &Usage) -> u64 {
    let [input, output] = [usage.input_tokens, usage.output_tokens].map(Option::unwrap_or_default);
    input.saturating_add(output)
}
