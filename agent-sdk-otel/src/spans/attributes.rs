//! The attributes of an operation.

use std::time::Duration;

use agent_sdk::budget::{Measure, Standing};
use agent_sdk::cost::{PriceSource, Usd};
use agent_sdk::model::Usage;
use agent_sdk::operation::{
    AgentDetails, AttemptDetails, ChatDetails, Details, EmbeddingDetails, Kind, Labels,
    OperationRecord, RunId, ToolDetails,
};

use super::contract;
use super::hex::hex;
use crate::attrs;
use crate::encode::AttributeSink;
use crate::profile::EmissionProfile;

/// How many operations of the critical path are named on the root.
const MAX_PATH: usize = 128;

/// The attributes that samplers see, the same that the core puts on its `tracing` span.
pub(crate) fn at_start(
    kind: Kind,
    name: &str,
    details: &Details,
    agent: Option<&str>,
    all: &mut impl AttributeSink,
) {
    match kind {
        Kind::Attempt => all.word(attrs::HTTP_REQUEST_METHOD, "POST"),
        Kind::Step => all.text(attrs::STEP_NAME, name),
        kind => some_word(attrs::OPERATION_NAME, details.operation_name(kind), all),
    }
    let model = details.model();
    match kind {
        Kind::Agent => {
            all.text(attrs::AGENT_NAME, name);
            if let Details::Agent(agent) = details {
                some_text(attrs::AGENT_TYPE, agent.agent_type.as_deref(), all);
            }
        }
        Kind::Tool => {
            all.text(attrs::TOOL_NAME, name);
            all.text(attrs::TOOL_TYPE, details.tool_type());
            some_text(attrs::AGENT_NAME, agent, all);
        }
        Kind::Workflow => all.text(attrs::WORKFLOW_NAME, name),
        Kind::Plan => all.text(attrs::AGENT_NAME, name),
        Kind::Retrieval => all.text(attrs::DATA_SOURCE_ID, name),
        Kind::Chat | Kind::Embeddings => {
            let provider = model.map(|model| &*model.provider);
            some_text(attrs::PROVIDER_NAME, provider, all);
            all.text(attrs::REQUEST_MODEL, name);
        }
        _ => {}
    }
    if let Some(model) = model {
        some_text(attrs::SERVER_ADDRESS, model.server_address.as_deref(), all);
        some_int(attrs::SERVER_PORT, model.server_port, all);
    }
}

/// All attributes but those that the span had from its start.
pub(crate) fn at_end(
    record: &OperationRecord<'_>,
    profile: EmissionProfile,
    all: &mut impl AttributeSink,
) {
    outcome(record, all);
    of_run(&record.info.run_id, &record.info.labels, all);
    of_kind(&record.info.details, all);
    of_end(record, profile, all);
}

/// How it ended.
pub(super) fn outcome(record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    all.word(attrs::OUTCOME, record.outcome.as_str());
}

/// What is the same in a whole run.
pub(crate) fn of_run(run: &RunId, labels: &Labels, all: &mut impl AttributeSink) {
    all.text(attrs::RUN_ID, run.as_str());
    let conversation = labels
        .conversation
        .as_ref()
        .map(agent_sdk::message::ConversationId::as_str);
    some_text(attrs::CONVERSATION_ID, conversation, all);
    some_text(attrs::SESSION_ID, labels.session.as_deref(), all);
    some_text(attrs::USER_ID, labels.user.as_deref(), all);
    for (key, value) in &labels.tags {
        all.text(&format!("{}{key}", attrs::TAG_PREFIX), value);
    }
}

/// What an agent or a tool always says beside what samplers see.
pub(super) fn of_kind(details: &Details, all: &mut impl AttributeSink) {
    match details {
        Details::Agent(agent) => of_agent(agent, all),
        Details::Tool(tool) => {
            some_text(attrs::TOOL_DESCRIPTION, tool.description.as_deref(), all);
        }
        _ => {}
    }
}

