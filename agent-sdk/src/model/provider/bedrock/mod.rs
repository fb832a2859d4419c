//! Amazon Bedrock: `Converse` and `ConverseStream`, whichever model is behind them. Needs the feature `bedrock`.
//!
//! [`Bedrock::from_env`] takes the region from `AWS_REGION` or `AWS_DEFAULT_REGION` and signs with `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY` and, where it is set, `AWS_SESSION_TOKEN`; an API key in `AWS_BEARER_TOKEN_BEDROCK` is sent in place of
//! a signature. `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` is another address. Profiles and the roles of a machine are not looked up: give
//! their credentials with [`BedrockBuilder::credentials_from`], which is asked with each request.
//!
//! | Setting | Where it goes |
//! |---|---|
//! | `max_output_tokens`, `temperature`, `top_p`, `stop` | `inferenceConfig` |
//! | `top_k`, `reasoning_effort`, `reasoning_budget` | `additionalModelRequestFields`, as the model's family names them |
//! | `prompt_cache` | a `cachePoint` after the tools, the system texts or the last message |
//! | `service_tier` | `serviceTier` |
//! | `extra` | the body (`guardrailConfig`, `requestMetadata`, …); `additionalModelRequestFields` in it are added to ours |
//! | `ServerTool::Native` | `toolConfig.tools`, as it is |
//! | `seed`, `frequency_penalty`, `presence_penalty`, `parallel_tool_calls`, `prompt_cache_key` | nowhere: the API has no place for them |
//!
//! The families: Anthropic's models take `top_k`, a budget as `thinking` and an effort as `output_config`; Amazon's Nova takes both
//! of the latter as `reasoningConfig`; all others get `top_k` and `reasoning_effort`, and no budget.
//!
//! Answers of a schema are asked for by a tool whose arguments are the answer; with
//! [`structured_output(Native)`](BedrockBuilder::structured_output) as `outputConfig`, which few models know. JSON of any shape is
//! asked for in the system texts.
//!
//! Texts of the developer anywhere in a conversation go to the front, and messages of one side are joined, for the API wants the
//! two to take turns. Documents and images are bytes, or `s3://` addresses. Citations are not kept; the text that they are of is.
//! What is refused: sound, other addresses, searches of the web but by `Native`, and `ToolChoice::None` once tools were called.
//!
//! Promises:
//! - a stream is whole once `messageStop` has come; `metadata`, which follows it and holds the usage, may be missing, and the usage
//!   is then unknown;
//! - what the API counts as input leaves out what was read from the cache or written to it: here it is all input;
//! - reasoning goes back with its signature, to this API alone;
//! - a call of a tool that Bedrock runs itself is never handed to a tool of yours.

mod assemble;
mod blocks;
mod content;
mod credentials;
mod fields;
mod request;
mod sign;
#[cfg(test)]
mod tests;
mod tools;
mod wire;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use reqwest::Url;

pub use credentials::AwsCredentials;

pub(in crate::model) use assemble::Assembler;

use self::credentials::Source;
use crate::{
    model::{
        ChatRequest, ModelError, StructuredOutput,
        http::{Api, Auth, Defaults, Settings, configuration, http_client},
    },
    operation::{Clock, SystemClock},
};

/// The API's name, as [`Opaque::api`](crate::message::Opaque::api) has it.
pub(in crate::model) const API: &str = "bedrock.converse";

/// The API's name, for people.
const NAME: &str = "the Converse API";

http_client! {
    /// A client of Amazon Bedrock, for one model. Cheap to clone; clones share its connections.
    ///
    /// The model is named by its id, by the id of an inference profile, or by an ARN.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{Model, provider::{Bedrock, bedrock::AwsCredentials}};
    ///
    /// # fn main() -> Result<(), agent_sdk::model::ModelError> {
    /// let model = Bedrock::builder("eu.amazon.nova-lite-v1:0")
    ///     .region("eu-west-1")
    ///     .credentials(AwsCredentials::new("AKIDEXAMPLE", "a secret"))
    ///     .build()?;
    /// assert_eq!(model.info().server_address.as_deref(), Some("bedrock-runtime.eu-west-1.amazonaws.com"));
    /// # Ok(())
    /// # }
    /// ```
    Bedrock,
    /// Settings for a [`Bedrock`] client; made by [`Bedrock::builder`].
    BedrockBuilder,
    Converse
}

