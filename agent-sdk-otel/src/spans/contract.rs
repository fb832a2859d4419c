//! The rarer attributes of the conventions.

use agent_sdk::operation::{
    ChatDetails, Kind, MemoryDetails, OperationRecord, RetrievalDetails, StepDetails,
};
use serde_json::Value;

use super::attributes::{if_so, some_count, some_int, some_text};
use crate::attrs;
use crate::encode::AttributeSink;
use crate::profile::EmissionProfile;

/// What a request says that most do not.
pub(super) fn of_request(
    chat: &ChatDetails,
    record: &OperationRecord<'_>,
    profile: EmissionProfile,
    all: &mut impl AttributeSink,
) {
    if let Some(prompt) = &chat.prompt {
        all.text(attrs::PROMPT_NAME, &prompt.name);
        if profile.latest() {
            some_text(attrs::PROMPT_VERSION, prompt.version.as_deref(), all);
        }
    }
    let compacted = record.info.labels.compacted;
    if_so(
        attrs::CONVERSATION_COMPACTED,
        compacted && profile.latest(),
        all,
    );
    let extra = &chat.settings.extra;
    if !extra.is_empty() {
        let number = |path: &[&str]| at(extra.get(*path.first()?)?, path.get(1..)?)?.as_i64();
        let choices = number(&["n"]).or_else(|| number(&["generationConfig", "candidateCount"]));
        some_int(
            attrs::REQUEST_CHOICE_COUNT,
            choices.filter(|count| *count != 1),
            all,
        );
        let earlier = extra.get("previous_response_id").and_then(Value::as_str);
        if profile.latest() {
            some_text(attrs::REQUEST_PREVIOUS_RESPONSE_ID, earlier, all);
        }
    }
    if is_openai(&chat.model.provider) {
        of_openai(chat, record, all);
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn is_openai(provider: &str) -> bool {
    provider == "openai" || provider == "azure.ai.openai"
}

fn of_openai(chat: &ChatDetails, record: &OperationRecord<'_>, all: &mut impl AttributeSink) {
    some_text(attrs::OPENAI_API_TYPE, chat.model.api_type, all);
    let tier = chat.settings.service_tier.as_deref();
    let tier = tier.filter(|tier| *tier != "auto");
    some_text(attrs::OPENAI_REQUEST_SERVICE_TIER, tier, all);
    let facts = record.facts;
    for (name, value) in [
        (attrs::OPENAI_RESPONSE_SERVICE_TIER, &facts.service_tier),
        (
            attrs::OPENAI_RESPONSE_SYSTEM_FINGERPRINT,
            &facts.system_fingerprint,
        ),
    ] {
        some_text(name, value.as_deref(), all);
    }
}

pub(super) fn of_step(step: &StepDetails, all: &mut impl AttributeSink) {
    some_text(attrs::STEP_ID, step.id.as_deref(), all);
    some_text(attrs::STEP_KIND, step.step_kind.as_deref(), all);
    some_int(attrs::STEP_ATTEMPT, step.attempt, all);
}

pub(super) fn of_retrieval(retrieval: &RetrievalDetails, all: &mut impl AttributeSink) {
    some_text(attrs::PROVIDER_NAME, retrieval.provider.as_deref(), all);
    some_int(attrs::RETRIEVAL_TOP_K, retrieval.top_k, all);
}

pub(super) fn of_memory(
    memory: &MemoryDetails,
    record: &OperationRecord<'_>,
    all: &mut impl AttributeSink,
) {
    some_text(attrs::PROVIDER_NAME, memory.provider.as_deref(), all);
    some_text(attrs::MEMORY_STORE_ID, memory.store.as_deref(), all);
    some_text(attrs::MEMORY_RECORD_ID, memory.record.as_deref(), all);
    some_count(attrs::MEMORY_RECORD_COUNT, record.facts.records, all);
}

/// What an operation is in the words of `OpenInference`.
pub(super) fn openinference(kind: Kind, all: &mut impl AttributeSink) {
    let word = match kind {
        Kind::Workflow | Kind::Step | Kind::Plan | Kind::Memory => "CHAIN",
        Kind::Agent => "AGENT",
        Kind::Chat => "LLM",
        Kind::Embeddings => "EMBEDDING",
        Kind::Retrieval => "RETRIEVER",
        Kind::Tool => "TOOL",
        _ => return,
    };
    all.text(attrs::OPENINFERENCE_SPAN_KIND, word);
}
