//! What only some models know: each family has its own words for it.

use serde_json::{Map, Value, json};

use crate::model::ChatSettings;

/// The field of the body that holds them.
pub(super) const ADDITIONAL: &str = "additionalModelRequestFields";

/// The fields for a model, and the user's own over them; `None` where there are none.
pub(super) fn additional(model: &str, settings: &ChatSettings) -> Option<Value> {
    let (effort, budget) = (
        settings.reasoning_effort.as_deref(),
        settings.reasoning_budget,
    );
    let mut fields = Map::new();
    let mut set = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    if model.contains("anthropic.") {
        if let Some(top_k) = settings.top_k {
            set("top_k", top_k.into());
        }
        match budget {
            Some(0) => set("thinking", json!({"type": "disabled"})),
            Some(tokens) => set(
                "thinking",
                json!({"type": "enabled", "budget_tokens": tokens}),
            ),
            None => {}
        }
        if let Some(effort) = effort {
            set("output_config", json!({"effort": effort}));
        }
    } else if model.contains("amazon.nova") {
        if let Some(top_k) = settings.top_k {
            set("inferenceConfig", json!({"topK": top_k}));
        }
        match (effort, budget) {
            (Some(effort), _) => set(
                "reasoningConfig",
                json!({"type": "enabled", "maxReasoningEffort": effort}),
            ),
            (None, Some(0)) => set("reasoningConfig", json!({"type": "disabled"})),
            _ => {}
        }
    } else {
        if let Some(top_k) = settings.top_k {
            set("top_k", top_k.into());
        }
        if let Some(effort) = effort {
            set("reasoning_effort", effort.into());
        }
    }
    match settings.extra.get(ADDITIONAL) {
        None => {}
        Some(Value::Object(own)) => fields.extend(own.clone()),
        Some(other) => return Some(other.clone()),
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}
