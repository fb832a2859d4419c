//! Settings for a [`Telemetry`].

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

use crate::error::TelemetryError;
use crate::pipeline::WhenFull;
use crate::profile::{ContentCapture, EmissionProfile};
use crate::settings::{self, Address, Header, Settings};
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
    /// Settings from the standard `OTEL_*` variables and the SDK's own, which can then be changed.
    ///
    /// An empty value counts as unset. Durations are in milliseconds unless it says otherwise.
    ///
    /// | Variable | What it says |
    /// |---|---|
    /// | `OTEL_SDK_DISABLED` | with `true` nothing is recorded, and nothing else is read |
    /// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who this is: a name, a list of `name=value` |
    /// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector's [base address](Self::endpoint) |
    /// | `OTEL_EXPORTER_OTLP_HEADERS` | headers of each request, a list of `name=value` |
    /// | `OTEL_EXPORTER_OTLP_TIMEOUT` | how long a request [may take](Self::export_timeout) |
    /// | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip` or `none` |
    /// | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, and with the feature `grpc` also `grpc` |
    /// | `OTEL_EXPORTER_OTLP_CERTIFICATE` | a file of [certificates](Self::certificate_authorities) that a collector's must be signed by |
    /// | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` | files with the [certificate and the key](Self::client_certificate) of this program |
    /// | the eight before with `TRACES_`, `METRICS_` or `LOGS_` after `OTLP_` | the same of one signal; its address is used as it is |
    /// | `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` or `none`; default: `otlp` where there is an address |
    /// | `OTEL_METRICS_EXPORTER` | a list of `otlp`, `prometheus` and `none` |
    /// | `OTEL_EXPORTER_PROMETHEUS_HOST`, `OTEL_EXPORTER_PROMETHEUS_PORT` | [where](Self::metrics_address) metrics are served |
    /// | `OTEL_METRIC_EXPORT_INTERVAL` | [how often](Self::metric_interval) metrics are sent |
    /// | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `always_on`, `always_off` or `traceidratio` with its ratio, each also after `parentbased_` |
    /// | `AGENT_SDK_OTEL_TAIL` | [rules of tail sampling](crate::TailSampling), such as `errors,slow=10s,share=0.1` |
    /// | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` | the [queue](Self::queue_spans), its [batches](Self::batch_spans) and how long they [wait](Self::batch_delay) |
    /// | `OTEL_BSP_EXPORT_TIMEOUT` | how long a request of traces may take, where that is shorter |
    /// | `AGENT_SDK_OTEL_WHEN_FULL`, `AGENT_SDK_OTEL_SPILL_MAX_BYTES` | what a [full queue](Self::when_full) does: `drop`, `block:MILLISECONDS` or `spill:DIRECTORY`, and how large the directory gets |
    /// | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | [how much](Self::span_limits) a span holds |
    /// | `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` | [how long](Self::attribute_length) a text on it is, in bytes |
    /// | `OTEL_ATTRIBUTE_COUNT_LIMIT`, `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` | the same, where a span has none of its own |
    /// | `OTEL_PROPAGATORS` | a list of `tracecontext`, `baggage` and `none` |
    /// | `AGENT_SDK_PROPAGATE_TO` | the [hosts](Self::propagate_to) that are told of traces, a list |
    /// | `AGENT_SDK_BAGGAGE_KEYS` | what of baggage is [on spans](Self::baggage_keys), a list |
    /// | `OTEL_SEMCONV_STABILITY_OPT_IN` | with `gen_ai_latest_experimental` only the [newest names](EmissionProfile::Latest) leave |
    /// | `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` | where [content](Self::content) goes: `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY` or `SPAN_AND_EVENT` |
    /// | `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT` | with `true` each model request is [an event](Self::emit_events) |
    /// | `OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK` | with `upload` content goes to [files](crate::ContentFiles) |
    /// | `OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH`, `OTEL_INSTRUMENTATION_GENAI_UPLOAD_FORMAT`, `OTEL_INSTRUMENTATION_GENAI_UPLOAD_MAX_QUEUE_SIZE` | where they are, `json` or `jsonl`, and how many wait |
    /// | `RUST_LOG` | [which events](Self::log_filter) are exported as logs |
    /// | `AGENT_SDK_OTEL_LIVE` | with `true` what runs is [listed](Self::live) |
    /// | `AGENT_SDK_OTEL_PENDING_SPANS` | after how many seconds an operation [shows before it ends](Self::pending_spans) |
    /// | `AGENT_SDK_OTEL_CRASH_FOLDER`, `AGENT_SDK_OTEL_CRASH_INTERVAL` | where [word is left](Self::crash_reports) of what ran, and every how many seconds |
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
        self.settings.endpoint = Some(Address::new(base, "TelemetryBuilder::endpoint"));
        self
    }

    /// The full address for traces, used as it is, in place of the one from
    /// [`endpoint`](Self::endpoint).
    pub fn traces_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.traces.endpoint =
            Some(Address::new(url, "TelemetryBuilder::traces_endpoint"));
        self
    }

    /// The full address for metrics, used as it is, in place of the one from
    /// [`endpoint`](Self::endpoint).
    pub fn metrics_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.metrics.endpoint =
            Some(Address::new(url, "TelemetryBuilder::metrics_endpoint"));
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
                "header {position}, of TelemetryBuilder::header, is no name and value of an HTTP header"
            )));
        }
        Telemetry::start(self.settings)
    }
}
