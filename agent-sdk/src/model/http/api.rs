//! What a client must be told of its API.

use http::{HeaderName, HeaderValue, Method};
use reqwest::Url;

use super::{Settings, StructuredOutput};
use crate::model::{ChatRequest, ModelError, wire::Decode};

/// A chat API over HTTP.
pub(in crate::model) trait Api: Send + Sync + 'static {
    /// How its answers are read.
    type Decode: Decode;
    /// Where it is and how it is paid for, unless the user says otherwise.
    const DEFAULTS: Defaults;

    /// Takes from variables what they hold.
    fn variables(
        &mut self,
        settings: &mut Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        settings.variables(variable)
    }

    /// Makes settings that depend on one another agree, before anything else is made of them.
    fn prepare(&mut self, _settings: &mut Settings) -> Result<(), ModelError> {
        Ok(())
    }

    /// What is added to the base URL's path; it may end in a query.
    fn path(&self, model: &str, stream: bool) -> String;

    /// How an answer of a schema is asked for in this request, unless the user says otherwise.
    fn structured(&self, _model: &str, _request: &ChatRequest) -> StructuredOutput {
        StructuredOutput::Native
    }

    /// The body of a request. Everything that the API has no place for is refused.
    fn body(&self, model: &str, request: &ChatRequest, stream: bool)
    -> Result<Vec<u8>, ModelError>;

    /// Headers that depend on the whole request, such as a signature.
    fn sign(
        &self,
        _method: &Method,
        _url: &Url,
        _body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ModelError> {
        Ok(Vec::new())
    }
}

/// Where an API is and how it is paid for.
#[derive(Clone, Debug)]
pub(in crate::model) struct Defaults {
    /// The client's name, for `Debug`.
    pub(in crate::model) client: &'static str,
    /// The value of `gen_ai.provider.name`.
    pub(in crate::model) provider: &'static str,
    /// The value of `openai.api.type`.
    pub(in crate::model) api_type: Option<&'static str>,
    pub(in crate::model) base_url: &'static str,
    /// The variables that may hold the key; the first that is set counts.
    pub(in crate::model) key_variables: &'static [&'static str],
    pub(in crate::model) base_url_variable: &'static str,
    pub(in crate::model) auth: Auth,
    /// Whether its own address wants a key.
    pub(in crate::model) needs_key: bool,
    /// Headers of every request.
    pub(in crate::model) headers: &'static [(&'static str, &'static str)],
}

/// How a key is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) enum Auth {
    /// As `Authorization: Bearer …`.
    Bearer,
    /// As a header of this name.
    Header(&'static str),
    /// As a header that the user named.
    Named(HeaderName),
}
