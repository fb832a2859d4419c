//! From names to addresses that may be used.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Policy;

/// Finds the addresses of a name. It is asked once for each connection, and the connection goes to what it said.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host.
    ///
    /// # Errors
    ///
    /// There are none, or they could not be found.
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system, on Tokio's blocking pool.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        let work = move || -> io::Result<Vec<IpAddr>> {
            let found = (host.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        };
        Box::pin(async move { tokio::task::spawn_blocking(work).await? })
    }
}

/// What the HTTP client resolves with: nothing else tells it an address, so what was checked is what it connects to.
pub(super) struct Checked {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Policy,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy) = (self.resolver.clone(), self.policy.clone());
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await;
            let found = found.map_err(|_| Unresolved::Unknown)?;
            if found.is_empty() {
                return Err(Unresolved::Unknown.into());
            }
            // One that may not be used is reason enough: whoever owns the name would only have to ask again.
            for address in &found {
                policy.check(*address).map_err(Unresolved::Refused)?;
            }
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// Why a name led to no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    Unknown,
    /// It leads here, in words.
    Refused(&'static str),
}

impl Unresolved {
    /// What stopped a request, if it was this.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref() {
                return Some(*own);
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the host has no address"),
            Self::Refused(what) => write!(f, "the host leads to {what}"),
        }
    }
}

impl StdError for Unresolved {}
