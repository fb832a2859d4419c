//! `http_request`: one request to a host that is allowed.
//!
//! Whoever decides what a model reads decides what it asks for: the danger is a request to what only this machine can reach (a database,
//! an administrator's page, the cloud's metadata service with its keys), and one that carries something out. So:
//!
//! - The host must be [allowed](HttpRequestBuilder::allow_host), by name; without any, the tool does not build. It is `https://`
//!   alone, unless a host is allowed without.
//! - An address must be [public](is_public), however it is written and wherever it comes from. A name is resolved once for each
//!   connection, all its addresses are checked, and the connection goes to those that were checked. Nothing is kept open for
//!   the next request, and no proxy of the environment is used, since it would resolve by itself.
//! - A redirect is a request of its own to all of these rules. It goes from `https://` to nothing else, and to another origin it takes
//!   neither a body nor the headers that the user set.
//! - The model may set the headers of [`HEADERS`] and no other.
//! - At most so much of an answer is read, as it comes over the wire: compression is not asked for, and what is compressed all
//!   the same is not unpacked, so nothing grows. Only text is shown.
//!
//! | File | What it holds |
//! |---|---|
//! | `address` | which addresses are public |
//! | `host` | which hosts are allowed |
//! | `resolve` | from a name to addresses that were checked |
//! | `exchange` | a request, its redirects, its answer |
//! | `answer` | what the model is shown of an answer |

mod address;
mod answer;
mod builder;
mod exchange;
mod host;
mod resolve;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    address::Policy,
    exchange::Request,
    host::{Rule, literal},
};
pub use self::{
    address::is_public,
    builder::HttpRequestBuilder,
    host::AllowedHost,
    resolve::{Resolver, SystemResolver},
};
use crate::{
    model::ToolSpec,
    tool::{
        Effect, Tool, ToolContext, ToolError, ToolErrorKind, ToolOptions, ToolOutput, parse,
        schema_of,
    },
};

/// The longest URL that is asked for, in bytes.
const MAX_URL: usize = 8 * 1024;

/// How many allowed hosts the model is told.
const SHOWN_HOSTS: usize = 20;

/// The headers that a model may set.
const HEADERS: &[HeaderName] = &[
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
];

/// A method of [`HttpRequest`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Reads the headers alone.
    Head,
    /// Writes.
    Post,
    /// Writes.
    Put,
    /// Writes.
    Patch,
    /// Writes.
    Delete,
}

impl HttpMethod {
    /// Its name in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Head)
    }

    fn wire(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// The tool `http_request`: one request over HTTP to a host that is allowed. Cheap to clone.
///
/// The model gives `url`, and `method`, `headers` and `body` where it needs them. It is shown the status, some headers and the text of
/// the answer, of whatever status; a request that is not allowed or gets no answer is an error that says what to do instead.
/// Dropping a call closes its connection.
///
/// # Example
///
/// ```
/// use agent_sdk::tool::builtin::{AllowedHost, HttpRequest};
///
/// # fn main() -> Result<(), agent_sdk::tool::builtin::BuiltinError> {
/// let key = "secret".to_owned();
/// let tool = HttpRequest::builder()
///     .allow_host("*.wikipedia.org")
///     .allow_host(AllowedHost::new("api.example.com").header("authorization", format!("Bearer {key}")))
///     .build()?;
///
/// assert!(tool.check("https://de.wikipedia.org/wiki/Bern").is_ok());
/// assert!(tool.check("https://de.wikipedia.org.evil.example/").is_err());
/// assert!(tool.check("http://169.254.169.254/latest/meta-data/").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpRequest(Arc<Inner>);

struct Inner {
    rules: Vec<Rule>,
    policy: Policy,
    methods: Vec<HttpMethod>,
    /// To public addresses and networks that are allowed.
    client: reqwest::Client,
    /// To private addresses too; only where a host is allowed to have one.
    private: Option<reqwest::Client>,
    max_redirects: u32,
    max_body_bytes: usize,
    timeout: Duration,
    asks_before_writing: bool,
}

/// What the model gives.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The whole URL, beginning with `https://`.
    url: String,
    /// Default: GET.
    #[serde(default)]
    method: Option<HttpMethod>,
    /// Headers of the request: Accept, Accept-Language, Content-Type, If-Modified-Since, If-None-Match, Range.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body, for methods that have one.
    #[serde(default)]
    body: Option<String>,
}

impl HttpRequest {
    /// Settings for the tool. Nothing is allowed yet.
    pub fn builder() -> HttpRequestBuilder {
        HttpRequestBuilder::new()
    }

    /// Whether a request to a URL may begin: the URL is one, its host and scheme are allowed, and it is no address that is not
    /// public. Nothing is sent or resolved; where a name leads is checked when a connection is made.
    ///
    /// # Errors
    ///
    /// It may not; the error says why, for the model.
    pub fn check(&self, url: &str) -> Result<(), ToolError> {
        self.target(url).map(|_| ())
    }