/// What is only known at the end, or is of this one operation.
pub(super) fn of_end(
    record: &OperationRecord<'_>,
    profile: EmissionProfile,
    all: &mut impl AttributeSink,
) {
    let info = record.info;
    if let Some(class) = error_type(record) {
        all.text(attrs::ERROR_TYPE, &class);
    }
    match &info.details {
        Details::Chat(chat) => of_request(chat, record, profile, all),
        Details::Embeddings(embeddings) => of_embeddings(embeddings, all),
        Details::Attempt(attempt) => of_attempt(attempt, record, all),
        Details::Tool(tool) => of_tool(tool, record, all),
        Details::Step(step) => contract::of_step(step, all),
        Details::Retrieval(retrieval) => contract::of_retrieval(retrieval, all),
        Details::Memory(memory) => contract::of_memory(memory, record, all),
        _ => {}
    }
    if info.kind.is_priced() {
        of_answer(record, profile, all);
        of_layers(record, all);
    }
    if matches!(info.kind, Kind::Agent | Kind::Workflow) {
        totals(record, all);
        if let Some(standing) = &record.facts.budget {
            of_budget(standing, all);
        }
    }
    if info.parent.is_none() {
        where_time_went(record, all);
    }
}

pub(super) fn some_word(name: &str, value: Option<&'static str>, all: &mut impl AttributeSink) {
    if let Some(value) = value {
        all.word(name, value);
    }
}

pub(super) fn some_text(name: &str, value: Option<&str>, all: &mut impl AttributeSink) {
    if let Some(value) = value {
        all.text(name, value);
    }
}

pub(super) fn some_int(name: &str, value: Option<impl Into<i64>>, all: &mut impl AttributeSink) {
    if let Some(value) = value {
        all.int(name, value.into());
    }
}

fn some_float(name: &str, value: Option<f64>, all: &mut impl AttributeSink) {
    if let Some(value) = value {
        all.float(name, value);
    }
}

pub(super) fn some_count(name: &str, value: Option<u64>, all: &mut impl AttributeSink) {
    if let Some(value) = value {
        all.count(name, value);
    }
}

pub(super) fn if_so(name: &str, holds: bool, all: &mut impl AttributeSink) {
    if holds {
        all.flag(name, true);
    }
}

