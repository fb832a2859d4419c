//! Settings of the client.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{Client, OpenAi, request::Dialect};
use crate::model::{ModelError, ModelErrorKind, ModelInfo, is_loopback};

const BASE_URL: &str = "https://api.openai.com/v1";
const MEBIBYTE: usize = 1024 * 1024;

/// How long each part of a request may take. None is unlimited by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect. Default: 10 seconds. With a client of your own it is that client's setting that counts.
    pub connect: Duration,
    /// From sending to the first byte of a streamed answer. Default: 60 seconds.
    ///
    /// An answer that is not streamed begins only once it is whole: for its first byte `total` counts alone.
    pub first_chunk: Duration,
    /// From one byte to the next, comments included, while they are waited for. Default: 60 seconds.
    pub inter_chunk: Duration,
    /// From sending to the last byte, the reader's own time included. Default: 10 minutes. Nothing extends it.
    ///
    /// The run's deadline counts too, where it is earlier.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_chunk: Duration::from_mins(1),
            inter_chunk: Duration::from_mins(1),
            total: Duration::from_mins(10),
        }
    }
}

/// How large a reply may be; a larger one is refused with [`ModelErrorKind::Decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole reply, decompressed. Default: 32 MiB.
    pub reply_bytes: usize,
    /// The arguments of all tool calls of a reply together. Default: 1 MiB.
    pub tool_argument_bytes: usize,
    /// One line, and one event, of a streamed reply. Default: 8 MiB.
    pub line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply_bytes: 32 * MEBIBYTE,
            tool_argument_bytes: MEBIBYTE,
            line_bytes: 8 * MEBIBYTE,
        }
    }
}

/// Settings for an [`OpenAi`] client; made by [`OpenAi::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct OpenAiBuilder {
    model: Arc<str>,
    provider: Arc<str>,
    key: Key,
    base_url: Option<String>,
    headers: Vec<(String, SecretString)>,
    http: Option<reqwest::Client>,
    timeouts: Timeouts,
    limits: Limits,
    dialect: Dialect,
    whole_only: bool,
}

enum Key {
    Unset,
    None,
    Some(SecretString),
}

impl OpenAiBuilder {
    pub(super) fn new(model: Arc<str>) -> Self {
        Self {
            model,
            provider: "openai".into(),
            key: Key::Unset,
            base_url: None,
            headers: Vec::new(),
            http: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            dialect: Dialect::default(),
            whole_only: false,
        }
    }

    /// Takes the key and the base URL from variables.
    pub(super) fn from_variables(
        model: Arc<str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelError> {
        let variable = |name| variable(name).filter(|value| !value.trim().is_empty());
        let Some(key) = variable("OPENAI_API_KEY") else {
            return Err(configuration(
                "OPENAI_API_KEY is not set; for a server that wants no key, any value will do",
            ));
        };
        let builder = Self::new(model).api_key(key);
        Ok(match variable("OPENAI_BASE_URL") {
            Some(base_url) => builder.base_url(base_url),
            None => builder,
        })
    }

    /// Sets the key, sent as `Authorization: Bearer …`. It is never printed.
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.key = Key::Some(key.into());
        self
    }

    /// Sends no key: for a server of your own, or one that wants it in another [`header`](Self::header).
    pub fn without_key(mut self) -> Self {
        self.key = Key::None;
        self
    }

    /// Sets where the API is; `/chat/completions` is added to its path. Default: `https://api.openai.com/v1`.
    ///
    /// A query is kept, for servers that want one, and never printed.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Names who runs the model, recorded as `gen_ai.provider.name` and asked of the price table. Default: `openai`.
    pub fn provider(mut self, provider: impl Into<Arc<str>>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Adds a header to every request. Its value is never printed.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the requests through a client of your own, for a proxy or other certificates. Default: one pooled client.
    ///
    /// Turn its redirects off. Where it follows one to another server, it sends the conversation there and also every
    /// [`header`](Self::header), though not the key; all that can be done here is to refuse the answer, which is done.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http = Some(client);
        self
    }

