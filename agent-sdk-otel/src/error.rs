//! Why telemetry could not be set up.

use std::error::Error as StdError;
use std::fmt;

/// Why [`Telemetry`](crate::Telemetry) could not be built or its metrics not be served.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. It names the setting at
/// fault, and never the value of a header or an address, which may hold a secret.
#[derive(Debug)]
pub struct TelemetryError {
    kind: TelemetryErrorKind,
    place: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of a [`TelemetryError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TelemetryErrorKind {
    /// A setting or an environment variable has a value that cannot be used.
    Setting,
    /// The HTTP client or a thread could not be started.
    Start,
    /// The metrics address could not be bound.
    Bind,
    /// Metrics were asked for, but their Prometheus form is switched off.
    PrometheusOff,
}

impl TelemetryErrorKind {
    /// The low-cardinality value recorded as the `error.type` attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Start => "start",
            Self::Bind => "bind",
            Self::PrometheusOff => "prometheus_off",
        }
    }
}

impl TelemetryError {
    pub(crate) fn new(kind: TelemetryErrorKind, place: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            source: None,
        }
    }

    pub(crate) fn setting(place: impl Into<String>) -> Self {
        Self::new(TelemetryErrorKind::Setting, place)
    }

    pub(crate) fn start(place: impl Into<String>) -> Self {
        Self::new(TelemetryErrorKind::Start, place)
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> TelemetryErrorKind {
        self.kind
    }
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            TelemetryErrorKind::Setting => "telemetry setting cannot be used",
            TelemetryErrorKind::Start => "telemetry could not start",
            TelemetryErrorKind::Bind => "metrics server could not bind",
            TelemetryErrorKind::PrometheusOff => "prometheus metrics are switched off",
        };
        write!(f, "{what}: {}", self.place)
    }
}

impl StdError for TelemetryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
