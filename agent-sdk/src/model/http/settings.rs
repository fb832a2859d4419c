//! Settings that all clients have.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Auth, Defaults, Http, StructuredOutput,
    key::{Key, secret_value},
    transport::{Transport, Way},
};
use crate::model::{Limits, ModelError, ModelErrorKind, ModelInfo, is_loopback};

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

/// Settings of a client.
pub(in crate::model) struct Settings {
    defaults: Defaults,
    model: Arc<str>,
    provider: Arc<str>,
    key: Key,
    auth: Result<Auth, String>,
    base_url: Option<String>,
    headers: Vec<(String, SecretString)>,
    client: Option<reqwest::Client>,
    way: Way,
    timeouts: Timeouts,
    limits: Limits,
    whole_only: bool,
    /// `None` where nobody said.
    structured: Option<StructuredOutput>,
    secrets: Vec<SecretString>,
}

impl Settings {
    pub(in crate::model) fn new(model: Arc<str>, defaults: Defaults) -> Self {
        Self {
            model,
            provider: defaults.provider.into(),
            key: Key::Unset,
            auth: Ok(defaults.auth.clone()),
            base_url: None,
            headers: Vec::new(),
            client: None,
            way: Way::Network,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            whole_only: false,
            structured: None,
            secrets: Vec::new(),
            defaults,
        }
    }