    /// The URL, where a request to it may begin.
    fn target(&self, url: &str) -> Result<(Url, &Rule), ToolError> {
        if url.len() > MAX_URL {
            return Err(ToolError::invalid_arguments(format!(
                "the URL is longer than {MAX_URL} bytes"
            )));
        }
        let mut url = Url::parse(url.trim()).map_err(|error| {
            ToolError::invalid_arguments(format!("`url` is not a whole URL: {error}"))
        })?;
        url.set_fragment(None);
        let rule = self.0.rule(&url).map_err(ToolError::invalid_arguments)?;
        Ok((url, rule))
    }

    fn request(&self, arguments: Arguments) -> Result<Request<'_>, ToolError> {
        let invalid = |message: String| Err(ToolError::invalid_arguments(message));
        let (url, rule) = self.target(&arguments.url)?;
        let method = arguments.method.unwrap_or(HttpMethod::Get);
        let allowed = &self.0.methods;
        if !allowed.contains(&method) {
            let names: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
            return invalid(format!(
                "the method {} is not allowed; use {}",
                method.as_str(),
                names.join(" or ")
            ));
        }
        if arguments.body.is_some() && !method.writes() {
            return invalid(format!("a request of {} has no body", method.as_str()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &arguments.headers {
            let known = HeaderName::try_from(name.as_str()).ok();
            let Some(name) = known.filter(|name| HEADERS.contains(name)) else {
                let names: Vec<_> = HEADERS.iter().map(HeaderName::as_str).collect();
                return invalid(format!(
                    "a header is not allowed; those that are: {}",
                    names.join(", ")
                ));
            };
            let Ok(value) = HeaderValue::try_from(value.as_str()) else {
                return invalid(format!("the value of the header `{name}` cannot be sent"));
            };
            headers.insert(name, value);
        }
        Ok(Request {
            method: method.wire(),
            url,
            rule,
            headers,
            body: arguments.body,
            is_first_origin: true,
        })
    }

    async fn ask(&self, context: &ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let arguments: Arguments = parse(arguments)?;
        let writes = arguments.method.is_some_and(HttpMethod::writes);
        let request = self.request(arguments)?;
        if writes && self.0.asks_before_writing && !context.is_approved() {
            // Without the query, which may be long.
            let address = format!(
                "{}{}",
                request.url.origin().ascii_serialization(),
                request.url.path()
            );
            let address = address
                .get(..address.floor_char_boundary(300))
                .unwrap_or_default();
            return Err(ToolError::needs_approval(format!(
                "may a {} request be sent to {address}?",
                request.method
            )));
        }
        let timeout = self.0.timeout;
        let answer = tokio::time::timeout(timeout, exchange::run(&self.0, context, request)).await;
        answer.map_err(|_| {
            ToolError::new(
                ToolErrorKind::Timeout,
                format!("the server's answer was not there within {timeout:?}"),
            )
        })?
    }
}

impl Inner {
    /// What is said of a URL's host, or why there may be no request to it.
    fn rule(&self, url: &Url) -> Result<&Rule, String> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err("only URLs that begin with https:// can be asked for".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user name or a password: leave them out".to_owned());
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.is_of(url)) else {
            return Err(format!(
                "this host is not allowed, or not at this port; those that are: {}",
                self.hosts()
            ));
        };
        if url.scheme() == "http" && !rule.http {
            return Err("this host may only be asked over https://".to_owned());
        }
        if let Some(address) = literal(url) {
            let check = self.policy_of(rule).check(address);
            check.map_err(|leads| format!("this address is {leads} and may not be asked"))?;
        }
        Ok(rule)
    }

    fn policy_of(&self, rule: &Rule) -> Policy {
        Policy {
            private: rule.private,
            ..self.policy.clone()
        }
    }

    fn client_of(&self, rule: &Rule) -> &reqwest::Client {
        let private = self.private.as_ref().filter(|_| rule.private);
        private.unwrap_or(&self.client)
    }

    /// The hosts that are allowed, in words.
    fn hosts(&self) -> String {
        let shown = self.rules.iter().take(SHOWN_HOSTS);
        let shown: Vec<_> = shown.map(|rule| rule.shown.as_str()).collect();
        let more = self.rules.len().saturating_sub(SHOWN_HOSTS);
        let more = (more > 0).then(|| format!(" and {more} more"));
        format!("{}{}", shown.join(", "), more.unwrap_or_default())
    }
}

impl Tool for HttpRequest {
    fn spec(&self) -> ToolSpec {
        let methods: Vec<_> = self
            .0
            .methods
            .iter()
            .map(|method| method.as_str())
            .collect();
        let description = format!(
            "Sends one HTTP request and gives the answer's status, headers and text. Methods: {}. Hosts: {}.",
            methods.join(", "),
            self.0.hosts()
        );
        ToolSpec::new("http_request", description, schema_of::<Arguments>())
    }

    /// [`Effect::ReadOnly`] where only `GET` and `HEAD` are allowed, else [`Effect::Write`].
    fn options(&self) -> ToolOptions {
        let writes = self.0.methods.iter().any(|method| method.writes());
        ToolOptions::default()
            .with_effect(if writes {
                Effect::Write
            } else {
                Effect::ReadOnly
            })
            // Its own limit comes first, and says more.
            .with_timeout(self.0.timeout.saturating_add(Duration::from_secs(1)))
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        self.ask(&context, arguments).await
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("hosts", &self.0.hosts())
            .field("methods", &self.0.methods)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
