//! The Gemini API, as Google AI Studio and Vertex AI speak it: `generateContent` and `streamGenerateContent`.
//!
//! [`Gemini::from_env`] takes the key from `GEMINI_API_KEY` or else `GOOGLE_API_KEY`, and the base URL with its version, if any,
//! from `GEMINI_BASE_URL`. [`Gemini::vertex`] asks Vertex AI with an access token, [`Gemini::vertex_express`] with a key.
//!
//! `request`, `contents`, `tools` and `generation` write a request's body; `wire` and `usage` are what comes back; `assemble` and
//! `voice` put it together, `partial` the arguments that come value by value.
//!
//! # What goes where
//!
//! | Of the request | In the body |
//! |---|---|
//! | instructions, and messages of the role `system` | `systemInstruction`, in their order |
//! | user messages and tool results; answers | `contents` of `user`; of `model`. Neighbours of one side are one content |
//! | a tool's result | `functionResponse` with its text under `output`, or under `error` |
//! | media | `inlineData`; `fileData` for a URL (also `gs://`) or an uploaded file's URI |
//! | reasoning | only with this API's own signature |
//! | tools | `functionDeclarations` with the schema unchanged as `parametersJsonSchema` |
//! | the tool choice | `functionCallingConfig`: `NONE`, `ANY`, `ANY` with the one name |
//! | a schema for the answer | `responseJsonSchema`. Models up to 2.x take none beside tools: it is then that of one more tool, or of the instructions beside the provider's tools |
//! | `reasoning_budget`; `reasoning_effort` | `thinkingBudget`; `thinkingLevel`, or up to 2.x the budget that Google makes of it |
//! | `service_tier` | `serviceTier`; Vertex AI wants headers for that: see [`GeminiBuilder::header`] |
//! | `ServerTool::WebSearch` | `googleSearch`. A limit or allowed domains are refused; blocked ones are known to Vertex AI only |
//! | `ServerTool::Native` | an entry of `tools`, for example `{"codeExecution": {}}` |
//! | `extra` | the body's own fields, such as `cachedContent`, `safetySettings` and `labels` |
//! | `extra.generationConfig`, `extra.toolConfig` | added to those, field by field, for example `responseModalities` |
//!
//! Without a place, and left out: `parallel_tool_calls`, `prompt_cache` and `prompt_cache_key` (caching is the provider's own doing,
//! or `cachedContent`), a media part's name, a schema's name and strictness.
//!
//! # Signatures
//!
//! A signature on a tool call is kept on the [`ToolCall`](crate::message::ToolCall), one on a thought on the
//! [`Reasoning`](crate::message::Reasoning), and one on a text or on media as a [`Part::Opaque`](crate::message::Part::Opaque) of
//! the kind `thoughtSignature` right behind that part. Each goes back on its part. Calls that another model made carry, for models
//! that want one, the word that Google names for them.
//!
//! Promises:
//! - a stream without a finish reason is an error; a prompt that was refused is an answer that was withheld
//!   ([`FinishReason::ContentFilter`](crate::model::FinishReason::ContentFilter));
//! - calls without an id get one that no other turn has, and the same one whenever the same answer is read;
//! - parts stay in their order, and what only this API knows is sent back unchanged;
//! - usage that was not reported is unknown, not zero.

mod assemble;
mod contents;
mod finish;
mod generation;
mod partial;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod voice;
mod wire;

use std::sync::Arc;

pub(in crate::model) use assemble::Assembler;

use crate::model::{
    ChatRequest, ModelError, StructuredOutput,
    http::{Api, Auth, Defaults, Settings, configuration, http_client},
};

/// The API's name in what is kept for it.
const API: &str = "gemini.generate";

/// The kind of an opaque part that holds the signature of the part before it.
const SIGNATURE: &str = "thoughtSignature";

http_client! {
    /// A client of the Gemini API, for one model. Cheap to clone; clones share its connections.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{ModelHandle, provider::Gemini};
    ///
    /// # fn main() -> Result<(), agent_sdk::model::ModelError> {
    /// # fn access_token() -> Option<secrecy::SecretString> { None }
    /// let studio = Gemini::builder("gemini-2.5-flash").api_key("secret").build()?;
    /// let cloud = Gemini::vertex("my-project", "europe-west4", "gemini-2.5-flash")
    ///     .api_key_from(access_token)
    ///     .build()?;
    /// let model = ModelHandle::new(cloud);
    /// assert_eq!(&*model.info().provider, "gcp.vertex_ai");
    /// # Ok(())
    /// # }
    /// ```
    Gemini,
    /// Settings for a [`Gemini`] client; made by [`Gemini::builder`], [`Gemini::vertex`] or [`Gemini::vertex_express`].
    GeminiBuilder,
    GenerateContent
}