    /// Sets how long each part of a request may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how large a reply may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the longest answer is sent as `max_tokens`, for servers that do not know `max_completion_tokens`.
    /// Default: no.
    pub fn legacy_max_tokens(mut self, legacy: bool) -> Self {
        self.dialect.max_tokens = legacy;
        self
    }

    /// Whether streams are asked to report what they used, with `stream_options`. Default: yes. Without it many servers
    /// report nothing, and the cost is then unknown.
    pub fn stream_usage(mut self, report: bool) -> Self {
        self.dialect.no_stream_options = !report;
        self
    }

    /// Whether answers may be streamed. Default: yes. Without it, a stream is made of one whole answer.
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.whole_only = !streaming;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`] for a missing key, a base URL that is none, or a header that cannot be sent.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        let provider = self.provider.to_string();
        self.client()
            .map(|client| OpenAi {
                client: Arc::new(client),
            })
            .map_err(|error| error.with_provider(provider))
    }

    fn client(self) -> Result<Client, ModelError> {
        let endpoint = endpoint(self.base_url.as_deref().unwrap_or(BASE_URL))?;
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match self.key {
            Key::Unset => {
                return Err(configuration(
                    "no key: set one with `api_key`, or say `without_key` for a server that wants none",
                ));
            }
            Key::None if self.base_url.is_none() => {
                return Err(configuration(
                    "`without_key` needs a `base_url`: OpenAI wants a key",
                ));
            }
            Key::None => {}
            Key::Some(key) => {
                let trimmed = key.expose_secret().trim();
                if trimmed.is_empty() {
                    return Err(configuration("the key given to `api_key` is empty"));
                }
                let bearer = secret_value(&format!("Bearer {trimmed}"))
                    .ok_or_else(|| configuration("the key holds characters that no header can"))?;
                headers.insert(header::AUTHORIZATION, bearer);
                secrets.push(SecretString::from(trimmed));
            }
        }
        for (name, value) in self.headers {
            let sent = secret_value(value.expose_secret());
            let (Ok(name), Some(sent)) = (HeaderName::try_from(name.as_str()), sent) else {
                return Err(configuration(format!("the header {name:?} cannot be sent")));
            };
            headers.insert(name, sent);
            secrets.push(value);
        }
        let http = match self.http {
            Some(http) => http,
            None => default_client(&self.timeouts, &endpoint)?,
        };
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint.port_or_known_default();
        Ok(Client {
            http,
            address: format!("{host}:{}", port.unwrap_or_default()),
            info: Arc::new(ModelInfo::new(self.provider, self.model).with_server(host, port)),
            endpoint,
            headers,
            secrets,
            timeouts: self.timeouts,
            limits: self.limits,
            dialect: self.dialect,
            whole_only: self.whole_only,
        })
    }
}

impl fmt::Debug for OpenAiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = endpoint(self.base_url.as_deref().unwrap_or(BASE_URL));
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OpenAiBuilder")
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("endpoint", &endpoint.ok().map(|url| public(&url)))
            .field("headers", &headers)
            .field("timeouts", &self.timeouts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Where the requests go.
fn endpoint(base_url: &str) -> Result<Url, ModelError> {
    let mut url = Url::parse(base_url.trim())
        .map_err(|error| configuration(format!("`base_url` is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(configuration(
            "`base_url` must begin with https:// or http://",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(configuration(
            "`base_url` holds a user name or a password: give them as a `header`",
        ));
    }
    let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

/// A URL as it may be printed.
pub(super) fn public(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn default_client(timeouts: &Timeouts, endpoint: &Url) -> Result<reqwest::Client, ModelError> {
    let mut client = reqwest::Client::builder();
    if endpoint.scheme() == "http" && is_loopback(endpoint.host_str().unwrap_or_default()) {
        // Neither a proxy nor a certificate has anything to do here; reading the system's certificates takes
        // milliseconds and megabytes.
        client = client.no_proxy().tls_certs_only([]);
    }
    client
        .user_agent(concat!("agent-sdk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .build()
        .map_err(|error| configuration("the HTTP client cannot be made").with_source(error))
}

fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
