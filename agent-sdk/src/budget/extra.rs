//! What the fields that go into a request as they are do to the most that it can take.
//!
//! They are looked at where they stand and inside of objects: `max_tokens`, `options.num_predict`, `generationConfig.candidateCount`.

use serde_json::{Map, Value};

use super::{BudgetError, bound::unbounded};
use crate::model::ChatSettings;

/// How long an answer may be.
const LENGTHS: [&str; 6] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "maxTokens",
    "num_predict",
];

/// How many answers there are.
const COUNTS: [&str; 3] = ["n", "best_of", "candidateCount"];

/// What adds something to the input that does not stand in the request, or sends it to models whose prices are others.
const ADDITIONS: [&str; 9] = [
    "cachedContent",
    "conversation",
    "mcp_servers",
    "models",
    "plugins",
    "previous_response_id",
    "prompt",
    "tools",
    "web_search_options",
];

/// How many answers a request asks for.
///
/// # Errors
///
/// A field sets what the bound would then not see: a length, a number of answers that is none, or, unless the input `is_counted` by
/// somebody who knows, what is added to it.
pub(super) fn answers(settings: &ChatSettings, is_counted: bool) -> Result<u64, BudgetError> {
    let extra = &settings.extra;
    if let Some(name) = first(extra, &LENGTHS) {
        return Err(unbounded(&format!(
            "the answer's length is set by the extra field `{name}`; set `ChatSettings::max_output_tokens` instead"
        )));
    }
    if !is_counted && let Some(name) = ADDITIONS.iter().find(|name| extra.contains_key(**name)) {
        return Err(unbounded(&format!(
            "the extra field `{name}` adds what nobody can count here; count it with `LedgerBuilder::count_input`"
        )));
    }
    let mut answers = 1;
    for (name, value) in fields(extra).filter(|(name, _)| COUNTS.contains(name)) {
        let Some(count) = value.as_u64() else {
            return Err(unbounded(&format!(
                "the extra field `{name}`, a number of answers, is no whole number"
            )));
        };
        answers = answers.max(count);
    }
    Ok(answers)
}

/// The tier of service that is asked for.
pub(super) fn tier(settings: &ChatSettings) -> Option<&str> {
    let extra = settings.extra.get("service_tier").and_then(Value::as_str);
    extra.or(settings.service_tier.as_deref())
}

/// How long the fields are, in bytes.
pub(super) fn bytes(settings: &ChatSettings) -> u64 {
    if settings.extra.is_empty() {
        return 0;
    }
    serde_json::to_string(&settings.extra).map_or(0, |text| text.len() as u64)
}

fn first<'a>(extra: &Map<String, Value>, names: &[&'a str]) -> Option<&'a str> {
    let mut names = names.iter();
    names
        .find(|name| fields(extra).any(|(known, _)| known == **name))
        .copied()
}

/// The fields, and those of the objects among them.
fn fields(extra: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let inner = extra.values().filter_map(Value::as_object).flatten();
    extra
        .iter()
        .chain(inner)
        .map(|(name, value)| (name.as_str(), value))
}