    /// Takes the key and the base URL from variables.
    pub(in crate::model) fn variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Defaults {
            key_variables,
            base_url_variable,
            needs_key,
            ..
        } = &self.defaults;
        match key_variables.iter().find_map(|name| variable(name)) {
            Some(key) => self.key = Key::Fixed(key.into()),
            None if *needs_key && !self.is_replayed() => {
                let names = key_variables.join(" or ");
                let message = format!(
                    "{names} is not set; for a server that wants no key, any value will do"
                );
                return Err(configuration(message).with_provider(self.provider.to_string()));
            }
            None => self.key = Key::None,
        }
        if let Some(base_url) = variable(base_url_variable) {
            self.base_url = Some(base_url);
        }
        Ok(())
    }

    pub(in crate::model) fn api_key(&mut self, key: SecretString) {
        self.key = Key::Fixed(key);
    }

    pub(in crate::model) fn api_key_from(
        &mut self,
        key: impl Fn() -> Option<SecretString> + Send + Sync + 'static,
    ) {
        self.key = Key::Each(Arc::new(key));
    }

    pub(in crate::model) fn key_header(&mut self, name: String) {
        self.auth = HeaderName::try_from(name.as_str())
            .map(Auth::Named)
            .map_err(|_| name);
    }

    /// Sets how the key is sent, where one client knows two ways.
    pub(in crate::model) fn auth(&mut self, auth: Auth) {
        self.auth = Ok(auth);
    }

    pub(in crate::model) fn without_key(&mut self) {
        self.key = Key::None;
    }

    pub(in crate::model) fn set_base_url(&mut self, base_url: String) {
        self.base_url = Some(base_url);
    }

    /// Sets where the API is, unless the user said so.
    pub(in crate::model) fn default_base_url(&mut self, base_url: String) {
        self.base_url.get_or_insert(base_url);
    }

    pub(in crate::model) fn set_provider(&mut self, provider: Arc<str>) {
        self.provider = provider;
    }

    pub(in crate::model) fn header(&mut self, name: String, value: SecretString) {
        self.headers.push((name, value));
    }

    pub(in crate::model) fn way(&mut self, way: Way) {
        self.way = way;
    }

    pub(in crate::model) fn http_client(&mut self, client: reqwest::Client) {
        self.client = Some(client);
    }

    pub(in crate::model) fn timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    pub(in crate::model) fn limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(in crate::model) fn whole_only(&mut self, whole_only: bool) {
        self.whole_only = whole_only;
    }

    /// Whether a key is sent; `None` where nobody said.
    #[cfg(feature = "bedrock")]
    pub(in crate::model) fn sends_key(&self) -> Option<bool> {
        match &self.key {
            Key::Unset => None,
            Key::None => Some(false),
            Key::Fixed(_) | Key::Each(_) => Some(true),
        }
    }

    /// Whether answers come out of a recording: nothing is sent, and no key is needed.
    pub(in crate::model) fn is_replayed(&self) -> bool {
        matches!(self.way, Way::Replayed(_))
    }

    #[cfg(feature = "bedrock")]
    pub(in crate::model) fn has_base_url(&self) -> bool {
        self.base_url.is_some()
    }

    /// Keeps a value, though no header of every request holds it, out of errors.
    #[cfg(feature = "bedrock")]
    pub(in crate::model) fn secret(&mut self, value: SecretString) {
        self.secrets.push(value);
    }

    /// Asks for answers of a schema in this way where nobody said how.
    #[cfg(feature = "bedrock")]
    pub(in crate::model) fn structured_unless_set(&mut self, structured: StructuredOutput) {
        self.structured.get_or_insert(structured);
    }

    pub(in crate::model) fn set_structured(&mut self, structured: StructuredOutput) {
        self.structured = Some(structured);
    }

    pub(in crate::model) fn structured(&self) -> StructuredOutput {
        self.structured.unwrap_or_default()
    }

    pub(in crate::model) fn is_whole_only(&self) -> bool {
        self.whole_only
    }

    pub(in crate::model) fn model(&self) -> &Arc<str> {
        &self.model
    }

    pub(in crate::model) fn provider(&self) -> &str {
        &self.provider
    }

    /// Where the API is.
    pub(in crate::model) fn base_url(&self) -> Result<Url, ModelError> {
        parse(self.base_url.as_deref().unwrap_or(self.defaults.base_url))
    }

    /// Makes what the clones of the client share.
    pub(in crate::model) fn into_http(mut self, base: &Url) -> Result<Http, ModelError> {
        let auth = self
            .auth
            .map_err(|name| configuration(format!("the header {name:?} cannot be sent")))?;
        if matches!(self.way, Way::Replayed(_)) {
            self.key = Key::None;
        }
        match self.key {
            _ if matches!(self.way, Way::Replayed(_)) => {}
            Key::Unset if self.defaults.needs_key => {
                return Err(configuration(
                    "no key: set one with `api_key`, or say `without_key` for a server that wants none",
                ));
            }
            Key::None if self.base_url.is_none() && self.defaults.needs_key => {
                return Err(configuration(
                    "`without_key` needs a `base_url`: the provider's own address wants a key",
                ));
            }
            _ => {}
        }
        let mut headers = HeaderMap::new();
        let mut secrets = self.secrets;
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in self.defaults.headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        // A key that changes is asked for with each request.
        if let Key::Fixed(key) = &self.key {
            headers.extend(self.key.header(&auth)?);
            secrets.push(SecretString::from(key.expose_secret().trim()));
        }
        for (name, value) in self.headers {
            let sent = secret_value(value.expose_secret());
            let (Ok(name), Some(sent)) = (HeaderName::try_from(name.as_str()), sent) else {
                return Err(configuration(format!("the header {name:?} cannot be sent")));
            };
            headers.insert(name, sent);
            secrets.push(value);
        }
        let transport = Transport::new(self.way, self.client, &self.timeouts, base)?;
        let host = base.host_str().unwrap_or_default();
        let port = base.port_or_known_default();
        Ok(Http {
            transport,
            base: base.clone(),
            address: format!("{host}:{}", port.unwrap_or_default()),
            info: Arc::new(
                ModelInfo::new(self.provider, self.model)
                    .with_server(host, port)
                    .with_api_type(self.defaults.api_type),
            ),
            headers,
            key: self.key,
            auth,
            secrets,
            timeouts: self.timeouts,
            limits: self.limits,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("client", &self.defaults.client)
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("base_url", &self.base_url().ok().map(|url| public(&url)))
            .field("headers", &headers)
            .field("timeouts", &self.timeouts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn parse(base_url: &str) -> Result<Url, ModelError> {
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
    url.set_fragment(None);
    Ok(url)
}

/// The base URL with an API's own path, and query if it has one, added.
pub(in crate::model) fn address(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    if !query.is_empty() {
        let query = match base.query() {
            Some(own) if !own.is_empty() => format!("{own}&{query}"),
            _ => query.to_owned(),
        };
        url.set_query(Some(&query));
    }
    url
}

/// A URL as it may be printed.
pub(super) fn public(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// A client without redirects and retries of its own.
pub(crate) fn default_client(
    timeouts: &Timeouts,
    endpoint: &Url,
) -> Result<reqwest::Client, ModelError> {
    let mut client = client_builder(timeouts.connect);
    if endpoint.scheme() == "http" && is_loopback(endpoint.host_str().unwrap_or_default()) {
        // Neither a proxy nor a certificate has anything to do here; reading the system's certificates takes
        // milliseconds and megabytes.
        client = client.no_proxy().tls_certs_only([]);
    }
    client
        .build()
        .map_err(|error| configuration("the HTTP client cannot be made").with_source(error))
}

/// What every client of ours has: no redirects and no retries of its own.
pub(crate) fn client_builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("agent-sdk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        // HTTP/2 comes in where another crate of the build asks for it.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
}

/// The SDK's own settings are wrong.
pub(in crate::model) fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