impl BedrockBuilder {
    /// Sets the region, in which the model is asked and for which requests are signed. Needed unless requests go unsigned to a
    /// [`base_url`](Self::base_url).
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.api.region = Some(region.into());
        self
    }

    /// Signs requests with these credentials. Where a key is set too, the key is sent in place of a signature.
    pub fn credentials(mut self, credentials: AwsCredentials) -> Self {
        self.api.credentials = Some(Source::Fixed(credentials));
        self
    }

    /// Asks for the credentials anew with each request, for credentials that expire. The function must not block; `None` fails
    /// the request.
    pub fn credentials_from(
        mut self,
        credentials: impl Fn() -> Option<AwsCredentials> + Send + Sync + 'static,
    ) -> Self {
        self.api.credentials = Some(Source::Each(Arc::new(credentials)));
        self
    }
}

/// The Converse API.
#[derive(Clone, Debug)]
pub(in crate::model) struct Converse {
    region: Option<String>,
    credentials: Option<Source>,
    clock: Arc<dyn Clock>,
}

impl Default for Converse {
    fn default() -> Self {
        Self {
            region: None,
            credentials: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The variable of an API key.
const KEY_VARIABLE: &str = "AWS_BEARER_TOKEN_BEDROCK";

/// The variable of another address.
const BASE_URL_VARIABLE: &str = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME";

impl Api for Converse {
    type Decode = Assembler;

    const DEFAULTS: Defaults = Defaults {
        client: "Bedrock",
        provider: "aws.bedrock",
        api_type: None,
        // Each region has its own; `prepare` names it.
        base_url: "https://bedrock-runtime.us-east-1.amazonaws.com",
        key_variables: &[KEY_VARIABLE],
        base_url_variable: BASE_URL_VARIABLE,
        auth: Auth::Bearer,
        needs_key: true,
        headers: &[],
    };

    fn variables(
        &mut self,
        settings: &mut Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        let read = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        self.region = read("AWS_REGION").or_else(|| read("AWS_DEFAULT_REGION"));
        if let Some(base_url) = read(BASE_URL_VARIABLE) {
            settings.set_base_url(base_url);
        }
        if let Some(key) = read(KEY_VARIABLE) {
            settings.api_key(key.into());
            return Ok(());
        }
        let pair = read("AWS_ACCESS_KEY_ID").zip(read("AWS_SECRET_ACCESS_KEY"));
        let Some((id, secret)) = pair else {
            let message = format!(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, nor is {KEY_VARIABLE}"
            );
            return Err(configuration(message).with_provider(settings.provider().to_owned()));
        };
        let mut credentials = AwsCredentials::new(id, secret);
        if let Some(token) = read("AWS_SESSION_TOKEN") {
            credentials = credentials.with_session_token(token);
        }
        self.credentials = Some(Source::Fixed(credentials));
        Ok(())
    }

    fn prepare(&mut self, settings: &mut Settings) -> Result<(), ModelError> {
        match (settings.sends_key(), &self.credentials) {
            _ if settings.is_replayed() => {}
            (Some(true), _) => self.credentials = None,
            (_, Some(credentials)) => {
                settings.without_key();
                credentials
                    .secrets()
                    .for_each(|secret| settings.secret(secret));
            }
            (None, None) => {
                return Err(configuration(
                    "no credentials: set `credentials`, or a key with `api_key`, or say `without_key` for a server that wants none",
                ));
            }
            (Some(false), None) => {}
        }
        match &self.region {
            Some(region) if !settings.has_base_url() => {
                settings.set_base_url(format!("https://bedrock-runtime.{region}.amazonaws.com"));
            }
            _ if settings.is_replayed() => {}
            None if self.credentials.is_some() || !settings.has_base_url() => {
                return Err(configuration(
                    "no region: set one with `region`, or in AWS_REGION",
                ));
            }
            _ => {}
        }
        // Few models know an answer of a schema by themselves; all that know tools can give one.
        settings.structured_unless_set(StructuredOutput::Tool);
        Ok(())
    }

    fn path(&self, model: &str, stream: bool) -> String {
        let action = if stream {
            "converse-stream"
        } else {
            "converse"
        };
        format!("/model/{}/{action}", sign::encoded(model))
    }

    fn body(
        &self,
        model: &str,
        request: &ChatRequest,
        _stream: bool,
    ) -> Result<Vec<u8>, ModelError> {
        request::body(model, request)
    }

    fn sign(
        &self,
        method: &Method,
        url: &Url,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ModelError> {
        let (Some(source), Some(region)) = (&self.credentials, &self.region) else {
            return Ok(Vec::new());
        };
        let credentials = source.current()?;
        sign::Signing {
            credentials: &credentials,
            region,
            service: "bedrock",
            time: self.clock.now(),
        }
        .headers(method, url, body)
    }
}
