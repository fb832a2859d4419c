//! Settings for the tool.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    AllowedHost, HttpMethod, HttpRequest, Inner, Resolver, SystemResolver,
    address::{Network, Policy},
    resolve::Checked,
};
use crate::{
    model::client_builder,
    tool::builtin::{BuiltinError, BuiltinErrorKind},
};

/// As much of an answer as fits, with its head, what a model is shown of one result.
const MAX_BODY: usize = 252 * 1024;

/// Settings for [`HttpRequest`]; made by [`HttpRequest::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpRequestBuilder {
    hosts: Vec<AllowedHost>,
    networks: Vec<String>,
    methods: Vec<HttpMethod>,
    resolver: Arc<dyn Resolver>,
    connect_timeout: Duration,
    timeout: Duration,
    max_redirects: u32,
    max_body_bytes: usize,
    asks_before_writing: bool,
}

impl HttpRequestBuilder {
    pub(super) fn new() -> Self {
        Self {
            hosts: Vec::new(),
            networks: Vec::new(),
            methods: vec![HttpMethod::Get, HttpMethod::Head],
            resolver: Arc::new(SystemResolver),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_redirects: 5,
            max_body_bytes: MAX_BODY,
            asks_before_writing: true,
        }
    }

    /// Allows a host: see [`AllowedHost::new`]. Of several that a URL fits, the one that says most of the host counts.
    pub fn allow_host(mut self, host: impl Into<AllowedHost>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Allows the addresses of a network (`10.20.0.0/16`, `fd00:1::/32`, or one address) though they are not
    /// [public](super::is_public), for all allowed hosts.
    pub fn allow_network(mut self, network: impl Into<String>) -> Self {
        self.networks.push(network.into());
        self
    }

    /// Allows a method. Default: `GET` and `HEAD`.
    pub fn allow_method(mut self, method: HttpMethod) -> Self {
        if !self.methods.contains(&method) {
            self.methods.push(method);
            self.methods.sort_unstable();
        }
        self
    }

    /// Sets whether a person is asked before a request of a method that writes. Default: yes.
    pub fn ask_before_writing(mut self, asks: bool) -> Self {
        self.asks_before_writing = asks;
        self
    }

    /// Sets how names become addresses. What it says is checked as any other answer. Default: the operating system's.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Sets how long connecting may take. Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a call may take, redirects and the whole answer included. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many redirects are followed. Default: 5. With 0, a redirect is an answer like any other.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Sets how much of an answer's body is read and shown, in bytes. Default: 252 KiB, which together with its head is what a model
    /// is shown of one result; of more, it would lose the middle.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Makes the tool.
    ///
    /// # Errors
    ///
    /// No host is allowed; a host, a network or a header is not one; two hosts are the same; a host is an address that is not public
    /// and nobody said that it may be.
    pub fn build(self) -> Result<HttpRequest, BuiltinError> {
        if self.hosts.is_empty() {
            return Err(BuiltinError::new(
                BuiltinErrorKind::NothingAllowed,
                "`http_request` may ask no host: name those that it may with `allow_host`",
            ));
        }
        let mut policy = Policy::default();
        for network in &self.networks {
            let read = Network::parse(network).ok_or_else(|| {
                BuiltinError::invalid(format!(
                    "the allowed network {network:?} is not one: write it as `10.20.0.0/16`"
                ))
            })?;
            policy.networks.push(read);
        }
        let mut rules = Vec::with_capacity(self.hosts.len());
        for host in self.hosts {
            let rule = host.rule(&policy)?;
            if rules.iter().any(|other| rule.is_as(other)) {
                return Err(BuiltinError::invalid(format!(
                    "the host {:?} is allowed twice",
                    rule.shown
                )));
            }
            rules.push(rule);
        }
        rules.sort_by_cached_key(super::host::Rule::rank);
        let client = |policy: Policy| {
            let resolver = self.resolver.clone();
            client_builder(self.connect_timeout)
                .dns_resolver(Checked { resolver, policy })
                // It would resolve by itself, behind what is checked here.
                .no_proxy()
                // Each request's address is found and checked for it.
                .pool_max_idle_per_host(0)
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .build()
                .map_err(|_| BuiltinError::invalid("the HTTP client cannot be made"))
        };
        let may_be_private = rules.iter().any(|rule| rule.private);
        let private = may_be_private.then(|| {
            client(Policy {
                private: true,
                ..policy.clone()
            })
        });
        Ok(HttpRequest(Arc::new(Inner {
            client: client(policy.clone())?,
            private: private.transpose()?,
            rules,
            policy,
            methods: self.methods,
            max_redirects: self.max_redirects,
            max_body_bytes: self.max_body_bytes,
            timeout: self.timeout,
            asks_before_writing: self.asks_before_writing,
        })))
    }
}

impl fmt::Debug for HttpRequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequestBuilder")
            .field("hosts", &self.hosts)
            .field("networks", &self.networks)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}
