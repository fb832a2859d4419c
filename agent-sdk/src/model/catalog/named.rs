//! A model made of a name and the environment.

use std::{fmt, sync::Arc};

use reqwest::Url;
use secrecy::SecretString;

use super::{Preset, Quirk};
use crate::model::{
    ModelError, ModelHandle, Recorder, Replay, StructuredOutput,
    http::{Settings, Way},
    is_loopback,
    provider::{Anthropic, Gemini, Ollama, OpenAi, OpenAiResponses, ollama},
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
    way: Way,
    variables: Variables,
}

impl NamedModel {
    pub(super) fn new(preset: Preset, model: &str) -> Self {
        Self {
            preset,
            model: model.into(),
            base_url: None,
            streaming: true,
            way: Way::default(),
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

    /// Writes every exchange to a file, without its secrets, so that it can be [served again](Self::replay).
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.way = Way::Recorded(recorder);
        self
    }

    /// Answers from what was recorded: nothing is sent, and no key is needed.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.way = Way::Replayed(replay);
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
        let address = match &self.base_url {
            Some(base_url) => base_url.clone(),
            None => self.preset.address(&|name| self.variable(name))?,
        };
        Ok(match self.preset.api.as_str() {
            // Its own variable need not hold a whole URL.
            "ollama.chat" => ollama::base_url(&address),
            _ => address,
        })
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
        let is_replayed = matches!(self.way, Way::Replayed(_));
        if key.is_none() && !self.preset.key_optional && !is_here(&address) && !is_replayed {
            return Err(self.preset.error(format!(
                "no key for `{}`: {} is not set",
                self.preset.name,
                self.preset.keys()
            )));
        }
        let way = self.way.clone();
        let setup = |settings: &mut Settings| {
            settings.set_provider(self.preset.provider.as_str().into());
            if !address.is_empty() {
                settings.set_base_url(address);
            }
            match key {
                Some(key) => settings.api_key(key),
                None => settings.without_key(),
            }
            if let Some(header) = &self.preset.key_header {
                settings.key_header(header.clone());
            }
            settings.whole_only(!self.streaming);
            settings.way(way);
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
                .send_reasoning(has(Quirk::SendReasoning))
                .build()?
                .into(),
            "openai.responses" => OpenAiResponses::builder(model).set(setup).build()?.into(),
            "anthropic.messages" => Anthropic::builder(model).set(setup).build()?.into(),
            "gemini.generate" => Gemini::builder(model).set(setup).build()?.into(),
            "gemini.vertex" => {
                let [project, location] = ["GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"]
                    .map(|name| self.preset.needs(name, &|name| self.variable(name)));
                let vertex = Gemini::vertex(project?, location?, model);
                vertex.set(setup).build()?.into()
            }
            "ollama.chat" => Ollama::builder(model).set(setup).build()?.into(),
            // Without a key it signs its requests.
            #[cfg(feature = "bedrock")]
            "bedrock.converse" => crate::model::provider::Bedrock::builder(model)
                .variables(|name| self.variable(name))?
                .set(setup)
                .build()?
                .into(),
            #[cfg(not(feature = "bedrock"))]
            "bedrock.converse" => {
                let message = "the crate was built without its feature `bedrock`";
                return Err(self.preset.error(message));
            }
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
