//! Sampling, lengths, thinking and the form of the answer: the API's `generationConfig`.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::usage::generation;
use crate::model::{ChatSettings, OutputFormat, http::body::Fields};

/// How an answer is made; fields of the user's replace those of the same name.
pub(super) struct Generation<'a> {
    pub(super) settings: &'a ChatSettings,
    /// The form of the answer, unless that is asked for in words.
    pub(super) output: &'a OutputFormat,
    pub(super) thinking: Option<Thinking<'a>>,
    pub(super) extra: &'a Map<String, Value>,
}

impl Generation<'_> {
    /// Whether nothing is set that it would hold.
    pub(super) fn is_empty(&self) -> bool {
        let ChatSettings {
            max_output_tokens,
            temperature,
            top_p,
            frequency_penalty,
            presence_penalty,
            stop,
            seed,
            top_k,
            ..
        } = self.settings;
        let numbers = [temperature, top_p, frequency_penalty, presence_penalty];
        numbers.iter().all(|number| number.is_none())
            && max_output_tokens.is_none()
            && stop.is_empty()
            && seed.is_none()
            && top_k.is_none()
            && self.thinking.is_none()
            && self.extra.is_empty()
            && matches!(self.output, OutputFormat::Text)
    }
}

impl Serialize for Generation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.settings;
        let mut config = Fields::new(serializer.serialize_map(None)?, self.extra, &[]);
        config.put_some("maxOutputTokens", settings.max_output_tokens.as_ref())?;
        config.put_some("temperature", settings.temperature.as_ref())?;
        config.put_some("topP", settings.top_p.as_ref())?;
        config.put_some("topK", settings.top_k.as_ref())?;
        config.put_some("seed", settings.seed.as_ref())?;
        config.put_some("frequencyPenalty", settings.frequency_penalty.as_ref())?;
        config.put_some("presencePenalty", settings.presence_penalty.as_ref())?;
        let stop = Some(&settings.stop).filter(|stop| !stop.is_empty());
        config.put_some("stopSequences", stop)?;
        config.put_some("thinkingConfig", self.thinking.as_ref())?;
        if !matches!(self.output, OutputFormat::Text) {
            config.put("responseMimeType", "application/json")?;
        }
        if let OutputFormat::JsonSchema { schema, .. } = self.output {
            config.put("responseJsonSchema", schema)?;
        }
        config.end()
    }
}

/// How much the model thinks, and whether it shows what.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking<'a> {
    #[serde(rename = "thinkingBudget", skip_serializing_if = "Option::is_none")]
    budget: Option<u32>,
    #[serde(rename = "thinkingLevel", skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

impl<'a> Thinking<'a> {
    /// What is asked for. A budget wins over an effort, since the API takes one of them. Up to the second generation models know
    /// budgets alone: an effort is the budget that Google's own compatible API makes of it.
    pub(super) fn of(model: &str, settings: &'a ChatSettings, show: Option<bool>) -> Option<Self> {
        let effort = settings.reasoning_effort.as_deref();
        let knows_levels = !matches!(generation(model), Some(1 | 2));
        let budget = settings.reasoning_budget.or(match effort {
            Some("none") => Some(0),
            Some("minimal" | "low") if !knows_levels => Some(1_024),
            Some("medium") if !knows_levels => Some(8_192),
            Some("high") if !knows_levels => Some(24_576),
            _ => None,
        });
        let level = effort.filter(|_| budget.is_none());
        let asked = budget.is_some() || level.is_some();
        let include_thoughts = show.or((asked && budget != Some(0)).then_some(true));
        (asked || show.is_some()).then_some(Self {
            budget,
            level,
            include_thoughts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_told_in_the_form_that_the_model_knows() {
        let effort = |word: &str| ChatSettings::new().with_reasoning_effort(word);
        let budget = |tokens| ChatSettings::new().with_reasoning_budget(tokens);
        let of = |model: &str, settings: &ChatSettings, show| {
            let thinking = Thinking::of(model, settings, show);
            serde_json::to_string(&thinking).unwrap()
        };
        let none = ChatSettings::new();
        let rows = [
            ("gemini-2.5-flash", &none, None, "null"),
            (
                "gemini-2.5-flash",
                &none,
                Some(true),
                r#"{"includeThoughts":true}"#,
            ),
            (
                "gemini-2.5-flash",
                &effort("low"),
                None,
                r#"{"thinkingBudget":1024,"includeThoughts":true}"#,
            ),
            (
                "gemini-2.5-flash",
                &effort("none"),
                None,
                r#"{"thinkingBudget":0}"#,
            ),
            (
                "gemini-3-pro-preview",
                &effort("low"),
                None,
                r#"{"thinkingLevel":"low","includeThoughts":true}"#,
            ),
            (
                "gemini-3-pro-preview",
                &budget(128),
                Some(false),
                r#"{"thinkingBudget":128,"includeThoughts":false}"#,
            ),
            (
                "gemini-3-pro-preview",
                &budget(128).with_reasoning_effort("high"),
                None,
                r#"{"thinkingBudget":128,"includeThoughts":true}"#,
            ),
        ];
        for (model, settings, show, expected) in rows {
            assert_eq!(of(model, settings, show), expected, "{model} {settings:?}");
        }
    }
}
