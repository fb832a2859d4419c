//! The metrics observer: every finished operation into the instruments, sampled or not.
//!
//! Instruments are made once. An operation's labels are built once, in the order of the conventions, and each instrument gets
//! the part of that list that it takes, so that the SDK finds the series without sorting. Labels are an allow-list: names that a
//! developer chose and classes of failures, no ids and no text of a user or a model. The name of a tool that does not exist comes
//! from a model, so it counts as `other`.

mod set;

use agent_sdk::cost::Usd;
use agent_sdk::operation::{Kind, Observer, OperationInfo, OperationRecord, Payload};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::attrs;
use crate::profile::EmissionProfile;
use crate::spans::error_type;
use set::{Chunks, Instruments};

/// The label of a tool whose name the model made up.
const OTHER: &str = "other";

/// The label of money that a tool says it spent.
const FROM_TOOL: &str = "tool";

/// Counts operations.
#[derive(Debug)]
pub(crate) struct MetricsObserver {
    instruments: Instruments,
    profile: EmissionProfile,
}

impl MetricsObserver {
    pub(crate) fn new(meter: &Meter, profile: EmissionProfile) -> Self {
        Self {
            instruments: Instruments::new(meter),
            profile,
        }
    }

    fn active(&self, info: &OperationInfo, change: i64) {
        let mut labels = Vec::with_capacity(2);
        labels.push(attrs::text(attrs::OPERATION_KIND, info.kind.as_str()));
        labels.extend(agent(info));
        self.instruments.active.add(change, &labels);
    }

    fn request(&self, record: &OperationRecord<'_>) {
        let set = &self.instruments;
        let mut labels = request_labels(record);
        let common = labels.len();
        labels.extend(error_type(record).map(|class| attrs::text(attrs::ERROR_TYPE, class)));
        let (all, common) = (labels.as_slice(), labels.get(..common).unwrap_or_default());
        let seconds = record.duration.as_secs_f64();
        let is_chat = record.info.kind == Kind::Chat;
        let (latest, v1_41) = (self.profile.latest(), self.profile.v1_41());
        if v1_41 || !is_chat {
            set.operation_duration.record(seconds, all);
        }
        if is_chat && latest {
            set.inference_duration.record(seconds, all);
            chunks(&set.inference_chunks, record, common);
            self.tokens(record, all, common);
        }
        if is_chat && v1_41 {
            chunks(&set.operation_chunks, record, common);
        }
        if v1_41 {
            self.tokens_v1_41(record, common);
        }
    }

    fn tokens(&self, record: &OperationRecord<'_>, all: &[KeyValue], common: &[KeyValue]) {
        let set = &self.instruments;
        let usage = &record.facts.usage;
        if let Some(tokens) = usage.input_tokens {
            set.operation_input.record(tokens, all);
        }
        if let Some(tokens) = usage.output_tokens {
            set.operation_output.record(tokens, all);
        }
        // A failed request used nothing that is known; its series shall exist all the same.
        let known = |tokens: Option<u64>| tokens.or(record.outcome.is_failure().then_some(0));
        let used = |tokens: Option<u64>| tokens.filter(|tokens| *tokens > 0);
        let mut labels = Vec::with_capacity(common.len() + 1);
        labels.extend_from_slice(common);
        labels.push(attrs::text(attrs::TOKEN_MODALITY, "unknown"));
        for (counter, tokens) in [
            (&set.input, known(usage.input_tokens)),
            (&set.output, known(usage.output_tokens)),
            (&set.cache_read, used(usage.cache_read_tokens)),
            (&set.cache_write, used(usage.cache_write_tokens)),
            (&set.reasoning, used(usage.reasoning_tokens)),
        ] {
            if let Some(tokens) = tokens {
                counter.add(tokens, &labels);
            }
        }
    }

    fn tokens_v1_41(&self, record: &OperationRecord<'_>, common: &[KeyValue]) {
        let usage = &record.facts.usage;
        for (name, tokens) in [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
        ] {
            let Some(tokens) = tokens else {
                continue;
            };
            let mut labels = Vec::with_capacity(common.len() + 1);
            labels.extend_from_slice(common);
            labels.push(attrs::text(attrs::TOKEN_TYPE_V1_41, name));
            self.instruments.token_usage.record(tokens, &labels);
        }
    }

    fn cost(&self, record: &OperationRecord<'_>) {
        let info = record.info;
        let mut labels = Vec::with_capacity(4);
        if let Some(model) = info.model() {
            labels.push(attrs::text(attrs::PROVIDER_NAME, model.provider.clone()));
            labels.push(attrs::text(attrs::REQUEST_MODEL, model.model.clone()));
        }
        let unpriced = u64::from(record.unpriced_requests());
        if unpriced > 0 {
            self.instruments.unpriced.add(unpriced, &labels);
        }
        if let Some(cost) = record.cost {
            labels.extend(agent(info));
            self.spent(labels, cost.source.as_str(), cost.total);
        }
    }

