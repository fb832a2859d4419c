//! Every attribute name, and the only place that builds a [`KeyValue`].
//!
//! The names under `gen_ai.*` and `openai.*` follow the OpenTelemetry GenAI conventions:
//! `open-telemetry/semantic-conventions-genai` at commit `ac48b1f9df15fdf281b96cccf15eb707e1fc1868`
//! (October 2026, after its pull request 521); it has no release yet. Names marked "v1.41" are those of
//! `open-telemetry/semantic-conventions` v1.41.1, the last tagged text, and leave under
//! [`EmissionProfile::V1_41`](crate::EmissionProfile::V1_41) and `Both`. Names of our own are under
//! `agent_sdk.*`; the exception is the de-facto cost pair [`USAGE_COST`] and [`OPERATION_COST`].
//!
//! Whole numbers are `i64` and never text, so that back ends can add them up.

use opentelemetry::{Array, KeyValue, StringValue, Value};

/// The schema of the newest names, which the scope carries under [`EmissionProfile::Latest`](crate::EmissionProfile::Latest).
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev";

macro_rules! names {
    ($($id:ident = $name:literal;)*) => {
        $(#[doc = concat!("`", $name, "`")] pub const $id: &str = $name;)*

        /// Every attribute name that the bridge can emit.
        pub const ALL: &[&str] = &[$($id),*];
    };
}

names! {
    OPERATION_NAME = "gen_ai.operation.name";
    PROVIDER_NAME = "gen_ai.provider.name";
    CONVERSATION_ID = "gen_ai.conversation.id";
    CONVERSATION_COMPACTED = "gen_ai.conversation.compacted";
    OUTPUT_TYPE = "gen_ai.output.type";
    DATA_SOURCE_ID = "gen_ai.data_source.id";
    PROMPT_NAME = "gen_ai.prompt.name";
    PROMPT_VERSION = "gen_ai.prompt.version";

    REQUEST_MODEL = "gen_ai.request.model";
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens";
    REQUEST_TEMPERATURE = "gen_ai.request.temperature";
    REQUEST_TOP_P = "gen_ai.request.top_p";
    REQUEST_TOP_K = "gen_ai.request.top_k";
    REQUEST_SEED = "gen_ai.request.seed";
    REQUEST_STREAM = "gen_ai.request.stream";
    REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count";
    REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences";
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty";
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty";
    REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level";
    REQUEST_PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id";
    REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats";

    RESPONSE_ID = "gen_ai.response.id";
    RESPONSE_MODEL = "gen_ai.response.model";
    RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons";
    RESPONSE_STATUS = "gen_ai.response.status";
    RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk";

    USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens";
    USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
    USAGE_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens";
    USAGE_CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens";
    USAGE_CACHE_CREATION_TOKENS_V1_41 = "gen_ai.usage.cache_creation.input_tokens";
    USAGE_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens";
    USAGE_COST = "gen_ai.usage.cost";
    OPERATION_COST = "operation.cost";
    TOKEN_TYPE_V1_41 = "gen_ai.token.type";
    TOKEN_MODALITY = "gen_ai.token.modality";

    AGENT_NAME = "gen_ai.agent.name";
    AGENT_ID = "gen_ai.agent.id";
    AGENT_DESCRIPTION = "gen_ai.agent.description";
    AGENT_VERSION = "gen_ai.agent.version";
    WORKFLOW_NAME = "gen_ai.workflow.name";
    TOOL_NAME = "gen_ai.tool.name";
    TOOL_TYPE = "gen_ai.tool.type";
    TOOL_DESCRIPTION = "gen_ai.tool.description";
    TOOL_CALL_ID = "gen_ai.tool.call.id";
    TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments";
    TOOL_CALL_RESULT = "gen_ai.tool.call.result";
    TOOL_DEFINITIONS = "gen_ai.tool.definitions";
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions";
    INPUT_MESSAGES = "gen_ai.input.messages";
    OUTPUT_MESSAGES = "gen_ai.output.messages";

    EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count";
    RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k";
    RETRIEVAL_QUERY_TEXT = "gen_ai.retrieval.query.text";
    RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents";
    MEMORY_STORE_ID = "gen_ai.memory.store.id";
    MEMORY_RECORD_ID = "gen_ai.memory.record.id";
    MEMORY_RECORD_COUNT = "gen_ai.memory.record.count";

    OPENAI_API_TYPE = "openai.api.type";
    OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier";
    OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier";
    OPENAI_RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint";

    SERVICE_NAME = "service.name";
    SERVER_ADDRESS = "server.address";
    SERVER_PORT = "server.port";
    ERROR_TYPE = "error.type";
    HTTP_REQUEST_METHOD = "http.request.method";
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count";
    URL_FULL = "url.full";
    OPENINFERENCE_SPAN_KIND = "openinference.span.kind";
    SESSION_ID = "session.id";
    USER_ID = "user.id";

    RUN_ID = "agent_sdk.run.id";
    AGENT_TYPE = "agent_sdk.agent.type";
    OUTCOME = "agent_sdk.outcome";
    CRITICAL_PATH = "agent_sdk.critical_path";
    BOTTLENECK = "agent_sdk.bottleneck";
    STEP_ID = "agent_sdk.step.id";
    STEP_NAME = "agent_sdk.step.name";
    STEP_ATTEMPT = "agent_sdk.step.attempt";
    STEP_KIND = "agent_sdk.step.kind";
    PLAN_NAME = "agent_sdk.plan.name";
    COST_SOURCE = "agent_sdk.cost.source";
    COST_PRICE_SNAPSHOT = "agent_sdk.cost.price_snapshot";
    COST_ESTIMATED = "agent_sdk.cost.estimated";
    COST_TOTAL_USD = "agent_sdk.cost.total_usd";
    COST_UNPRICED_CALLS = "agent_sdk.cost.unpriced_calls";
    TOTAL_INPUT_TOKENS = "agent_sdk.usage.input_tokens";
    TOTAL_OUTPUT_TOKENS = "agent_sdk.usage.output_tokens";
    TOTAL_CACHE_READ_TOKENS = "agent_sdk.usage.cache_read.input_tokens";
    TOTAL_CACHE_WRITE_TOKENS = "agent_sdk.usage.cache_write.input_tokens";
    TOTAL_REASONING_TOKENS = "agent_sdk.usage.reasoning.output_tokens";
    BUDGET_NAME = "agent_sdk.budget.name";
    BUDGET_LIMIT_USD = "agent_sdk.budget.limit_usd";
    BUDGET_COMMITTED_USD = "agent_sdk.budget.committed_usd";
    BUDGET_REMAINING_USD = "agent_sdk.budget.remaining_usd";
    BUDGET_ALERT = "agent_sdk.budget.alert";
    BREAKER_NAME = "agent_sdk.breaker.name";
    TOOL_ATTEMPT = "agent_sdk.tool.attempt";
    TOOL_QUEUE_MS = "agent_sdk.tool.queue_ms";
    TOOL_CACHED = "agent_sdk.tool.cached";
    TOOL_COALESCED = "agent_sdk.tool.coalesced";
    TOOL_FALLBACK_FOR = "agent_sdk.tool.fallback_for";
    CHAT_ATTEMPTS = "agent_sdk.chat.attempts";
    CHAT_QUEUE_MS = "agent_sdk.chat.queue_ms";
    CHAT_CACHED = "agent_sdk.chat.cached";
    CHAT_FALLBACK_FOR = "agent_sdk.chat.fallback_for";
    CHAT_FALLBACK_REASON = "agent_sdk.chat.fallback_reason";
    CHAT_HEDGE_FOR = "agent_sdk.chat.hedge_for";
    CHAT_STREAM_OF_WHOLE = "agent_sdk.chat.stream_of_whole";
    CHAT_WEB_SEARCHES = "agent_sdk.chat.web_search_requests";
    PENDING = "agent_sdk.pending";
    PENDING_PARENT_ID = "agent_sdk.pending.parent_id";
    CRASHED = "agent_sdk.crashed";
    CRASH_REASON = "agent_sdk.crash.reason";
    CONTENT_INPUT_REF = "agent_sdk.content.input_ref";
    CONTENT_INSTRUCTIONS_REF = "agent_sdk.content.instructions_ref";
    CONTENT_OUTPUT_REF = "agent_sdk.content.output_ref";
    CONTENT_ARGUMENTS_REF = "agent_sdk.content.arguments_ref";
    CONTENT_RESULT_REF = "agent_sdk.content.result_ref";
    OPERATION_KIND = "agent_sdk.operation.kind";
    OPERATION_PATH = "agent_sdk.operation.path";
    PROPAGATION_HEADER = "agent_sdk.propagation.header";
    SIGNAL = "agent_sdk.signal";
    TAIL_SAMPLING_REASON = "agent_sdk.tail_sampling.reason";
}

/// What stands before the key of a user's tag: the tag `team` leaves as `agent_sdk.tag.team`.
pub const TAG_PREFIX: &str = "agent_sdk.tag.";

/// An attribute with text.
///
/// # Example
///
/// ```
/// use agent_sdk_otel::attrs;
///
/// let model = attrs::text(attrs::REQUEST_MODEL, "gpt-5");
/// assert_eq!(model.key.as_str(), "gen_ai.request.model");
/// ```
pub fn text(name: &'static str, value: impl Into<StringValue>) -> KeyValue {
    any(name, Value::String(value.into()))
}

/// An attribute with a whole number.
pub fn int(name: &'static str, value: i64) -> KeyValue {
    any(name, Value::I64(value))
}

/// An attribute with a count; a count that an `i64` cannot hold becomes the largest one it can.
pub fn count(name: &'static str, value: u64) -> KeyValue {
    int(name, i64::try_from(value).unwrap_or(i64::MAX))
}

/// An attribute with a fraction.
pub fn float(name: &'static str, value: f64) -> KeyValue {
    any(name, Value::F64(value))
}

/// An attribute with a truth value.
pub fn flag(name: &'static str, value: bool) -> KeyValue {
    any(name, Value::Bool(value))
}

/// An attribute with a list of texts.
pub fn texts<T: Into<StringValue>>(
    name: &'static str,
    values: impl IntoIterator<Item = T>,
) -> KeyValue {
    let values = values.into_iter().map(Into::into).collect();
    any(name, Value::Array(Array::String(values)))
}

/// An attribute whose name the user chose, such as a tag or a resource attribute.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is where attributes are built"
)]
pub fn custom(name: impl Into<opentelemetry::Key>, value: impl Into<Value>) -> KeyValue {
    KeyValue::new(name, value)
}

fn any(name: &'static str, value: Value) -> KeyValue {
    custom(opentelemetry::Key::from_static_str(name), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = ALL.iter().collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn nothing_of_ours_is_in_the_standard_namespace() {
        // Langfuse takes every numeric `gen_ai.usage.*` but this one for a token bucket.
        let odd: Vec<_> = ALL
            .iter()
            .filter(|name| name.starts_with("gen_ai.") && name.contains("cost"))
            .collect();
        assert_eq!(odd, [&USAGE_COST]);
    }

    #[test]
    fn a_count_is_a_number() {
        assert_eq!(
            count(USAGE_INPUT_TOKENS, u64::MAX).value,
            Value::I64(i64::MAX)
        );
        assert_eq!(
            texts(RESPONSE_FINISH_REASONS, ["stop"]).value,
            Value::Array(Array::String(vec!["stop".into()]))
        );
    }
}
