//! Settings for a [`Telemetry`].

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

use crate::error::TelemetryError;
use crate::pipeline::WhenFull;
use crate::profile::{ContentCapture, EmissionProfile};
use crate::settings::{self, Header, Secret, Settings};
use crate::telemetry::Telemetry;

/// Settings for a [`Telemetry`]; made by [`Telemetry::builder`] or [`TelemetryBuilder::from_env`].
///
/// Without an address nothing is exported; metrics can still be served.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TelemetryBuilder {
    pub(crate) settings: Settings,
    bad_header: Option<usize>,
    headers_given: usize,
}

impl TelemetryBuilder {
    /// Settings from the standard `OTEL_*` variables, which can then be changed.
    ///
    /// Read are `OTEL_SDK_DISABLED`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the
    /// `OTEL_EXPORTER_OTLP_` family with `ENDPOINT`, `HEADERS`, `TIMEOUT`, `COMPRESSION` (`gzip`, `none`)
    /// and `PROTOCOL` (`http/protobuf`, and with the feature `grpc` also `grpc`), each also for `TRACES_`,
    /// `METRICS_` and `LOGS_`, `OTEL_TRACES_EXPORTER` (`otlp`, `none`), `OTEL_METRICS_EXPORTER` (`otlp`, `prometheus`, `none`),
    /// `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`, `OTEL_TRACES_SAMPLER` and `_ARG`, `OTEL_BSP_*`,
    /// `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_SEMCONV_STABILITY_OPT_IN` and
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`, and for [files of content](crate::ContentFiles)
    /// `OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK` (`upload`, `none`) with `OTEL_INSTRUMENTATION_GENAI_UPLOAD_` and `BASE_PATH`,
    /// `FORMAT`, `MAX_QUEUE_SIZE`.
    /// `AGENT_SDK_OTEL_WHEN_FULL` (`drop`, `block:MILLISECONDS` or `spill:DIRECTORY`) and
    /// `AGENT_SDK_OTEL_SPILL_MAX_BYTES` say what [`when_full`](Self::when_full) does. Durations are in milliseconds.
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting) when a variable's value cannot be used.
    pub fn from_env() -> Result<Self, TelemetryError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with `lookup` in place of the process environment.
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting) when a variable's value cannot be used.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::TelemetryBuilder;
    ///
    /// let refused = TelemetryBuilder::from_lookup(|name| {
    ///     (name == "OTEL_EXPORTER_OTLP_PROTOCOL").then(|| "http/json".to_owned())
    /// });
    /// assert!(refused.is_err());
    /// ```
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        Ok(Self {
            settings: settings::read(lookup)?,
            ..Self::default()
        })
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The name of the service. Default: `unknown_service:` and the program's name.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.settings.service_name = Some(name.into());
        self
    }

    /// Adds an attribute of the resource, such as `deployment.environment.name`.
    pub fn resource_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.resource.push((name.into(), value.into()));
        self
    }

    /// The collector's base address, such as `http://localhost:4318`; traces go to its
    /// `/v1/traces` and metrics to its `/v1/metrics`. Default: none, so that nothing is exported.
    pub fn endpoint(mut self, base: impl Into<String>) -> Self {
        self.settings.endpoint = Some(Secret(base.into()));
        self
    }

    /// The full address for traces, used as it is, in place of the one from
    /// [`endpoint`](Self::endpoint).
    pub fn traces_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.traces.endpoint = Some(Secret(url.into()));
        self
    }

    /// The full address for metrics, used as it is, in place of the one from
    /// [`endpoint`](Self::endpoint).
    pub fn metrics_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.metrics.endpoint = Some(Secret(url.into()));
        self
    }

    /// Adds a header to every export, such as an API key. Its value never shows in an error or in
    /// debug output.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers_given += 1;
        match Header::new(name, value) {
            Some(header) => self.settings.headers.push(header),
            None => self.bad_header = self.bad_header.or(Some(self.headers_given)),
        }
        self
    }

    /// How long one export request may take. Default: 10 seconds.
    pub fn export_timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = limit;
        self
    }

    /// Which traces are recorded. Default: what the caller decided, and all that begin here.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.settings.sampler = Some(sampler);
        self
    }

    /// What happens to a span or log record that finds the queue full. Default: it is dropped and
    /// counted.
    ///
    /// With [`WhenFull::Spill`], what a shutdown could not deliver goes to disk as well.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.settings.when_full = policy;
        self
    }

    /// How many finished spans may wait, of 128 MiB together at most; what is more meets the
    /// [policy](Self::when_full). Default: 65,536.
    pub fn queue_spans(mut self, spans: NonZeroUsize) -> Self {
        self.settings.batch.queue = spans.get();
        self
    }

    /// How many spans make a batch leave, which is then also the most that one request takes.
    /// Default: a batch leaves with 512, and while all requests are busy it grows up to 8,192.
    pub fn batch_spans(mut self, spans: NonZeroUsize) -> Self {
        self.settings.batch.batch = spans.get();
        self.settings.batch.largest = spans.get();
        self
    }

    /// How long a span waits for its batch to fill. Default: 5 seconds.
    pub fn batch_delay(mut self, delay: Duration) -> Self {
        self.settings.batch.delay = delay;
        self
    }

    /// How often metrics are sent to the collector. Default: once a minute.
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.settings.metric_interval = interval;
        self
    }

    /// Whether metrics are kept in a form that can be served. Default: yes.
    pub fn prometheus(mut self, on: bool) -> Self {
        self.settings.prometheus = on;
        self
    }

    /// Shows the metrics in a registry of the `prometheus` crate too, for a program that serves one already. Default: none.
    ///
    /// That page is the classic text format, which has no exemplars; [`Telemetry::serve_metrics`] serves them. A page of
    /// the program's own may also take [`Telemetry::metrics_page`].
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = prometheus::Registry::new();
    /// let telemetry = Telemetry::builder().prometheus_registry(registry.clone()).build()?;
    /// let requests = agent_sdk_otel::opentelemetry::metrics::MeterProvider::meter(telemetry.meter_provider(), "app");
    /// requests.u64_counter("app.requests").build().add(1, &[]);
    /// assert!(registry.gather().iter().any(|family| family.name() == "app_requests_total"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prometheus_registry(mut self, registry: prometheus::Registry) -> Self {
        self.settings.registry = Some(registry);
        self
    }

    /// Where [`Telemetry::metrics_address`] points. Default: port 9464 of this machine only.
    pub fn metrics_address(mut self, address: SocketAddr) -> Self {
        self.settings.prometheus_address = address;
        self
    }

    /// Leaves a label out of the metrics of operations, for example [`attrs::SERVER_ADDRESS`](crate::attrs::SERVER_ADDRESS): series that
    /// differ in it alone become one. Default: none is left out.
    pub fn without_metric_label(mut self, name: impl Into<String>) -> Self {
        self.settings.unwanted_labels.push(name.into());
        self
    }

    /// Which generation of names is emitted. Default: [`EmissionProfile::Both`].
    pub fn profile(mut self, profile: EmissionProfile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// Whether prompts, answers and tool data are recorded. Default: [`ContentCapture::Off`].
    pub fn content(mut self, content: ContentCapture) -> Self {
        self.settings.content = content;
        self
    }

    /// Whether `build` also sets OpenTelemetry's global providers and its W3C propagator, for
    /// libraries that use those. Default: no.
    pub fn set_global(mut self, on: bool) -> Self {
        self.settings.set_global = on;
        self
    }

    /// How long a shutdown may take. Default: 5 seconds.
    pub fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.settings.shutdown_limit = limit;
        self
    }

    /// Starts telemetry.
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting) when an address or a header cannot be used,
    /// [`Start`](crate::TelemetryErrorKind::Start) when a thread or the HTTP client cannot start.
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        if let Some(position) = self.bad_header {
            return Err(TelemetryError::setting(format!(
                "header {position} is no HTTP header"
            )));
        }
        Telemetry::start(self.settings)
    }
}
