//! Which model of the table a name stands for.
//!
//! Names are lower-cased first; the words of a rule are lower-cased when it is read, so that `GLM-5` in a table finds
//! `glm-5`. A regex sees the lower-cased name as well.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest compiled size of one regex.
const REGEX_BYTES: usize = 1 << 20;

/// OpenTelemetry's `gen_ai.provider.name` values, and common spellings, that the table's own rules would miss or read
/// as another provider: `azure.ai.openai` contains `openai`.
const ALIASES: &[(&str, &str)] = &[
    ("aws.bedrock", "aws"),
    ("az.ai.inference", "azure"),
    ("az.ai.openai", "azure"),
    ("azure-openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("azure_openai", "azure"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gcp.vertex_ai", "google"),
    ("mistral_ai", "mistral"),
    ("moonshot_ai", "moonshotai"),
    ("vertex_ai", "google"),
    ("x_ai", "x-ai"),
    ("xai", "x-ai"),
    ("z_ai", "zai"),
    ("z.ai", "zai"),
];

/// The table's id for a lower-cased provider name with another spelling.
pub(super) fn alias(provider: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(name, _)| *name == provider)
        .map(|(_, id)| *id)
}

/// A rule that a name fulfils or not.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Exact(Lowered),
    Prefix(Lowered),
    Suffix(Lowered),
    Contains(Lowered),
    Regex(Box<Pattern>),
    Any(Box<[Clause]>),
    All(Box<[Clause]>),
    Not(Box<Clause>),
}

impl Clause {
    /// This name alone, in any case.
    pub(super) fn exact(name: &str) -> Self {
        Self::Exact(Lowered(name.to_lowercase().into()))
    }

    /// Whether the lower-cased `name` fulfils the rule.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => name == &*text.0,
            Self::Prefix(text) => name.starts_with(&*text.0),
            Self::Suffix(text) => name.ends_with(&*text.0),
            Self::Contains(text) => name.contains(&*text.0),
            Self::Regex(pattern) => pattern.regex().is_some_and(|regex| regex.is_match(name)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(name)),
            Self::All(parts) => parts.iter().all(|part| part.matches(name)),
            Self::Not(part) => !part.matches(name),
        }
    }

    /// Compiles every regex of the rule now.
    ///
    /// # Errors
    ///
    /// The first regex that does not compile, and why.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Regex(pattern) => pattern.check(),
            Self::Any(parts) | Self::All(parts) => parts.iter().try_for_each(Self::check),
            Self::Not(part) => part.check(),
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) | Self::Contains(_) => Ok(()),
        }
    }
}

/// Text that was lower-cased when it was read.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Lowered(Box<str>);

impl<'de> Deserialize<'de> for Lowered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            String::deserialize(deserializer)?.to_lowercase().into(),
        ))
    }
}

/// A regex that is compiled when a name first meets it: most of a table's never are.
#[derive(Debug, Deserialize)]
#[serde(from = "Box<str>")]
pub(super) struct Pattern {
    source: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl From<Box<str>> for Pattern {
    fn from(source: Box<str>) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl Pattern {
    fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.source)
            .size_limit(REGEX_BYTES)
            .build()
    }

    /// A table of a user is checked when it is read, and the embedded one by a test, so `None` is never met.
    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.compile().ok()).as_ref()
    }

    fn check(&self) -> Result<(), String> {
        let regex = self
            .compile()
            .map_err(|error| format!("regex {:?}: {error}", self.source))?;
        // Whoever came first compiled the same pattern.
        let _ = self.compiled.set(Some(regex));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(json: &str) -> Clause {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rules_combine() {
        let rule = clause(
            r#"{"all":[{"prefix":"gemini-"},{"not":{"any":[{"suffix":"-tts"},{"contains":"-tts-"}]}}]}"#,
        );
        assert!(rule.matches("gemini-2.5-pro"));
        assert!(!rule.matches("gemini-2.5-pro-tts"));
        assert!(!rule.matches("gemini-2.5-pro-tts-preview"));
        assert!(rule.matches("gemini-2.5-pro-ttsx"));
        assert!(!rule.matches("gemma"));
    }

    #[test]
    fn words_of_a_rule_are_lower_cased() {
        assert!(clause(r#"{"exact":"GLM-5"}"#).matches("glm-5"));
    }

    #[test]
    fn a_regex_is_compiled_once_it_is_needed() {
        let rule = clause(r#"{"regex":"^grok-4\\.3-[0-9]{8}$"}"#);
        assert!(rule.matches("grok-4.3-20260430"));
        assert!(!rule.matches("grok-4x3-20260430"));
    }

    #[test]
    fn a_regex_with_look_ahead_is_refused() {
        let error = clause(r#"{"any":[{"regex":"^(?!x)"}]}"#)
            .check()
            .unwrap_err();
        assert!(error.contains("^(?!x)"), "{error}");
    }

    #[test]
    fn a_regex_that_grows_too_large_is_refused() {
        assert!(
            clause(r#"{"regex":"(?:[0-9]{1000}){1000}"}"#)
                .check()
                .is_err()
        );
    }
}
