//! Models by name: `provider:model`.
//!
//! A [`Catalog`] knows the providers as data: which API each speaks, its address, the variable that holds its key, and how it differs
//! from others. [`NamedModel`] makes a model of a name and the environment. A key goes to its own provider only.
//!
//! The embedded presets are in `presets.json`, beside this file; [`Catalog::with_json`] adds others of the same form.

mod named;
mod preset;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use named::NamedModel;
pub use preset::{Preset, Quirk};

use super::{ModelError, ModelHandle, http::configuration};

/// The providers that a model string can name.
///
/// # Example
///
/// ```
/// use agent_sdk::model::Catalog;
///
/// # fn main() -> Result<(), agent_sdk::model::ModelError> {
/// let catalog = Catalog::embedded().with_json(
///     r#"[{"name": "acme", "api": "openai.chat", "provider": "acme", "base_url": "https://llm.acme.example/v1",
///          "key_variables": ["ACME_API_KEY"]}]"#,
/// )?;
/// let model = catalog
///     .named("acme:acme-large")?
///     .variables(|name| (name == "ACME_API_KEY").then(|| "secret".to_owned()))
///     .build()?;
/// assert_eq!(model.info().server_address.as_deref(), Some("llm.acme.example"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Catalog {
    presets: Vec<Preset>,
}

impl Catalog {
    /// The providers that come with the crate.
    pub fn embedded() -> Self {
        // A test reads the file; one that could not be read would leave nothing that can be named.
        let presets = serde_json::from_str(include_str!("presets.json")).unwrap_or_default();
        Self { presets }
    }

    /// Adds presets of your own: a JSON list of [`Preset`]s. One of a known name takes the place of that one.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](super::ModelErrorKind::Configuration) where it is no such list, with the place.
    pub fn with_json(mut self, presets: &str) -> Result<Self, ModelError> {
        let more: Vec<Preset> = serde_json::from_str(presets)
            .map_err(|error| configuration(format!("the presets cannot be read: {error}")))?;
        for preset in more {
            self.presets.retain(|known| known.name != preset.name);
            self.presets.push(preset);
        }
        Ok(self)
    }

    /// All presets.
    pub fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// The preset of a provider.
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    /// Takes a model string apart: `provider:model`, of which the model's name may hold colons of its own.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](super::ModelErrorKind::Configuration) where it names no provider, or one that is not known.
    pub fn named(&self, name: &str) -> Result<NamedModel, ModelError> {
        let (provider, model) = split(name)?;
        let Some(preset) = self.preset(&provider) else {
            let names: Vec<&str> = self.presets.iter().map(|preset| &*preset.name).collect();
            return Err(configuration(format!(
                "`{provider}` is no provider that is known: {}",
                names.join(", ")
            )));
        };
        Ok(NamedModel::new(preset.clone(), model))
    }

    /// Takes a model string apart whose provider is at this address. One that is not known is taken to speak the Chat
    /// Completions API, with its key in `PROVIDER_API_KEY`.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](super::ModelErrorKind::Configuration) where it is not written `provider:model`.
    pub fn named_at(
        &self,
        name: &str,
        base_url: impl Into<String>,
    ) -> Result<NamedModel, ModelError> {
        let (provider, model) = split(name)?;
        let preset = self.preset(&provider).cloned();
        let preset = preset.unwrap_or_else(|| Preset::compatible(provider));
        Ok(NamedModel::new(preset, model).base_url(base_url))
    }
}

/// Provider and model.
fn split(name: &str) -> Result<(String, &str), ModelError> {
    let (provider, model) = name.split_once(':').unwrap_or(("", name));
    let (provider, model) = (provider.trim().to_ascii_lowercase(), model.trim());
    if provider.is_empty() || model.is_empty() {
        let shown: String = name.chars().take(100).collect();
        return Err(configuration(format!(
            "`{shown}` is no model: write `provider:model`, for example `openai:gpt-5-mini`"
        )));
    }
    Ok((provider, model))
}

impl Default for Catalog {
    fn default() -> Self {
        Self::embedded()
    }
}

impl FromStr for ModelHandle {
    type Err = ModelError;

    /// The model of a name such as `anthropic:claude-sonnet-4-5`, with address and key from the environment.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        Catalog::embedded().named(name)?.build()
    }
}
