//! Traces and metrics, set up together and shut down together.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use agent_sdk::budget::Ledger;
use agent_sdk::operation::{IdSource, Observer, Observers};
use agent_sdk::redact::Redactor;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::Counter;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::breakers::Breakers;
use crate::budgets::Budgets;
use crate::builder::TelemetryBuilder;
use crate::content::Capture;
use crate::error::TelemetryError;
use crate::ids::SpanIds;
use crate::instruments::{Labels, MetricsObserver};
use crate::live::{Export, Live};
use crate::metrics::{Metrics, MetricsSettings, SCOPE};
use crate::otlp::{ExportThread, OtlpClient};
use crate::pipeline::{CountingSampler, ExportAccount, Pipeline, PipelineProcessor, Scope};
use crate::profile::{ContentCapture, EmissionProfile};
use crate::report::ShutdownReport;
use crate::sampling::{TailCounts, TailSampler};
use crate::settings::{Settings, Signal};
use crate::spans::SpanObserver;
use crate::tools::Tools;
use crate::tracer::BridgeTracer;
use crate::{attrs, layer, metric};

/// Traces and metrics of one process.
///
/// Keep it until the program ends and then call [`shutdown`](Self::shutdown), which says what
/// became of everything. Dropping it does the same and cannot say.
///
/// # Example
///
/// ```
/// use agent_sdk_otel::Telemetry;
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
/// let telemetry = Telemetry::builder().service_name("triage").build()?;
/// let subscriber = tracing_subscriber::registry().with(telemetry.layer());
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info_span!("work").in_scope(|| {});
/// });
/// assert!(telemetry.shutdown().is_complete());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it shuts telemetry down"]
pub struct Telemetry {
    traces: Option<Traces>,
    logs: Option<Pipeline>,
    pub(crate) metrics: Metrics,
    operations: Option<Arc<MetricsObserver>>,
    capture: Capture,
    pub(crate) settings: Settings,
    pub(crate) live: Live,
    budgets: Budgets,
    pub(crate) breakers: Breakers,
    pub(crate) tools: Tools,
    metrics_flushed: Mutex<Option<bool>>,
    pub(crate) ignored_headers: Counter<u64>,
    dropped: Counter<u64>,
}

struct Traces {
    provider: SdkTracerProvider,
    pipeline: Pipeline,
    tail: Option<Arc<TailSampler<Pipeline>>>,
}

