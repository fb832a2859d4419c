//! What telemetry is set to, from the environment or from code, and what that means.

mod env;
mod list;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::Sampler;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::attrs;
use crate::encode::Limits;
use crate::error::TelemetryError;
use crate::otlp::Target;
use crate::pipeline::BatchLimits;
use crate::profile::{ContentCapture, EmissionProfile};
use crate::serve::DEFAULT_METRICS_ADDRESS;

pub(crate) use env::read;

/// Where a collector listens when OTLP was asked for without an address.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// A signal that has its own address, headers and time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }
}

/// One signal's own settings; what is `None` comes from the common ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignalSettings {
    /// Asked for or refused by name; `None` means that an address decides.
    pub(crate) otlp: Option<bool>,
    /// A full address, used as it is.
    pub(crate) endpoint: Option<Secret>,
    pub(crate) headers: Option<Vec<Header>>,
    pub(crate) timeout: Option<Duration>,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) resource: Vec<(String, String)>,
    /// The base address, to which each signal's path is appended.
    pub(crate) endpoint: Option<Secret>,
    pub(crate) headers: Vec<Header>,
    pub(crate) timeout: Duration,
    pub(crate) traces: SignalSettings,
    pub(crate) metrics: SignalSettings,
    pub(crate) logs: SignalSettings,
    pub(crate) prometheus: bool,
    pub(crate) prometheus_address: SocketAddr,
    pub(crate) registry: Option<prometheus::Registry>,
    /// The names of labels that our metrics go without.
    pub(crate) unwanted_labels: Vec<String>,
    pub(crate) sampler: Sampler,
    pub(crate) batch: BatchLimits,
    pub(crate) limits: Limits,
    pub(crate) metric_interval: Duration,
    pub(crate) profile: EmissionProfile,
    pub(crate) content: ContentCapture,
    pub(crate) set_global: bool,
    pub(crate) shutdown_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            disabled: false,
            service_name: None,
            resource: Vec::new(),
            endpoint: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            traces: SignalSettings::default(),
            metrics: SignalSettings::default(),
            logs: SignalSettings::default(),
            prometheus: true,
            prometheus_address: DEFAULT_METRICS_ADDRESS,
            registry: None,
            unwanted_labels: Vec::new(),
            sampler: Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
            batch: BatchLimits::default(),
            limits: Limits::default(),
            metric_interval: Duration::from_mins(1),
            profile: EmissionProfile::default(),
            content: ContentCapture::default(),
            set_global: false,
            shutdown_limit: Duration::from_secs(5),
        }
    }
}

/// Text that may hold a password, such as an address with a user part.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}

/// A request header, whose value is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl Header {
    /// `None` when the name or the value is not allowed in a header.
    pub(crate) fn new(name: &str, value: &str) -> Option<Self> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())
    }
}

impl Settings {
    /// Whether anything is sent.
    pub(crate) fn sends(&self) -> Result<bool, TelemetryError> {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            if self.target(signal)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where a signal is sent; `None` when it is not.
    pub(crate) fn target(&self, signal: Signal) -> Result<Option<Target>, TelemetryError> {
        let own = match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        };
        let has_address = own.endpoint.is_some() || self.endpoint.is_some();
        if self.disabled || !own.otlp.unwrap_or(has_address) {
            return Ok(None);
        }
        let url = match (&own.endpoint, &self.endpoint) {
            (Some(full), _) => parse_url(&full.0)?,
            (None, Some(base)) => with_path(parse_url(&base.0)?, signal),
            (None, None) => with_path(parse_url(DEFAULT_ENDPOINT)?, signal),
        };
        let mut headers = HeaderMap::new();
        for header in own.headers.as_ref().unwrap_or(&self.headers) {
            headers.insert(header.name.clone(), header.value.clone());
        }
        Ok(Some(Target {
            url,
            headers,
            timeout: own.timeout.unwrap_or(self.timeout),
        }))
    }

    /// Who produces the telemetry.
    pub(crate) fn resource(&self) -> Resource {
        let mut attributes: Vec<_> = self
            .resource
            .iter()
            .map(|(name, value)| attrs::custom(name.clone(), value.clone()))
            .collect();
        if let Some(name) = &self.service_name {
            attributes.push(attrs::text(attrs::SERVICE_NAME, name.clone()));
        } else if !self
            .resource
            .iter()
            .any(|(name, _)| name == attrs::SERVICE_NAME)
        {
            attributes.push(attrs::text(attrs::SERVICE_NAME, unknown_service()));
        }
        let sdk: Box<dyn ResourceDetector> = Box::new(TelemetryResourceDetector);
        Resource::builder_empty()
            .with_detector(sdk)
            .with_attributes(attributes)
            .build()
    }
}

fn unknown_service() -> String {
    std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .map_or_else(
            || "unknown_service".to_owned(),
            |name| format!("unknown_service:{name}"),
        )
}

fn parse_url(text: &str) -> Result<Url, TelemetryError> {
    // The cause would repeat the text, in which there may be a password.
    let unusable = || TelemetryError::setting("the OTLP endpoint is not an http or https address");
    let url = Url::parse(text.trim()).map_err(|_| unusable())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err(unusable())
    }
}

fn with_path(mut url: Url, signal: Signal) -> Url {
    let path = format!("{}{}", url.path().trim_end_matches('/'), signal.path());
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests;
