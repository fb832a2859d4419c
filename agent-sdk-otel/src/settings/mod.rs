//! What telemetry is set to, from the environment or from code, and what that means.

mod address;
mod env;
mod list;
mod span_limits;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::Sampler;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::attrs;
use crate::content::CaptureSettings;
use crate::encode::Limits;
use crate::error::TelemetryError;
use crate::live::LiveSettings;
use crate::logs::LogSettings;
use crate::otlp::{Compression, Protocol, Target, Trust};
use crate::pipeline::{BatchLimits, WhenFull};
use crate::profile::{ContentCapture, EmissionProfile};
use crate::propagation::PropagationSettings;
use crate::sampling::TailSampling;
use crate::serve::DEFAULT_METRICS_ADDRESS;

pub(crate) use address::Address;
pub(crate) use env::read;
pub(crate) use list::pairs;

/// A signal that has its own address, headers and time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// Its name in the standard variables, in lower case.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    fn path(self, protocol: Protocol) -> &'static str {
        match (protocol, self) {
            (Protocol::HttpProtobuf, Self::Traces) => "/v1/traces",
            (Protocol::HttpProtobuf, Self::Metrics) => "/v1/metrics",
            (Protocol::HttpProtobuf, Self::Logs) => "/v1/logs",
            (Protocol::Grpc, Self::Traces) => {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            }
            (Protocol::Grpc, Self::Metrics) => {
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
            (Protocol::Grpc, Self::Logs) => {
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
            }
        }
    }
}

/// One signal's own settings; what is `None` comes from the common ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignalSettings {
    /// Asked for or refused by name; `None` means that an address decides.
    pub(crate) otlp: Option<bool>,
    /// A full address, used as it is.
    pub(crate) endpoint: Option<Address>,
    pub(crate) headers: Option<Vec<Header>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<Compression>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) trust: Trust,
}

/// Everything that can be set.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the user's own"
)]
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) resource: Vec<(String, String)>,
    /// The base address, to which each signal's path is appended.
    pub(crate) endpoint: Option<Address>,
    pub(crate) headers: Vec<Header>,
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    pub(crate) protocol: Protocol,
    pub(crate) trust: Trust,
    pub(crate) traces: SignalSettings,
    pub(crate) metrics: SignalSettings,
    pub(crate) logs: SignalSettings,
    pub(crate) logging: LogSettings,
    pub(crate) prometheus: bool,
    pub(crate) prometheus_address: SocketAddr,
    pub(crate) registry: Option<prometheus::Registry>,
    /// The names of labels that our metrics go without.
    pub(crate) unwanted_labels: Vec<String>,
    /// Which traces are recorded. `None`: each that begins here, and of those of callers what they record.
    pub(crate) sampler: Option<Sampler>,
    pub(crate) batch: BatchLimits,
    pub(crate) when_full: WhenFull,
    pub(crate) limits: Limits,
    pub(crate) propagation: PropagationSettings,
    pub(crate) openinference: bool,
    pub(crate) metric_interval: Duration,
    pub(crate) profile: EmissionProfile,
    pub(crate) content: ContentCapture,
    pub(crate) live: LiveSettings,
    pub(crate) tail: Option<TailSampling>,
    pub(crate) capture: CaptureSettings,
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
            compression: Compression::default(),
            protocol: Protocol::default(),
            trust: Trust::default(),
            traces: SignalSettings::default(),
            metrics: SignalSettings::default(),
            logs: SignalSettings::default(),
            logging: LogSettings::default(),
            prometheus: true,
            prometheus_address: DEFAULT_METRICS_ADDRESS,
            registry: None,
            unwanted_labels: Vec::new(),
            sampler: None,
            batch: BatchLimits::default(),
            when_full: WhenFull::default(),
            limits: Limits::default(),
            propagation: PropagationSettings::default(),
            openinference: false,
            metric_interval: Duration::from_mins(1),
            profile: EmissionProfile::default(),
            content: ContentCapture::default(),
            live: LiveSettings::default(),
            tail: None,
            capture: CaptureSettings::default(),
            set_global: false,
            shutdown_limit: Duration::from_secs(5),
        }
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
    /// What a signal has of its own.
    fn of(&self, signal: Signal) -> &SignalSettings {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// Who set the address of a signal.
    pub(crate) fn address_from(&self, signal: Signal) -> &str {
        let address = self.of(signal).endpoint.as_ref();
        address
            .or(self.endpoint.as_ref())
            .map_or("the default", Address::from)
    }

    /// What decides which traces are recorded.
    pub(crate) fn sampler(&self) -> Sampler {
        let by_default = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        self.sampler.clone().unwrap_or_else(by_default)
    }

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
        let own = self.of(signal);
        let has_address = own.endpoint.is_some() || self.endpoint.is_some();
        if self.disabled || !own.otlp.unwrap_or(has_address) {
            return Ok(None);
        }
        let protocol = own.protocol.unwrap_or(self.protocol);
        let protocol = protocol.available("the OTLP protocol")?;
        let path = signal.path(protocol);
        let host = protocol.default_endpoint();
        let url = match (protocol, &own.endpoint, &self.endpoint) {
            (Protocol::HttpProtobuf, Some(full), _) => full.url(&format!("{host}{path}"))?,
            (Protocol::HttpProtobuf, None, Some(base)) => address::under(base.url(host)?, path),
            (_, Some(given), _) | (_, None, Some(given)) => {
                address::at_host(given.url(host)?, path)
            }
            (_, None, None) => address::at_host(address::default(protocol).url(host)?, path),
        };
        let mut headers = HeaderMap::new();
        for header in own.headers.as_ref().unwrap_or(&self.headers) {
            headers.insert(header.name.clone(), header.value.clone());
        }
        Ok(Some(Target {
            url,
            headers,
            timeout: own.timeout.unwrap_or(self.timeout),
            compression: own.compression.unwrap_or(self.compression),
            protocol,
            trust: own.trust.or(&self.trust),
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

#[cfg(test)]
mod tests;