/// The class of a failure, or how else it ended where nobody said why.
pub(crate) fn error_type(record: &OperationRecord<'_>) -> Option<std::borrow::Cow<'static, str>> {
    record.outcome.is_failure().then(|| {
        let failure = record.facts.error.as_ref();
        failure.map_or(record.outcome.as_str().into(), |failure| {
            failure.class.clone()
        })
    })
}

fn of_agent(agent: &AgentDetails, all: &mut impl AttributeSink) {
    some_text(attrs::AGENT_DESCRIPTION, agent.description.as_deref(), all);
    let model = agent.model.as_deref().map(|model| &*model.model);
    some_text(attrs::REQUEST_MODEL, model, all);
    if agent.json_output {
        all.word(attrs::OUTPUT_TYPE, "json");
    }
}

fn of_request(
    chat: &ChatDetails,
    record: &OperationRecord<'_>,
    profile: EmissionProfile,
    all: &mut impl AttributeSink,
) {
    let settings = &*chat.settings;
    for (name, value) in [
        (attrs::REQUEST_TEMPERATURE, settings.temperature),
        (attrs::REQUEST_TOP_P, settings.top_p),
        (attrs::REQUEST_FREQUENCY_PENALTY, settings.frequency_penalty),
        (attrs::REQUEST_PRESENCE_PENALTY, settings.presence_penalty),
    ] {
        some_float(name, value, all);
    }
    some_int(attrs::REQUEST_TOP_K, settings.top_k, all);
    // A budget may have set a length where the request had none, or cut the one that it had.
    let longest = record.facts.budget_max_tokens;
    let longest = longest.or(settings.max_output_tokens);
    some_int(attrs::REQUEST_MAX_TOKENS, longest, all);
    some_int(attrs::REQUEST_SEED, settings.seed, all);
    if !settings.stop.is_empty() {
        let stop: Vec<_> = settings.stop.iter().map(AsRef::as_ref).collect();
        all.texts(attrs::REQUEST_STOP_SEQUENCES, &stop);
    }
    if let (true, Some(effort)) = (profile.latest(), &settings.reasoning_effort) {
        all.text(attrs::REQUEST_REASONING_LEVEL, effort);
    }
    if_so(attrs::REQUEST_STREAM, chat.stream, all);
    contract::of_request(chat, record, profile, all);
    if chat.json_output {
        all.word(attrs::OUTPUT_TYPE, "json");
    }
}

fn of_embeddings(embeddings: &EmbeddingDetails, all: &mut impl AttributeSink) {
    some_int(
        attrs::EMBEDDINGS_DIMENSION_COUNT,
        embeddings.dimensions,
        all,
    );
    if let Some(encoding) = embeddings.encoding {
        all.texts(attrs::REQUEST_ENCODING_FORMATS, &[encoding]);
    }
}

fn of_answer(record: &OperationRecord<'_>, profile: EmissionProfile, all: &mut impl AttributeSink) {
    let facts = record.facts;
    some_text(attrs::RESPONSE_ID, facts.response_id.as_deref(), all);
    some_text(attrs::RESPONSE_MODEL, facts.response_model.as_deref(), all);
    match facts.finish_reasons.as_slice() {
        [] => {}
        [reason] => all.texts(attrs::RESPONSE_FINISH_REASONS, &[reason.as_str()]),
        reasons => {
            let reasons: Vec<_> = reasons
                .iter()
                .map(agent_sdk::model::FinishReason::as_str)
                .collect();
            all.texts(attrs::RESPONSE_FINISH_REASONS, &reasons);
        }
    }
    let first = facts.first_chunk.map(|first| first.as_secs_f64());
    some_float(attrs::RESPONSE_TIME_TO_FIRST_CHUNK, first, all);
    usage(&facts.usage, &OWN, profile, all);
    if let Some(cost) = record.cost {
        let usd = cost.total.as_f64();
        all.float(attrs::USAGE_COST, usd);
        all.float(attrs::OPERATION_COST, usd);
        some_text(attrs::COST_PRICE_SNAPSHOT, cost.snapshot.as_deref(), all);
        if_so(attrs::COST_ESTIMATED, cost.estimated, all);
    }
    let searches = facts.usage.web_search_requests.filter(|count| *count > 0);
    some_count(attrs::CHAT_WEB_SEARCHES, searches, all);
    // Of a request that is known to have cost nothing there is no price to know.
    let source = match record.cost {
        Some(cost) => Some(cost.source),
        None => record.is_unpriced().then_some(PriceSource::Unknown),
    };
    let source = source.map(agent_sdk::cost::PriceSource::as_str);
    some_word(attrs::COST_SOURCE, source, all);
}

/// What the layers around a model did.
fn of_layers(record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    let facts = record.facts;
    let tries = facts.attempts.filter(|tries| *tries > 1);
    some_int(attrs::CHAT_ATTEMPTS, tries, all);
    some_millis(attrs::CHAT_QUEUE_MS, facts.queued, all);
    if_so(attrs::CHAT_CACHED, facts.cached, all);
    if_so(attrs::CHAT_STREAM_OF_WHOLE, facts.stream_of_whole, all);
    some_text(attrs::CHAT_FALLBACK_FOR, facts.fallback_for.as_deref(), all);
    some_text(attrs::CHAT_HEDGE_FOR, facts.hedge_for.as_deref(), all);
    some_word(attrs::CHAT_FALLBACK_REASON, facts.fallback_reason, all);
}

fn of_attempt(
    attempt: &AttemptDetails,
    record: &OperationRecord<'_>,
    all: &mut impl AttributeSink,
) {
    some_int(
        attrs::HTTP_RESPONSE_STATUS_CODE,
        record.facts.http_status,
        all,
    );
    if attempt.number > 1 {
        let resent = i64::from(attempt.number) - 1;
        all.int(attrs::HTTP_REQUEST_RESEND_COUNT, resent);
    }
}

fn of_tool(tool: &ToolDetails, record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    let id = tool
        .call_id
        .as_ref()
        .map(agent_sdk::message::CallId::as_str);
    some_text(attrs::TOOL_CALL_ID, id, all);
    some_millis(attrs::TOOL_QUEUE_MS, record.facts.queued, all);
    some_int(attrs::TOOL_ATTEMPT, record.facts.attempts, all);
    if_so(attrs::TOOL_CACHED, record.facts.cached, all);
    if_so(attrs::TOOL_COALESCED, record.facts.coalesced, all);
    some_text(
        attrs::TOOL_FALLBACK_FOR,
        record.facts.fallback_for.as_deref(),
        all,
    );
}

fn some_millis(name: &str, time: Option<Duration>, all: &mut impl AttributeSink) {
    if let Some(time) = time {
        all.count(name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
}

/// The names of one set of token counts.
struct UsageNames {
    input: &'static str,
    output: &'static str,
    cache_read: &'static str,
    cache_write: &'static str,
    /// The same as `cache_write`, as v1.41 calls it.
    cache_creation: Option<&'static str>,
    reasoning: &'static str,
}

/// What a request used itself.
const OWN: UsageNames = UsageNames {
    input: attrs::USAGE_INPUT_TOKENS,
    output: attrs::USAGE_OUTPUT_TOKENS,
    cache_read: attrs::USAGE_CACHE_READ_TOKENS,
    cache_write: attrs::USAGE_CACHE_WRITE_TOKENS,
    cache_creation: Some(attrs::USAGE_CACHE_CREATION_TOKENS_V1_41),
    reasoning: attrs::USAGE_REASONING_TOKENS,
};

/// Sums, never under the names that back ends add up.
const TOTAL: UsageNames = UsageNames {
    input: attrs::TOTAL_INPUT_TOKENS,
    output: attrs::TOTAL_OUTPUT_TOKENS,
    cache_read: attrs::TOTAL_CACHE_READ_TOKENS,
    cache_write: attrs::TOTAL_CACHE_WRITE_TOKENS,
    cache_creation: None,
    reasoning: attrs::TOTAL_REASONING_TOKENS,
};

fn usage(
    usage: &Usage,
    names: &UsageNames,
    profile: EmissionProfile,
    all: &mut impl AttributeSink,
) {
    some_count(names.input, usage.input_tokens, all);
    some_count(names.output, usage.output_tokens, all);
    let used = |tokens: Option<u64>| tokens.filter(|tokens| *tokens > 0);
    some_count(names.cache_read, used(usage.cache_read_tokens), all);
    let written = used(usage.cache_write_tokens);
    if names.cache_creation.is_none() || profile.latest() {
        some_count(names.cache_write, written, all);
    }
    if let Some(twin) = names.cache_creation.filter(|_| profile.v1_41()) {
        some_count(twin, written, all);
    }
    some_count(names.reasoning, used(usage.reasoning_tokens), all);
}

fn totals(record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    let totals = record.totals;
    usage(&totals.usage, &TOTAL, EmissionProfile::Latest, all);
    let unpriced = i64::from(totals.unpriced_calls);
    let usd = totals.cost.as_f64();
    // Nothing spent and not knowing what was spent are two things.
    if unpriced == 0 || usd > 0.0 {
        all.float(attrs::COST_TOTAL_USD, usd);
    }
    if unpriced > 0 {
        all.int(attrs::COST_UNPRICED_CALLS, unpriced);
    }
}

/// How the budget stands that is nearest to its cap.
fn of_budget(standing: &Standing, all: &mut impl AttributeSink) {
    all.text(attrs::BUDGET_NAME, &standing.budget);
    let left = standing.left(Measure::Usd).map(Usd::from_nanos);
    for (name, usd) in [
        (attrs::BUDGET_LIMIT_USD, standing.caps.usd),
        (attrs::BUDGET_COMMITTED_USD, Some(standing.committed.usd)),
        (attrs::BUDGET_REMAINING_USD, left),
    ] {
        some_float(name, usd.map(agent_sdk::cost::Usd::as_f64), all);
    }
}

fn where_time_went(record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    let Some(profile) = record.profile else {
        return;
    };
    let mut path = Vec::new();
    for segment in profile.critical_path() {
        let id = hex(segment.span_id);
        if path.len() < MAX_PATH && !path.contains(&id) {
            path.push(id);
        }
    }
    if path.is_empty() {
        return;
    }
    all.span_ids(attrs::CRITICAL_PATH, &path);
    all.text(attrs::BOTTLENECK, profile.bottleneck());
}
