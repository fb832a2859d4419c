//! The series of a model request.

use std::sync::OnceLock;

use agent_sdk::operation::{Kind, OperationRecord};
use opentelemetry::KeyValue;

use super::bound::{Count, CountSeries, Distribution, DistributionSeries};
use super::key::Key;
use super::labels::Labels;
use super::set::{Chunks, Instruments};
use crate::attrs;
use crate::openmetrics::Moment;
use crate::profile::EmissionProfile;

/// The series of the requests of one key, each bound when it is first needed: a series that was bound is on the page.
#[derive(Debug)]
pub(super) struct RequestSeries {
    /// Those of all metrics, and behind them the class of the failure.
    labels: Vec<KeyValue>,
    common: usize,
    /// Provider and model, and behind them the agent and the source of the price.
    money_labels: Vec<KeyValue>,
    who: usize,
    inference_duration: Lazy<f64>,
    operation_duration: Lazy<f64>,
    operation_input: Lazy<u64>,
    operation_output: Lazy<u64>,
    inference_chunks: ChunkSeries,
    operation_chunks: ChunkSeries,
    input: LazyCount<u64>,
    output: LazyCount<u64>,
    cache_read: LazyCount<u64>,
    cache_write: LazyCount<u64>,
    reasoning: LazyCount<u64>,
    input_usage: Lazy<u64>,
    output_usage: Lazy<u64>,
    cost: LazyCount<f64>,
    operation_cost: Lazy<f64>,
    unpriced: LazyCount<u64>,
}

type Lazy<T> = OnceLock<DistributionSeries<T>>;
type LazyCount<T> = OnceLock<CountSeries<T>>;

#[derive(Debug, Default)]
struct ChunkSeries {
    first: Lazy<f64>,
    gap: Lazy<f64>,
}

impl RequestSeries {
    pub(super) fn new(labels: &Labels, key: &Key<'_>) -> Self {
        let common = labels.request(key);
        let error = labels.of(&[(attrs::ERROR_TYPE, key.error)]);
        let who = labels.of(&[
            (attrs::PROVIDER_NAME, key.provider),
            (attrs::REQUEST_MODEL, key.name),
        ]);
        let money = labels.of(&[
            (attrs::AGENT_NAME, key.agent),
            (attrs::COST_SOURCE, key.source),
        ]);
        Self {
            common: common.len(),
            labels: [common, error].concat(),
            who: who.len(),
            money_labels: [who, money].concat(),
            inference_duration: OnceLock::new(),
            operation_duration: OnceLock::new(),
            operation_input: OnceLock::new(),
            operation_output: OnceLock::new(),
            inference_chunks: ChunkSeries::default(),
            operation_chunks: ChunkSeries::default(),
            input: OnceLock::new(),
            output: OnceLock::new(),
            cache_read: OnceLock::new(),
            cache_write: OnceLock::new(),
            reasoning: OnceLock::new(),
            input_usage: OnceLock::new(),
            output_usage: OnceLock::new(),
            cost: OnceLock::new(),
            operation_cost: OnceLock::new(),
            unpriced: OnceLock::new(),
        }
    }

    pub(super) fn record(
        &self,
        set: &Instruments,
        profile: EmissionProfile,
        record: &OperationRecord<'_>,
        moment: Option<Moment>,
    ) {
        let seconds = record.duration.as_secs_f64();
        let is_chat = record.info.kind == Kind::Chat;
        if profile.v1_41() || !is_chat {
            self.all(&self.operation_duration, &set.operation_duration)
                .record(seconds, moment);
        }
        if is_chat && profile.latest() {
            self.all(&self.inference_duration, &set.inference_duration)
                .record(seconds, moment);
            self.chunks(
                &self.inference_chunks,
                &set.inference_chunks,
                record,
                moment,
            );
            self.tokens(set, record, moment);
        }
        if is_chat && profile.v1_41() {
            self.chunks(
                &self.operation_chunks,
                &set.operation_chunks,
                record,
                moment,
            );
        }
        if profile.v1_41() {
            self.tokens_v1_41(set, record, moment);
        }
        self.money(set, record, moment);
    }