    fn charges(&self, record: &OperationRecord<'_>) {
        let charges = record.facts.charges.iter();
        let sum = charges.fold(Usd::default(), |sum, (_, usd)| sum.saturating_add(*usd));
        let mut labels = Vec::with_capacity(3);
        if record.info.kind == Kind::Tool {
            labels.push(tool(record));
        }
        labels.extend(agent(record.info));
        self.spent(labels, FROM_TOOL, sum);
    }

    fn spent(&self, mut labels: Vec<KeyValue>, source: &'static str, usd: Usd) {
        labels.push(attrs::text(attrs::COST_SOURCE, source));
        self.instruments.cost.add(usd.as_f64(), &labels);
        self.instruments
            .operation_cost
            .record(usd.as_f64(), &labels);
    }

    fn agent_run(&self, record: &OperationRecord<'_>) {
        let set = &self.instruments;
        let mut labels = Vec::with_capacity(2);
        labels.push(attrs::text(attrs::AGENT_NAME, record.info.name.clone()));
        let (model_calls, tool_calls) = (
            record.totals.own_model_calls.into(),
            record.totals.own_tool_calls.into(),
        );
        set.agent_inference_calls.record(model_calls, &labels);
        set.agent_tool_calls.record(tool_calls, &labels);
        labels.extend(error_type(record).map(|class| attrs::text(attrs::ERROR_TYPE, class)));
        set.agent_duration
            .record(record.duration.as_secs_f64(), &labels);
    }

    fn tool_call(&self, record: &OperationRecord<'_>) {
        let mut labels = Vec::with_capacity(4);
        labels.push(tool(record));
        labels.push(attrs::text(attrs::TOOL_TYPE, "function"));
        labels.extend(agent(record.info));
        labels.extend(error_type(record).map(|class| attrs::text(attrs::ERROR_TYPE, class)));
        let seconds = record.duration.as_secs_f64();
        self.instruments.tool_duration.record(seconds, &labels);
    }

    fn workflow(&self, record: &OperationRecord<'_>) {
        let mut labels = Vec::with_capacity(2);
        labels.push(attrs::text(attrs::WORKFLOW_NAME, record.info.name.clone()));
        labels.extend(error_type(record).map(|class| attrs::text(attrs::ERROR_TYPE, class)));
        let seconds = record.duration.as_secs_f64();
        self.instruments.workflow_duration.record(seconds, &labels);
    }
}

impl Observer for MetricsObserver {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        self.active(operation, 1);
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        self.active(record.info, -1);
        match record.info.kind {
            Kind::Chat | Kind::Embeddings => {
                self.request(record);
                self.cost(record);
            }
            Kind::Agent => self.agent_run(record),
            Kind::Tool => self.tool_call(record),
            Kind::Workflow => self.workflow(record),
            _ => {}
        }
        if !record.facts.charges.is_empty() {
            self.charges(record);
        }
    }
}

/// The labels that every metric of a model request has.
fn request_labels(record: &OperationRecord<'_>) -> Vec<KeyValue> {
    let mut labels = Vec::with_capacity(7);
    let kind = record.info.kind.span_name();
    labels.push(attrs::text(attrs::OPERATION_NAME, kind));
    let Some(model) = record.info.model() else {
        return labels;
    };
    labels.push(attrs::text(attrs::PROVIDER_NAME, model.provider.clone()));
    labels.push(attrs::text(attrs::REQUEST_MODEL, model.model.clone()));
    let answered = record.facts.response_model.clone();
    labels.extend(answered.map(|model| attrs::text(attrs::RESPONSE_MODEL, model)));
    let address = model.server_address.clone();
    labels.extend(address.map(|address| attrs::text(attrs::SERVER_ADDRESS, address)));
    let port = model.server_port;
    labels.extend(port.map(|port| attrs::int(attrs::SERVER_PORT, port.into())));
    labels
}

fn agent(info: &OperationInfo) -> Option<KeyValue> {
    let name = info.agent.clone()?;
    Some(attrs::text(attrs::AGENT_NAME, name))
}

fn tool(record: &OperationRecord<'_>) -> KeyValue {
    let error = record.facts.error.as_ref();
    if error.is_some_and(|error| error.class == "unknown_tool") {
        attrs::text(attrs::TOOL_NAME, OTHER)
    } else {
        attrs::text(attrs::TOOL_NAME, record.info.name.clone())
    }
}

fn chunks(chunks: &Chunks, record: &OperationRecord<'_>, labels: &[KeyValue]) {
    let facts = record.facts;
    if let Some(first) = facts.first_chunk {
        chunks.first.record(first.as_secs_f64(), labels);
    }
    if !facts.chunk_gaps_us.is_empty() {
        // One look-up for all of them: a long answer has thousands.
        let series = chunks.gap.bind(labels);
        for micros in &facts.chunk_gaps_us {
            series.record(f64::from(*micros) / 1e6);
        }
    }
}