impl Telemetry {
    /// Settings in which nothing is exported until an address is given.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::default()
    }

    /// Telemetry as the standard `OTEL_*` variables say; see [`TelemetryBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting) when a variable's value cannot be used,
    /// [`Start`](crate::TelemetryErrorKind::Start) when a thread or the HTTP client cannot start.
    pub fn from_env() -> Result<Self, TelemetryError> {
        TelemetryBuilder::from_env()?.build()
    }

    pub(crate) fn start(settings: Settings) -> Result<Self, TelemetryError> {
        settings.propagation.checked()?;
        let resource = settings.resource();
        let thread = settings.sends()?.then(ExportThread::start).transpose()?;
        let otlp = settings.target(Signal::Metrics)?.zip(thread.clone());
        let otlp = otlp.map(|(target, thread)| OtlpClient::new(target, thread));
        let metrics = Metrics::build(MetricsSettings {
            resource: resource.clone(),
            otlp: otlp.transpose()?,
            interval: settings.metric_interval,
            prometheus: settings.prometheus && !settings.disabled,
            registry: settings.registry.clone().filter(|_| !settings.disabled),
        })?;
        let ignored_headers = metric::PROPAGATION_IGNORED.u64_counter(&metrics.meter());
        let dropped = metric::SPAN_LIMITS_DROPPED.u64_counter(&metrics.meter());
        let traces =
            match Pipeline::for_signal(Signal::Traces, &settings, &resource, thread.as_ref())? {
                None => None,
                Some(pipeline) => {
                    metrics.observe(&pipeline, Signal::Traces);
                    let sampler = CountingSampler {
                        inner: settings.sampler(),
                        pipeline: pipeline.clone(),
                    };
                    let tail = settings.tail.clone();
                    let tail =
                        tail.map(|rules| Arc::new(TailSampler::new(rules, pipeline.clone())));
                    if let Some(tail) = &tail {
                        tail.observe(&metrics.meter());
                    }
                    let provider = SdkTracerProvider::builder()
                        .with_resource(resource)
                        .with_sampler(sampler)
                        .with_max_attributes_per_span(settings.limits.attributes)
                        .with_max_events_per_span(settings.limits.events)
                        .with_max_links_per_span(settings.limits.links)
                        .with_span_processor(PipelineProcessor::new(
                            pipeline.clone(),
                            settings.limits,
                            tail.clone(),
                            dropped.clone(),
                            settings.capture.redactor.clone(),
                        ))
                        .build();
                    Some(Traces {
                        provider,
                        pipeline,
                        tail,
                    })
                }
            };
        let logs = Pipeline::for_signal(
            Signal::Logs,
            &settings,
            &settings.resource(),
            thread.as_ref(),
        )?;
        if let Some(logs) = &logs {
            metrics.observe(logs, Signal::Logs);
        }
        let content = settings.content.on_spans() && traces.is_some();
        let capture = Capture::start(settings.capture.clone(), content)
            .map_err(|error| TelemetryError::start("the directory for content").because(error))?;
        let operations = metrics
            .are_read()
            .then(|| Arc::new(MetricsObserver::new(&metrics, &settings)));
        let export = traces
            .as_ref()
            .map(|traces| traces.export(settings.profile, settings.capture.redactor.clone()));
        let live = Live::start(&settings.live, &settings.capture.redactor, export)?;
        let labels = Labels::new(&settings);
        let telemetry = Self {
            traces,
            logs,
            metrics,
            operations,
            capture,
            settings,
            live,
            budgets: Budgets::new(labels.clone()),
            breakers: Breakers::new(labels),
            tools: Tools::default(),
            metrics_flushed: Mutex::new(None),
            ignored_headers,
            dropped,
        };
        if telemetry.settings.set_global {
            telemetry.set_global();
        }
        Ok(telemetry)
    }

    fn set_global(&self) {
        if let Some(traces) = &self.traces {
            opentelemetry::global::set_tracer_provider(traces.provider.clone());
        }
        opentelemetry::global::set_meter_provider(self.metrics.provider.clone());
        Self::set_global_propagator();
    }

    /// The layer that exports `tracing` spans, the user's and the operations', as one trace.
    ///
    /// It brings its own filter: spans only, and none from the libraries that exporting itself
    /// uses. Add it beside other layers, and give those filters of their own: a filter on the whole
    /// subscriber, such as a global `EnvFilter` at `warn`, would delete the traces.
    ///
    /// The first such layer of a subscriber is the one that ids come from.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        layer::lean(self.tracer().map(BridgeTracer))
    }

    /// What an agent or a run is given so that its operations are exported and counted: the id source, the metrics and the
    /// spans, as far as each is on. Add observers of your own with [`Observers::with`].
    ///
    /// Each operation becomes one span, with the ids that reports and events name. It leaves when the operation ends, whatever
    /// still holds its `tracing` span, and lasts as long as the operation did. Where the [layer](Self::layer) does not see that
    /// `tracing` span (it is not installed, or a filter on the whole subscriber deletes it), the operation is exported all the
    /// same; only the user's own spans then do not nest with it.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::operation::{RunContext, trace_agent};
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let context = RunContext::builder().observers(telemetry.observers()).build();
    /// trace_agent(&context, "triage").future(async {}).await;
    /// assert!(telemetry.metrics_text()?.contains("gen_ai_invoke_agent_duration_seconds_count"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn observers(&self) -> Observers {
        self.live.warn();
        let mut observers =
            Observers::none().with_propagation(self.settings.propagation.to.clone());
        if let Some(ids) = self.ids() {
            observers = observers.with_ids(ids);
        }
        for observer in [
            self.metrics_observer(),
            self.details_observer(),
            Some(self.log_observer()),
            self.span_observer(),
            self.files_observer(),
        ] {
            observers = match observer {
                Some(observer) => observers.with_shared(observer),
                None => observers,
            };
        }
        match self.live.operations() {
            Some(live) => observers.with(live.clone()),
            None => observers,
        }
    }

    /// Names operations after the spans that are exported for them; `None` when traces are off.
    pub fn ids(&self) -> Option<Arc<dyn IdSource>> {
        let traces = self.traces.as_ref()?;
        Some(Arc::new(SpanIds {
            sampler: self.settings.sampler.clone(),
            pipeline: traces.pipeline.clone(),
            limits: self.settings.limits,
            baggage_keys: Self::baggage_keys(&self.settings.propagation),
        }))
    }

    /// Ends the spans of operations, with their attributes; `None` when traces are off. It needs [`ids`](Self::ids) beside it.
    pub fn span_observer(&self) -> Option<Arc<dyn Observer>> {
        let traces = self.traces.as_ref()?;
        Some(Arc::new(SpanObserver {
            pipeline: traces.pipeline.clone(),
            tail: traces.tail.clone(),
            scope: Scope::new(&scope(self.settings.profile)),
            limits: self.settings.limits,
            profile: self.settings.profile,
            openinference: self.settings.openinference,
            dropped: self.dropped.clone(),
            capture: self.capture.clone(),
        }))
    }

    /// Writes content to files where no span does.
    fn files_observer(&self) -> Option<Arc<dyn Observer>> {
        let alone = self.traces.is_none() && self.capture.files().is_some();
        alone.then(|| Arc::new(self.capture.clone()) as Arc<dyn Observer>)
    }

    /// Counts operations; `None` when metrics are neither exported nor kept for Prometheus.
    pub fn metrics_observer(&self) -> Option<Arc<dyn Observer>> {
        let operations = self.operations.clone()?;
        Some(operations)
    }

    /// Shows the budgets of a ledger among the metrics, from now on: limit, committed and reserved money, refusals and alerts.
    ///
    /// They are read when metrics are collected, without waiting for a store; see [`Ledger::latest`]. The ledger is kept as long as
    /// this. A budget that a single run brings is not shown but for its refusals and alerts.
    pub fn watch(&self, ledger: &Ledger) {
        self.budgets.watch(ledger, &self.metrics.meter());
    }

    pub(crate) fn capture(&self) -> &Capture {
        &self.capture
    }

    pub(crate) fn logs(&self) -> Option<&Pipeline> {
        self.logs.as_ref()
    }

    fn tracer(&self) -> Option<SdkTracer> {
        let traces = self.traces.as_ref()?;
        Some(
            traces
                .provider
                .tracer_with_scope(scope(self.settings.profile)),
        )
    }

    /// The provider behind the layer, for code that uses the OpenTelemetry API itself; `None` when
    /// traces are off.
    ///
    /// Do not shut it down: spans that end afterwards would be lost without being counted.
    pub fn tracer_provider(&self) -> Option<&SdkTracerProvider> {
        self.traces.as_ref().map(|traces| &traces.provider)
    }

    /// The provider of every metric, for instruments of the user's own.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.metrics.provider
    }

    /// Which generation of names is emitted.
    pub fn profile(&self) -> EmissionProfile {
        self.settings.profile
    }

    /// Whether prompts, answers and tool data are recorded.
    pub fn content(&self) -> ContentCapture {
        self.settings.content
    }

    /// What became of every span so far; all zero when traces are off.
    pub fn account(&self) -> ExportAccount {
        self.traces
            .as_ref()
            .map(Traces::account)
            .unwrap_or_default()
    }

    /// Keeps a trace whatever tail sampling thinks of it.
    pub(crate) fn keep_trace(&self, trace: [u8; 16]) {
        if let Some(tail) = self.traces.as_ref().and_then(|traces| traces.tail.as_ref()) {
            tail.keep(trace);
        }
    }

    /// What [tail sampling](TelemetryBuilder::tail_sampling) decided so far; all zero where it is off.
    pub fn tail_counts(&self) -> TailCounts {
        let tail = self.traces.as_ref().and_then(|traces| traces.tail.as_ref());
        tail.map(|tail| tail.counts()).unwrap_or_default()
    }

    /// Waits until the spans that ended before, and the log records, are settled, at most for `limit`. Says whether they
    /// are: settled means that their fate is in the [`account`](Self::account), not that they
    /// arrived.
    ///
    /// Blocks the thread.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let spans = self.traces.as_ref();
        let spans = spans.is_none_or(|traces| traces.flush(limit));
        let left = deadline.saturating_duration_since(Instant::now());
        spans & self.logs.as_ref().is_none_or(|logs| logs.flush(left))
    }

    /// Sends what waits, first traces, then metrics, then logs, and says what became of everything.
    ///
    /// Takes at most the [shutdown limit](TelemetryBuilder::shutdown_limit), 5 seconds by default,
    /// and blocks the thread for as long; it needs no async runtime, so it is safe in every flavour
    /// of one. Spans that end later are counted as dropped, and `/metrics` is empty from then on.
    /// A second call returns the account as it is then.
    pub fn shutdown(&self) -> ShutdownReport {
        let deadline = Instant::now() + self.settings.shutdown_limit;
        self.live.shutdown();
        let mut flushed = self
            .metrics_flushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let spans = match &self.traces {
            Some(traces) => traces.shutdown(self.settings.shutdown_limit.mul_f64(SPANS_SHARE)),
            None => ExportAccount::default(),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let files = self.capture.files();
        let content_files = files
            .map(|files| files.shutdown(left / 2))
            .unwrap_or_default();
        let spared = self.settings.shutdown_limit.mul_f64(LOGS_SHARE);
        let metrics_end = deadline.checked_sub(spared).unwrap_or(deadline);
        let metrics_flushed = *flushed.get_or_insert_with(|| self.shut_metrics_down(metrics_end));
        let left = deadline.saturating_duration_since(Instant::now());
        let logs = self.logs.as_ref().map(|logs| logs.shutdown(left));
        let traces = self.traces.as_ref();
        ShutdownReport {
            spans,
            recovered: traces.map_or_else(ExportAccount::default, |all| all.pipeline.recovered()),
            logs: logs.unwrap_or_default(),
            metrics: self.metrics.exports.read(),
            metrics_flushed,
            content_files,
        }
    }

    /// On a thread of its own, because the SDK's shutdown has no limit that it keeps.
    fn shut_metrics_down(&self, deadline: Instant) -> bool {
        let (done, waiting) = mpsc::channel();
        let provider = self.metrics.provider.clone();
        let thread = std::thread::Builder::new().name("agent-sdk-metrics-end".into());
        let started = thread.spawn(move || {
            let result = provider.shutdown();
            let _ = done.send(result.is_ok());
        });
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = started.is_ok() && waiting.recv_timeout(left).unwrap_or(false);
        !self.metrics.pushes || (ended && self.metrics.exports.read().last_ok)
    }
}