    fn tokens(&self, set: &Instruments, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let usage = &record.facts.usage;
        if let Some(tokens) = usage.input_tokens {
            self.all(&self.operation_input, &set.operation_input)
                .record(tokens, moment);
        }
        if let Some(tokens) = usage.output_tokens {
            self.all(&self.operation_output, &set.operation_output)
                .record(tokens, moment);
        }
        // A failed request used nothing that is known; its series shall exist all the same.
        let known = |tokens: Option<u64>| tokens.or(record.outcome.is_failure().then_some(0));
        let used = |tokens: Option<u64>| tokens.filter(|tokens| *tokens > 0);
        for (series, counter, tokens) in [
            (&self.input, &set.input, known(usage.input_tokens)),
            (&self.output, &set.output, known(usage.output_tokens)),
            (
                &self.cache_read,
                &set.cache_read,
                used(usage.cache_read_tokens),
            ),
            (
                &self.cache_write,
                &set.cache_write,
                used(usage.cache_write_tokens),
            ),
            (
                &self.reasoning,
                &set.reasoning,
                used(usage.reasoning_tokens),
            ),
        ] {
            if let Some(tokens) = tokens {
                let bind = || {
                    let labels = self.common_and(attrs::TOKEN_MODALITY, "unknown");
                    Count::bind(counter, &labels)
                };
                series.get_or_init(bind).add(tokens, None);
            }
        }
    }

    fn tokens_v1_41(
        &self,
        set: &Instruments,
        record: &OperationRecord<'_>,
        moment: Option<Moment>,
    ) {
        let usage = &record.facts.usage;
        for (series, name, tokens) in [
            (&self.input_usage, "input", usage.input_tokens),
            (&self.output_usage, "output", usage.output_tokens),
        ] {
            if let Some(tokens) = tokens {
                let bind = || {
                    let labels = self.common_and(attrs::TOKEN_TYPE_V1_41, name);
                    set.token_usage.bind(&labels)
                };
                series.get_or_init(bind).record(tokens, moment);
            }
        }
    }

    fn money(&self, set: &Instruments, record: &OperationRecord<'_>, moment: Option<Moment>) {
        let unpriced = u64::from(record.unpriced_requests());
        if unpriced > 0 {
            let who = self.money_labels.get(..self.who).unwrap_or_default();
            self.unpriced
                .get_or_init(|| set.unpriced.bind(who))
                .add(unpriced, moment);
        }
        if let Some(cost) = record.cost {
            let usd = cost.total.as_f64();
            let labels = &self.money_labels;
            self.cost
                .get_or_init(|| set.cost.bind(labels))
                .add(usd, moment);
            self.operation_cost
                .get_or_init(|| set.operation_cost.bind(labels))
                .record(usd, moment);
        }
    }

    fn chunks(
        &self,
        series: &ChunkSeries,
        chunks: &Chunks,
        record: &OperationRecord<'_>,
        moment: Option<Moment>,
    ) {
        let facts = record.facts;
        if let Some(first) = facts.first_chunk {
            series
                .first
                .get_or_init(|| chunks.first.bind(self.common()))
                .record(first.as_secs_f64(), moment);
        }
        if !facts.chunk_gaps_us.is_empty() {
            let gaps = facts.chunk_gaps_us.iter();
            series
                .gap
                .get_or_init(|| chunks.gap.bind(self.common()))
                .record_all(gaps.map(|micros| f64::from(*micros) / 1e6), moment);
        }
    }

    fn all<'a, T>(
        &self,
        series: &'a Lazy<T>,
        instrument: &Distribution<T>,
    ) -> &'a DistributionSeries<T> {
        series.get_or_init(|| instrument.bind(&self.labels))
    }

    fn common(&self) -> &[KeyValue] {
        self.labels.get(..self.common).unwrap_or_default()
    }

    fn common_and(&self, name: &'static str, value: &'static str) -> Vec<KeyValue> {
        let mut labels = self.common().to_vec();
        labels.push(attrs::text(name, value));
        labels
    }
}
