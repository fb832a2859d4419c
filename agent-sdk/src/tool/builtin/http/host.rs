//! The hosts that may be asked.

use std::{fmt, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::address::Policy;
use crate::tool::builtin::{BuiltinError, BuiltinErrorKind};

/// Headers that say how a request travels; the client writes them.
const TRAVEL: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::ACCEPT_ENCODING,
];

/// A host that [`HttpRequest`](super::HttpRequest) may ask, and how. A text becomes one, as `api.example.com`.
#[derive(Clone)]
pub struct AllowedHost {
    pattern: String,
    http: bool,
    private: bool,
    headers: Vec<(String, SecretString)>,
}

impl AllowedHost {
    /// A host by its name or address (`api.example.com`, `api.example.com:8443`), all names under one (`*.example.com`, to which
    /// `example.com` itself does not belong), or every host (`*`). Without a port, it is the scheme's own alone. Default: over `https://`
    /// and at public addresses.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            http: false,
            private: false,
            headers: Vec::new(),
        }
    }

    /// Allows `http://` too: everybody on the way can read and change what is said.
    #[must_use]
    pub fn over_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Allows it to be at an address of this machine or of a private network. Metadata services, the local link and ranges that no
    /// machine has stay refused: [`allow_network`](super::HttpRequestBuilder::allow_network) names even those.
    #[must_use]
    pub fn at_private_addresses(mut self) -> Self {
        self.private = true;
        self
    }

    /// Sends a header with every request to it, such as a key. The model neither sees nor replaces it, and after a redirect to another
    /// origin it is sent no more.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Reads what was said of it.
    pub(super) fn rule(self, policy: &Policy) -> Result<Rule, BuiltinError> {
        let shown = &self.pattern;
        let invalid =
            |why: &str| BuiltinError::invalid(format!("the allowed host {shown:?} {why}"));
        let is_host = |c: char| !c.is_whitespace() && !"/?#@\\".contains(c);
        if !shown.chars().all(is_host) || shown.is_empty() {
            return Err(invalid("is not one: give a name and a port at most"));
        }
        let (name, port) = if shown == "*" {
            (Name::Any, None)
        } else {
            let (under, host) = match shown.strip_prefix("*.") {
                Some(host) => (true, host),
                None => (false, shown.as_str()),
            };
            let url = Url::parse(&format!("https://{host}"));
            let url = url.map_err(|_| invalid("is not one: give a name and a port at most"))?;
            let host = plain(&url);
            if host.contains('*') {
                return Err(invalid("has a `*` elsewhere than at its beginning"));
            }
            match (under, literal(&url)) {
                (true, Some(_)) => return Err(invalid("has a `*` before an address")),
                (true, None) => (Name::Under(format!(".{host}")), url.port()),
                (false, address) => {
                    let policy = Policy {
                        private: self.private,
                        ..policy.clone()
                    };
                    if let Some(Err(leads)) = address.map(|address| policy.check(address)) {
                        return Err(BuiltinError::new(
                            BuiltinErrorKind::NotPublic,
                            format!(
                                "the allowed host {shown:?} is {leads}: say `at_private_addresses` of it, or name its network with \
                                 `allow_network`, where that is meant"
                            ),
                        ));
                    }
                    (Name::Exact(host.to_owned()), url.port())
                }
            }
        };
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        for (name, value) in self.headers {
            let sent = HeaderValue::try_from(value.expose_secret());
            let (Ok(name), Ok(mut sent)) = (HeaderName::try_from(name.as_str()), sent) else {
                return Err(BuiltinError::invalid(format!(
                    "the header {name:?} of the allowed host {:?} cannot be sent",
                    self.pattern
                )));
            };
            if TRAVEL.contains(&name) {
                return Err(BuiltinError::invalid(format!(
                    "the header `{name}` is the HTTP client's to write"
                )));
            }
            sent.set_sensitive(true);
            headers.insert(name, sent);
            secrets.push(value);
        }
        Ok(Rule {
            shown: self.pattern,
            name,
            port,
            http: self.http,
            private: self.private,
            headers,
            secrets,
        })
    }
}

impl From<&str> for AllowedHost {
    fn from(pattern: &str) -> Self {
        Self::new(pattern)
    }
}

impl From<String> for AllowedHost {
    fn from(pattern: String) -> Self {
        Self::new(pattern)
    }
}

impl fmt::Debug for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("AllowedHost")
            .field("pattern", &self.pattern)
            .field("http", &self.http)
            .field("private", &self.private)
            .field("headers", &headers)
            .finish()
    }
}

/// What is known of a host's name; in this order, the more is known, the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Exact(String),
    /// With the full stop before it.
    Under(String),
    Any,
}

/// An allowed host, as it was understood.
pub(super) struct Rule {
    pub(super) shown: String,
    name: Name,
    port: Option<u16>,
    pub(super) http: bool,
    pub(super) private: bool,
    pub(super) headers: HeaderMap,
    pub(super) secrets: Vec<SecretString>,
}

impl Rule {
    /// Whether another is of the same hosts.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        (&self.name, self.port) == (&other.name, other.port)
    }

    /// What knows more of a host comes first.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let (kind, length) = match &self.name {
            Name::Exact(_) => (0, 0),
            Name::Under(name) => (1, name.len()),
            Name::Any => (2, 0),
        };
        (kind, std::cmp::Reverse(length), self.port.is_none())
    }

    /// Whether it is of a URL's host and port.
    pub(super) fn is_of(&self, url: &Url) -> bool {
        let host = plain(url);
        let is_named = match &self.name {
            Name::Exact(name) => host == name,
            Name::Under(name) => {
                literal(url).is_none() && host.len() > name.len() && host.ends_with(name)
            }
            Name::Any => true,
        };
        is_named
            && match self.port {
                Some(port) => url.port_or_known_default() == Some(port),
                None => url.port().is_none(),
            }
    }
}

/// A URL's host as it is compared: the parser has written it in lower case and addresses in their usual form.
fn plain(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_suffix('.').unwrap_or(host)
}

/// The address that a URL's host is.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_matches(['[', ']']).parse().ok()
}