/// Who records what the bridge emits. Only the newest names are all of one schema.
fn scope(profile: EmissionProfile) -> InstrumentationScope {
    let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
    match profile {
        EmissionProfile::Latest => scope.with_schema_url(attrs::SCHEMA_URL).build(),
        _ => scope.build(),
    }
}

/// The part of the shutdown limit that spans may use, so that some is left for metrics and logs.
const SPANS_SHARE: f64 = 0.8;

impl Traces {
    /// Where spans go that are no operation's end. A trace of which such a part was shown is kept whole.
    fn export(&self, profile: EmissionProfile, redactor: Redactor) -> Export {
        let (pipeline, tail) = (self.pipeline.clone(), self.tail.clone());
        let scope = Scope::new(&scope(profile));
        Arc::new(move |span| {
            if let Some(tail) = &tail {
                tail.keep(span.trace);
            }
            pipeline.without_secrets(&redactor, span.message, |message| {
                pipeline.push(&scope, message);
            });
        })
    }

    fn account(&self) -> ExportAccount {
        if let Some(tail) = &self.tail {
            tail.tick();
        }
        self.pipeline.account()
    }

    fn flush(&self, limit: Duration) -> bool {
        if let Some(tail) = &self.tail {
            tail.settle();
        }
        self.pipeline.flush(limit)
    }

    fn shutdown(&self, limit: Duration) -> ExportAccount {
        if let Some(tail) = &self.tail {
            tail.shutdown();
        }
        self.pipeline.shutdown(limit)
    }
}

/// The part that is left for logs in any case.
const LOGS_SHARE: f64 = 0.1;

impl Drop for Telemetry {
    fn drop(&mut self) {
        let _ = self.shutdown();
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("account", &self.account())
            .field("metrics", &self.metrics)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
