//! The native API of Ollama, `/api/chat`, on this machine or in its cloud.
//!
//! [`Ollama::from_env`] takes the address from `OLLAMA_HOST` and, for the cloud, the key from `OLLAMA_API_KEY`; neither is
//! needed. `OLLAMA_HOST` may be whatever the server itself takes, see [`OllamaBuilder::host`].
//!
//! | Setting | Where it goes |
//! |---|---|
//! | `max_output_tokens` | `options.num_predict` |
//! | `temperature`, `top_p`, `top_k`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` | `options`, by the same name |
//! | `reasoning_effort` | `think`: `true` and `false` (also `none`) as such, any other word as a level |
//! | `reasoning_budget` | `think`: whether it is more than 0, where no effort is set; tokens are not counted |
//! | `extra` | the body; `options` in it are added to ours one by one (`num_ctx`, …), `keep_alive` stands beside them |
//! | `ServerTool::Native` | `tools`, as it is |
//! | `parallel_tool_calls`, `prompt_cache`, `prompt_cache_key`, `service_tier` | nowhere: the API has no place for them |
//!
//! [`OutputFormat`](crate::model::OutputFormat) is written as `format`. There is no tool choice: `None` offers no tools, and what
//! would force a call is refused, as are searches of the web, media other than images, and images at a URL.
//!
//! Promises:
//! - a stream is whole once a line said `done`; the last line may lack its end;
//! - the prompt's tokens, which the server leaves out where it read them from its cache, are then unknown and not zero;
//! - calls come without ids from older servers; they are then made from the call's place.

mod assemble;
mod host;
mod request;
#[cfg(test)]
mod tests;

pub(in crate::model) use assemble::Assembler;
pub(in crate::model) use host::base_url;

use crate::model::{
    ChatRequest, ModelError,
    http::{Api, Auth, Defaults, Settings, http_client},
};

/// The API's name, for people.
const NAME: &str = "Ollama's chat API";

http_client! {
    /// A client of Ollama's native API, for one model. Cheap to clone; clones share its connections.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{Model, provider::Ollama};
    ///
    /// # fn main() -> Result<(), agent_sdk::model::ModelError> {
    /// let model = Ollama::builder("qwen3:8b").host("0.0.0.0").build()?;
    /// assert_eq!(model.info().server_port, Some(11434));
    /// # Ok(())
    /// # }
    /// ```
    Ollama,
    /// Settings for an [`Ollama`] client; made by [`Ollama::builder`].
    OllamaBuilder,
    OllamaChat
}

impl OllamaBuilder {
    /// Sets where the server is, in any of the forms of `OLLAMA_HOST`: a URL, `host:port`, or either part alone. Default:
    /// `http://localhost:11434`.
    ///
    /// Without a scheme it is `http` and the port is 11434; with one, the port is the scheme's own. An address to listen on,
    /// `0.0.0.0` or `[::]`, means this machine.
    pub fn host(mut self, host: impl AsRef<str>) -> Self {
        self.settings.set_base_url(host::base_url(host.as_ref()));
        self
    }
}

/// Ollama's chat API.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::model) struct OllamaChat;

/// Where Ollama is, whichever of its APIs is asked.
pub(in crate::model) const DEFAULTS: Defaults = Defaults {
    client: "Ollama",
    provider: "ollama",
    api_type: None,
    base_url: "http://localhost:11434",
    key_variables: &["OLLAMA_API_KEY"],
    base_url_variable: HOST_VARIABLE,
    auth: Auth::Bearer,
    needs_key: false,
    headers: &[],
};

const HOST_VARIABLE: &str = "OLLAMA_HOST";

/// Takes key and address from the variables of Ollama.
pub(in crate::model) fn variables(
    settings: &mut Settings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ModelError> {
    settings.variables(|name| {
        let value = variable(name)?;
        let is_host = name == HOST_VARIABLE && !value.trim().is_empty();
        Some(if is_host {
            host::base_url(&value)
        } else {
            value
        })
    })
}

impl Api for OllamaChat {
    type Decode = Assembler;

    const DEFAULTS: Defaults = DEFAULTS;

    fn variables(
        &mut self,
        settings: &mut Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        variables(settings, variable)
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/api/chat".to_owned()
    }

    fn body(
        &self,
        model: &str,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<Vec<u8>, ModelError> {
        request::body(model, request, stream)
    }
}
