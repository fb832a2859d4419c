//! What a request used, as the Messages API reports it and as the SDK counts it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cost::Usd,
    model::{
        SideUsage, Usage,
        wire::{Count, Many, Text, amount},
    },
};

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct WireUsage<'a> {
    input_tokens: Count,
    output_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation: Option<Written>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    iterations: Many<Iteration<'a>>,
    pub(super) service_tier: Text<'a>,
    /// What a gateway bills.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
}

/// What was written to the prompt cache, by lifetime.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(rename = "ephemeral_5m_input_tokens")]
    five_minutes: Count,
    #[serde(rename = "ephemeral_1h_input_tokens")]
    one_hour: Count,
}

impl Written {
    fn both(&self) -> Option<u64> {
        match (self.five_minutes.0, self.one_hour.0) {
            (None, None) => None,
            (short, long) => Some(short.unwrap_or(0).saturating_add(long.unwrap_or(0))),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Count,
}

/// A model's part in an answer. Those of the kind `message` are the answer's own, and counted in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Iteration<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    model: Text<'a>,
    input_tokens: Count,
    output_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation: Option<Written>,
}

impl Iteration<'_> {
    /// What it used, unless it is counted in the answer.
    fn side(&self) -> Option<SideUsage> {
        let kind = self.kind.0.as_deref().filter(|kind| *kind != "message")?;
        let written = self.cache_creation.unwrap_or_default();
        let counts = Counts {
            input: self.input_tokens.0,
            output: self.output_tokens.0,
            cache_read: self.cache_read_input_tokens.0,
            cache_write: self.cache_creation_input_tokens.0.or(written.both()),
            cache_write_1h: written.one_hour.0,
            ..Counts::default()
        };
        let model = self.model.0.as_deref().map(str::to_owned);
        Some(SideUsage::new(kind, counts.usage()).with_model(model))
    }
}

/// The counts of an answer, of which a stream reports some at its start and all, once more, at its end.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Without what was read from the cache and written to it.
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
    pub(super) cost: Option<Usd>,
    /// What was used beside the answer.
    pub(super) side: Vec<SideUsage>,
}

impl Counts {
    /// Takes a report. What it counts replaces what an earlier one did, for each counts from the beginning; a zero replaces
    /// nothing, for such a count never falls, and gateways send zeros for what they do not repeat.
    pub(super) fn report(&mut self, report: WireUsage<'_>) {
        let written = report.cache_creation.unwrap_or_default();
        let details = report.output_tokens_details.unwrap_or_default();
        let server = report.server_tool_use.unwrap_or_default();
        revise(&mut self.input, report.input_tokens.0);
        revise(&mut self.output, report.output_tokens.0);
        revise(&mut self.cache_read, report.cache_read_input_tokens.0);
        let cache_write = report.cache_creation_input_tokens.0.or(written.both());
        revise(&mut self.cache_write, cache_write);
        revise(&mut self.cache_write_1h, written.one_hour.0);
        revise(&mut self.thinking, details.thinking_tokens.0);
        revise(&mut self.searches, server.web_search_requests.0);
        self.cost = amount(report.cost).or(self.cost);
        let side: Vec<_> = report
            .iterations
            .into_iter()
            .filter_map(|part| part.side())
            .collect();
        if !side.is_empty() {
            self.side = side;
        }
    }

    /// The counts, with everything that was read in `input_tokens`.
    pub(super) fn usage(&self) -> Usage {
        let cached = [self.cache_read, self.cache_write];
        let cached = cached
            .iter()
            .flatten()
            .fold(0, |sum: u64, more| sum.saturating_add(*more));
        let mut usage = Usage::unknown();
        usage.input_tokens = self.input.map(|input| input.saturating_add(cached));
        usage.output_tokens = self.output;
        usage.cache_read_tokens = self.cache_read;
        usage.cache_write_tokens = self.cache_write;
        // It is a part of what was written, whichever of the two was revised last.
        let most = self.cache_write.unwrap_or(u64::MAX);
        usage.cache_write_1h_tokens = self.cache_write_1h.map(|long| long.min(most));
        usage.reasoning_tokens = self.thinking;
        usage.web_search_requests = self.searches;
        usage
    }

    /// The same of an answer that broke off: how much of it there would have been is not known.
    pub(super) fn partial(&self) -> Usage {
        let mut usage = self.usage();
        usage.output_tokens = None;
        usage.reasoning_tokens = None;
        usage
    }
}

fn revise(known: &mut Option<u64>, told: Option<u64>) {
    match (&known, told) {
        (_, None) | (Some(1..), Some(0)) => {}
        (_, told) => *known = told,
    }
}
