//! The attributes of a finished operation.

use std::fmt::Write;
use std::time::Duration;

use agent_sdk::budget::{Measure, Standing};
use agent_sdk::cost::{PriceSource, Usd};
use agent_sdk::model::Usage;
use agent_sdk::operation::{
    AgentDetails, AttemptDetails, ChatDetails, Details, EmbeddingDetails, Kind, OperationRecord,
    ToolDetails,
};
use opentelemetry::KeyValue;

use crate::attrs;
use crate::profile::EmissionProfile;

/// How many operations of the critical path are named on the root.
const MAX_PATH: usize = 128;

/// All attributes but those that the span had from its start.
pub(super) fn of(record: &OperationRecord<'_>, profile: EmissionProfile) -> Vec<KeyValue> {
    let info = record.info;
    let mut all = Vec::with_capacity(24);
    all.push(attrs::text(attrs::RUN_ID, info.run_id.as_str().to_owned()));
    all.push(attrs::text(attrs::OUTCOME, record.outcome.as_str()));
    labels(record, &mut all);
    if let Some(class) = error_type(record) {
        all.push(attrs::text(attrs::ERROR_TYPE, class));
    }
    match &info.details {
        Details::Agent(agent) => of_agent(agent, &mut all),
        Details::Chat(chat) => of_request(chat, record, profile, &mut all),
        Details::Embeddings(embeddings) => of_embeddings(embeddings, &mut all),
        Details::Attempt(attempt) => of_attempt(attempt, record, &mut all),
        Details::Tool(tool) => of_tool(tool, record, &mut all),
        _ => {}
    }
    if info.kind.is_priced() {
        of_answer(record, profile, &mut all);
        of_layers(record, &mut all);
    }
    if matches!(info.kind, Kind::Agent | Kind::Workflow) {
        totals(record, &mut all);
        if let Some(standing) = &record.facts.budget {
            of_budget(standing, &mut all);
        }
    }
    if info.parent.is_none() {
        where_time_went(record, &mut all);
    }
    all
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

fn labels(record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let labels = &record.info.labels;
    let conversation = labels.conversation.as_ref();
    all.extend(conversation.map(|id| attrs::text(attrs::CONVERSATION_ID, id.as_str().to_owned())));
    let session = labels.session.clone();
    all.extend(session.map(|id| attrs::text(attrs::SESSION_ID, id)));
    let user = labels.user.clone();
    all.extend(user.map(|id| attrs::text(attrs::USER_ID, id)));
    for (key, value) in &labels.tags {
        let name = format!("{}{key}", attrs::TAG_PREFIX);
        all.push(attrs::custom(name, value.clone()));
    }
}

fn of_agent(agent: &AgentDetails, all: &mut Vec<KeyValue>) {
    let description = agent.description.clone();
    all.extend(description.map(|words| attrs::text(attrs::AGENT_DESCRIPTION, words)));
    if agent.json_output {
        all.push(attrs::text(attrs::OUTPUT_TYPE, "json"));
    }
}

fn of_request(
    chat: &ChatDetails,
    record: &OperationRecord<'_>,
    profile: EmissionProfile,
    all: &mut Vec<KeyValue>,
) {
    let settings = &*chat.settings;
    let floats = [
        (attrs::REQUEST_TEMPERATURE, settings.temperature),
        (attrs::REQUEST_TOP_P, settings.top_p),
        (attrs::REQUEST_FREQUENCY_PENALTY, settings.frequency_penalty),
        (attrs::REQUEST_PRESENCE_PENALTY, settings.presence_penalty),
    ];
    for (name, value) in floats {
        all.extend(value.map(|value| attrs::float(name, value)));
    }
    let top_k = settings.top_k;
    all.extend(top_k.map(|k| attrs::int(attrs::REQUEST_TOP_K, k.into())));
    // A budget may have set a length where the request had none, or cut the one that it had.
    let longest = record.facts.budget_max_tokens;
    let longest = longest.or(settings.max_output_tokens);
    all.extend(longest.map(|tokens| attrs::int(attrs::REQUEST_MAX_TOKENS, tokens.into())));
    all.extend(
        settings
            .seed
            .map(|seed| attrs::int(attrs::REQUEST_SEED, seed)),
    );
    if !settings.stop.is_empty() {
        let stop = settings.stop.iter().cloned();
        all.push(attrs::texts(attrs::REQUEST_STOP_SEQUENCES, stop));
    }
    if let (true, Some(effort)) = (profile.latest(), &settings.reasoning_effort) {
        all.push(attrs::text(attrs::REQUEST_REASONING_LEVEL, effort.clone()));
    }
    if chat.stream {
        all.push(attrs::flag(attrs::REQUEST_STREAM, true));
    }
    if chat.json_output {
        all.push(attrs::text(attrs::OUTPUT_TYPE, "json"));
    }
}

fn of_embeddings(embeddings: &EmbeddingDetails, all: &mut Vec<KeyValue>) {
    let dimensions = embeddings.dimensions.map(i64::from);
    all.extend(dimensions.map(|count| attrs::int(attrs::EMBEDDINGS_DIMENSION_COUNT, count)));
    let encoding = embeddings.encoding;
    all.extend(encoding.map(|name| attrs::texts(attrs::REQUEST_ENCODING_FORMATS, [name])));
}

fn of_answer(record: &OperationRecord<'_>, profile: EmissionProfile, all: &mut Vec<KeyValue>) {
    let facts = record.facts;
    let id = facts.response_id.clone();
    all.extend(id.map(|id| attrs::text(attrs::RESPONSE_ID, id)));
    let model = facts.response_model.clone();
    all.extend(model.map(|model| attrs::text(attrs::RESPONSE_MODEL, model)));
    if !facts.finish_reasons.is_empty() {
        let reasons = facts.finish_reasons.iter();
        let reasons = reasons.map(|reason| reason.as_str().to_owned());
        all.push(attrs::texts(attrs::RESPONSE_FINISH_REASONS, reasons));
    }
    all.extend(
        facts
            .first_chunk
            .map(|first| attrs::float(attrs::RESPONSE_TIME_TO_FIRST_CHUNK, first.as_secs_f64())),
    );
    usage(&facts.usage, &OWN, profile, all);
    if let Some(cost) = record.cost {
        let usd = cost.total.as_f64();
        all.push(attrs::float(attrs::USAGE_COST, usd));
        all.push(attrs::float(attrs::OPERATION_COST, usd));
        let snapshot = cost.snapshot.clone();
        all.extend(snapshot.map(|date| attrs::text(attrs::COST_PRICE_SNAPSHOT, date)));
        if cost.estimated {
            all.push(attrs::flag(attrs::COST_ESTIMATED, true));
        }
    }
    let searches = facts.usage.web_search_requests.filter(|count| *count > 0);
    all.extend(searches.map(|count| attrs::count(attrs::CHAT_WEB_SEARCHES, count)));
    // Of a request that is known to have cost nothing there is no price to know.
    let source = match record.cost {
        Some(cost) => Some(cost.source),
        None => record.is_unpriced().then_some(PriceSource::Unknown),
    };
    all.extend(source.map(|source| attrs::text(attrs::COST_SOURCE, source.as_str())));
}

/// What the layers around a model did.
fn of_layers(record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let facts = record.facts;
    let tries = facts.attempts.filter(|tries| *tries > 1);
    all.extend(tries.map(|tries| attrs::int(attrs::CHAT_ATTEMPTS, tries.into())));
    all.extend(
        facts
            .queued
            .map(|queued| millis(attrs::CHAT_QUEUE_MS, queued)),
    );
    for (name, holds) in [
        (attrs::CHAT_CACHED, facts.cached),
        (attrs::CHAT_STREAM_OF_WHOLE, facts.stream_of_whole),
    ] {
        all.extend(holds.then(|| attrs::flag(name, true)));
    }
    let models = [
        (attrs::CHAT_FALLBACK_FOR, &facts.fallback_for),
        (attrs::CHAT_HEDGE_FOR, &facts.hedge_for),
    ];
    for (name, model) in models {
        all.extend(model.clone().map(|model| attrs::text(name, model)));
    }
    let reason = facts.fallback_reason;
    all.extend(reason.map(|reason| attrs::text(attrs::CHAT_FALLBACK_REASON, reason)));
}

fn of_attempt(attempt: &AttemptDetails, record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let status = record.facts.http_status;
    all.extend(status.map(|status| attrs::int(attrs::HTTP_RESPONSE_STATUS_CODE, status.into())));
    if attempt.number > 1 {
        let resent = i64::from(attempt.number) - 1;
        all.push(attrs::int(attrs::HTTP_REQUEST_RESEND_COUNT, resent));
    }
}

fn of_tool(tool: &ToolDetails, record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let id = tool.call_id.as_ref();
    all.extend(id.map(|id| attrs::text(attrs::TOOL_CALL_ID, id.as_str().to_owned())));
    let description = tool.description.clone();
    all.extend(description.map(|words| attrs::text(attrs::TOOL_DESCRIPTION, words)));
    let queued = record.facts.queued;
    all.extend(queued.map(|queued| millis(attrs::TOOL_QUEUE_MS, queued)));
}

fn millis(name: &'static str, time: Duration) -> KeyValue {
    attrs::count(name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
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

fn usage(usage: &Usage, names: &UsageNames, profile: EmissionProfile, all: &mut Vec<KeyValue>) {
    for (name, tokens) in [
        (names.input, usage.input_tokens),
        (names.output, usage.output_tokens),
    ] {
        all.extend(tokens.map(|tokens| attrs::count(name, tokens)));
    }
    let (newest, twin) = match names.cache_creation {
        Some(twin) => (profile.latest(), profile.v1_41().then_some(twin)),
        None => (true, None),
    };
    for (name, tokens) in [
        (Some(names.cache_read), usage.cache_read_tokens),
        (
            newest.then_some(names.cache_write),
            usage.cache_write_tokens,
        ),
        (twin, usage.cache_write_tokens),
        (Some(names.reasoning), usage.reasoning_tokens),
    ] {
        let tokens = tokens.filter(|tokens| *tokens > 0);
        all.extend(
            name.zip(tokens)
                .map(|(name, tokens)| attrs::count(name, tokens)),
        );
    }
}

fn totals(record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let totals = record.totals;
    usage(&totals.usage, &TOTAL, EmissionProfile::Latest, all);
    let unpriced = i64::from(totals.unpriced_calls);
    let usd = totals.cost.as_f64();
    // Nothing spent and not knowing what was spent are two things.
    if unpriced == 0 || usd > 0.0 {
        all.push(attrs::float(attrs::COST_TOTAL_USD, usd));
    }
    if unpriced > 0 {
        all.push(attrs::int(attrs::COST_UNPRICED_CALLS, unpriced));
    }
}

/// How the budget stands that is nearest to its cap.
fn of_budget(standing: &Standing, all: &mut Vec<KeyValue>) {
    all.push(attrs::text(attrs::BUDGET_NAME, standing.budget.clone()));
    let left = standing.left(Measure::Usd).map(Usd::from_nanos);
    for (name, usd) in [
        (attrs::BUDGET_LIMIT_USD, standing.caps.usd),
        (attrs::BUDGET_COMMITTED_USD, Some(standing.committed.usd)),
        (attrs::BUDGET_REMAINING_USD, left),
    ] {
        all.extend(usd.map(|usd| attrs::float(name, usd.as_f64())));
    }
}

fn where_time_went(record: &OperationRecord<'_>, all: &mut Vec<KeyValue>) {
    let Some(profile) = record.profile else {
        return;
    };
    let mut path = Vec::new();
    for segment in profile.critical_path() {
        if path.len() < MAX_PATH && !path.contains(&segment.span_id) {
            path.push(segment.span_id);
        }
    }
    if !path.is_empty() {
        let path = path.iter().map(|id| {
            let mut hex = String::with_capacity(16);
            let _ = write!(hex, "{id}");
            hex
        });
        all.push(attrs::texts(attrs::CRITICAL_PATH, path));
        let words = profile.bottleneck().to_owned();
        all.push(attrs::text(attrs::BOTTLENECK, words));
    }
}
