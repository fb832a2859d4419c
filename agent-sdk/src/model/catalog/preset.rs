//! What is known of a provider, as data.

use serde::Deserialize;

use crate::model::{ModelError, http::configuration};

/// A provider as the part of a model string before the colon names it: which API it speaks, where, and who pays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preset {
    /// The name, for example `groq` in `groq:llama-3.3-70b-versatile`.
    pub name: String,
    /// The API that it speaks, for example `openai.chat`.
    pub api: String,
    /// The value of `gen_ai.provider.name`, by which the price table is asked too.
    pub provider: String,
    /// Where it is. `{VARIABLE}` stands for the value of an environment variable.
    pub base_url: String,
    /// The variable that puts another address in its place.
    #[serde(default)]
    pub base_url_variable: Option<String>,
    /// The variables that may hold its key; the first that is set counts.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// Whether it can be asked without a key, wherever it is. Servers on this machine always can.
    #[serde(default)]
    pub key_optional: bool,
    /// The header that carries the key, in place of where the API wants it.
    #[serde(default)]
    pub key_header: Option<String>,
    /// How it differs from the API that it speaks.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
}

/// How a server differs from the Chat Completions API of `OpenAI`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quirk {
    /// It knows the longest answer by the name `max_tokens` only.
    MaxTokens,
    /// It wants to see a model's reasoning again in the next request.
    SendReasoning,
    /// It knows no JSON of a schema, only JSON of any shape: the schema goes into the instructions.
    JsonObject,
    /// It does not know `stream_options`, and reports what a stream used without being asked.
    NoStreamOptions,
}

impl Preset {
    /// A provider of which nothing is known but that it speaks the Chat Completions API.
    pub(super) fn compatible(provider: String) -> Self {
        let variable = provider.chars().map(|c| match c.to_ascii_uppercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        });
        Self {
            key_variables: vec![variable.chain("_API_KEY".chars()).collect()],
            name: provider.clone(),
            api: "openai.chat".to_owned(),
            provider,
            base_url: String::new(),
            base_url_variable: None,
            key_optional: false,
            key_header: None,
            quirks: Vec::new(),
        }
    }

    /// Where it is, by its variables.
    pub(super) fn address(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, ModelError> {
        let other = self.base_url_variable.as_deref().and_then(variable);
        if let Some(base_url) = other {
            return Ok(base_url);
        }
        let mut address = String::new();
        let mut rest = self.base_url.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let value = self.needs(name, variable)?;
            address.push_str(before);
            address.push_str(value.trim().trim_end_matches('/'));
            rest = after;
        }
        address.push_str(rest);
        Ok(address)
    }

    /// The value of a variable that its address needs.
    pub(super) fn needs(
        &self,
        name: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, ModelError> {
        variable(name)
            .ok_or_else(|| self.error(format!("{name} is not set: `{}` has no address", self.name)))
    }

    /// The variables that may hold its key, for people.
    pub(super) fn keys(&self) -> String {
        self.key_variables.join(" or ")
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ModelError {
        configuration(message).with_provider(self.provider.clone())
    }
}
