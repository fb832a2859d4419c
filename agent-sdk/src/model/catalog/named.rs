//! A model made of a name and the environment.

use std::{fmt, sync::Arc};

use reqwest::Url;
use secrecy::SecretString;

use super::{Preset, Quirk};
use crate::model::{
    ModelError, ModelHandle, StructuredOutput,
    http::Settings,
    is_loopback,
    provider::{OpenAi, OpenAiResponses},
};

/// What looks a variable up.
type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A model that was named; made by [`Catalog::named`](super::Catalog::named).
#[derive(Clone)]
#[must_use = "no model is made until `build` is called"]
pub struct NamedModel {
    preset: Preset,
    model: Arc<str>,
    base_url: Option<String>,
    streaming: bool,
    variables: Variables,
}

impl NamedModel {
    pub(super) fn new(preset: Preset, model: &str) -> Self {
        Self {
            preset,
            model: model.into(),
            base_url: None,
            streaming: true,
            variables: Arc::new(|name| std::env::var(name).ok()),
        }
    }

    /// The provider that was named.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// Asks a server at another address. Default: the one of the preset's variable, or else its own.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Whether answers may be streamed. Default: yes. Without it, a stream is made of one whole answer.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Looks variables up elsewhere than in the environment.
    pub fn variables(
        mut self,
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// Where its requests would go.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](crate::model::ModelErrorKind::Configuration) where a variable of the address is not set.
    pub fn address(&self) -> Result<String, ModelError> {
        match &self.base_url {
            Some(base_url) => Ok(base_url.clone()),
            None => self.preset.address(&|name| self.variable(name)),
        }
    }

    /// Whether a key was found for it.
    pub fn has_key(&self) -> bool {
        self.key().is_some()
    }

    /// Makes the model.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](crate::model::ModelErrorKind::Configuration): no key, with the name of its variable; an
    /// address that is none; an API that the crate was built without.
    pub fn build(self) -> Result<ModelHandle, ModelError> {
        let address = self.address()?;
        let key = self.key();
        if key.is_none() && !self.preset.key_optional && !is_here(&address) {
            return Err(self.preset.error(format!(
                "no key for `{}`: {} is not set",
                self.preset.name,
                self.preset.keys()
            )));
        }
        let setup = |settings: &mut Settings| {
            settings.set_provider(self.preset.provider.as_str().into());
            settings.set_base_url(address);
            match key {
                Some(key) => settings.api_key(key),
                None => settings.without_key(),
            }
            if let Some(header) = &self.preset.key_header {
                settings.key_header(header.clone());
            }
            settings.whole_only(!self.streaming);
            if self.preset.quirks.contains(&Quirk::JsonObject) {
                settings.set_structured(StructuredOutput::JsonObject);
            }
        };
        let has = |quirk| self.preset.quirks.contains(&quirk);
        let model = self.model.clone();
        Ok(match self.preset.api.as_str() {
            "openai.chat" => OpenAi::builder(model)
                .set(setup)
                .legacy_max_tokens(has(Quirk::MaxTokens))
                .stream_usage(!has(Quirk::NoStreamOptions))
                .build()?
                .into(),
            "openai.responses" => OpenAiResponses::builder(model).set(setup).build()?.into(),
            api => {
                let message = format!(
                    "`{}` speaks `{api}`, which is not known here",
                    self.preset.name
                );
                return Err(self.preset.error(message));
            }
        })
    }

    fn key(&self) -> Option<SecretString> {
        let mut names = self.preset.key_variables.iter();
        names.find_map(|name| self.variable(name)).map(Into::into)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }
}

/// Whether an address is on this machine.
fn is_here(address: &str) -> bool {
    let url = Url::parse(address).ok();
    url.is_some_and(|url| is_loopback(url.host_str().unwrap_or_default()))
}

impl fmt::Debug for NamedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedModel")
            .field("preset", &self.preset.name)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