impl Gemini {
    /// Settings for a model of Vertex AI in a project and a location such as `europe-west4`, `eu` or `global`.
    ///
    /// The key is an access token, which expires within the hour: give it with
    /// [`api_key_from`](GeminiBuilder::api_key_from). A `base_url` ends with the location:
    /// `https://host/v1/projects/p/locations/l`. A model's name may hold a path from there, for example `endpoints/123`.
    pub fn vertex(
        project: impl Into<Arc<str>>,
        location: impl Into<Arc<str>>,
        model: impl Into<Arc<str>>,
    ) -> GeminiBuilder {
        let (project, location) = (project.into(), location.into());
        let mut builder = Self::builder(model);
        builder.api.host = Host::Project { project, location };
        builder.set(|settings| {
            settings.set_provider(VERTEX.into());
            settings.auth(Auth::Bearer);
        })
    }

    /// Settings for a model of Vertex AI in its express mode, which takes a key and no project.
    pub fn vertex_express(model: impl Into<Arc<str>>) -> GeminiBuilder {
        let mut builder = Self::builder(model);
        builder.api.host = Host::Express;
        builder.set(|settings| settings.set_provider(VERTEX.into()))
    }
}

impl GeminiBuilder {
    /// Whether the model is asked to show its thoughts. Default: where thinking is asked for, by an effort or a budget.
    ///
    /// Models that cannot think refuse a request that says either.
    pub fn show_thoughts(mut self, show: bool) -> Self {
        self.api.show_thoughts = Some(show);
        self
    }
}

/// Who runs the models of Vertex AI.
const VERTEX: &str = "gcp.vertex_ai";

/// The Gemini API.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct GenerateContent {
    host: Host,
    show_thoughts: Option<bool>,
}

/// Where models are asked.
#[derive(Clone, Debug, Default)]
enum Host {
    #[default]
    Studio,
    Project {
        project: Arc<str>,
        location: Arc<str>,
    },
    Express,
}

/// Which of the two dialects is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gemini,
    Vertex,
}

impl GenerateContent {
    fn place(&self) -> Place {
        match self.host {
            Host::Studio => Place::Gemini,
            Host::Project { .. } | Host::Express => Place::Vertex,
        }
    }
}

impl Api for GenerateContent {
    type Decode = Assembler;

    const DEFAULTS: Defaults = Defaults {
        client: "Gemini",
        provider: "gcp.gemini",
        api_type: None,
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url_variable: "GEMINI_BASE_URL",
        auth: Auth::Header("x-goog-api-key"),
        needs_key: true,
        headers: &[],
    };

    fn prepare(&mut self, settings: &mut Settings) -> Result<(), ModelError> {
        let base_url = match &self.host {
            Host::Studio => return Ok(()),
            Host::Express => "https://aiplatform.googleapis.com/v1beta1".to_owned(),
            Host::Project { project, location } => {
                // Both stand in the address to which the token goes.
                let is_name = |text: &str, more: &[char]| {
                    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || more.contains(&c);
                    !text.is_empty() && text.chars().all(fits)
                };
                if !is_name(location, &[]) {
                    return Err(configuration(format!("{location:?} is no location")));
                }
                if !is_name(project, &['.', ':']) {
                    return Err(configuration(format!("{project:?} is no project")));
                }
                let host = match &**location {
                    "global" => "aiplatform.googleapis.com".to_owned(),
                    "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
                    _ => format!("{location}-aiplatform.googleapis.com"),
                };
                format!("https://{host}/v1beta1/projects/{project}/locations/{location}")
            }
        };
        settings.default_base_url(base_url);
        Ok(())
    }

    fn path(&self, model: &str, stream: bool) -> String {
        let folder = match self.place() {
            _ if model.contains('/') => "",
            Place::Gemini => "models/",
            Place::Vertex => "publishers/google/models/",
        };
        let method = if stream {
            "streamGenerateContent?alt=sse"
        } else {
            "generateContent"
        };
        // What would end the path; everything else is encoded where it must be.
        let model = model.replace('?', "%3F").replace('#', "%23");
        format!("/{folder}{model}:{method}")
    }

    fn structured(&self, model: &str, request: &ChatRequest) -> StructuredOutput {
        let has_tools = !request.tools.is_empty();
        match usage::generation(model) {
            Some(1 | 2) if has_tools => StructuredOutput::Tool,
            Some(1 | 2) if !request.settings.server_tools.is_empty() => StructuredOutput::Prompt,
            _ => StructuredOutput::Native,
        }
    }

    fn body(
        &self,
        model: &str,
        request: &ChatRequest,
        _stream: bool,
    ) -> Result<Vec<u8>, ModelError> {
        request::body(self, model, request)
    }
}
