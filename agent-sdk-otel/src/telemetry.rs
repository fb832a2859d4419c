//! Traces and metrics, set up together and shut down together.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use agent_sdk::budget::Ledger;
use agent_sdk::operation::{IdSource, Observer, Observers};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::breakers::Breakers;
use crate::budgets::Budgets;
use crate::builder::TelemetryBuilder;
use crate::error::TelemetryError;
use crate::ids::SpanIds;
use crate::instruments::MetricsObserver;
use crate::layer;
use crate::metrics::{Metrics, MetricsSettings, SCOPE};
use crate::otlp::{ExportThread, OtlpClient};
use crate::pipeline::{CountingSampler, ExportAccount, Pipeline, PipelineProcessor, Scope};
use crate::profile::{ContentCapture, EmissionProfile};
use crate::report::ShutdownReport;
use crate::settings::{Settings, Signal};
use crate::spans::SpanObserver;
use crate::tracer::BridgeTracer;

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
    pub(crate) metrics: Metrics,
    operations: Option<Arc<MetricsObserver>>,
    pub(crate) settings: Settings,
    budgets: Budgets,
    pub(crate) breakers: Breakers,
    metrics_flushed: Mutex<Option<bool>>,
}

struct Traces {
    provider: SdkTracerProvider,
    pipeline: Pipeline,
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
        let traces =
            match Pipeline::for_signal(Signal::Traces, &settings, &resource, thread.as_ref())? {
                None => None,
                Some(pipeline) => {
                    metrics.observe(&pipeline);
                    let sampler = CountingSampler {
                        inner: settings.sampler.clone(),
                        pipeline: pipeline.clone(),
                    };
                    let provider = SdkTracerProvider::builder()
                        .with_resource(resource)
                        .with_sampler(sampler)
                        .with_span_processor(PipelineProcessor::new(
                            pipeline.clone(),
                            settings.limits,
                        ))
                        .build();
                    Some(Traces { provider, pipeline })
                }
            };
        let operations = metrics
            .are_read()
            .then(|| Arc::new(MetricsObserver::new(&metrics, &settings)));
        let telemetry = Self {
            traces,
            metrics,
            operations,
            settings,
            budgets: Budgets::default(),
            breakers: Breakers::default(),
            metrics_flushed: Mutex::new(None),
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
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
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
        if self.settings.content == ContentCapture::Events {
            tracing::warn!(
                target: "agent_sdk_otel",
                "content was asked for as log events, which are not exported yet: no content is recorded"
            );
        }
        let mut observers = Observers::none();
        if let Some(ids) = self.ids() {
            observers = observers.with_ids(ids);
        }
        for observer in [self.metrics_observer(), self.span_observer()] {
            observers = match observer {
                Some(observer) => observers.with_shared(observer),
                None => observers,
            };
        }
        observers
    }

    /// Names operations after the spans that are exported for them; `None` when traces are off.
    pub fn ids(&self) -> Option<Arc<dyn IdSource>> {
        let traces = self.traces.as_ref()?;
        Some(Arc::new(SpanIds {
            sampler: self.settings.sampler.clone(),
            pipeline: traces.pipeline.clone(),
            limits: self.settings.limits,
        }))
    }

    /// Ends the spans of operations, with their attributes; `None` when traces are off. It needs [`ids`](Self::ids) beside it.
    pub fn span_observer(&self) -> Option<Arc<dyn Observer>> {
        let traces = self.traces.as_ref()?;
        Some(Arc::new(SpanObserver {
            pipeline: traces.pipeline.clone(),
            scope: Scope::new(&scope()),
            limits: self.settings.limits,
            profile: self.settings.profile,
            content: self.settings.content.on_spans(),
        }))
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

    fn tracer(&self) -> Option<SdkTracer> {
        let traces = self.traces.as_ref()?;
        Some(traces.provider.tracer_with_scope(scope()))
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
            .map(|traces| traces.pipeline.account())
            .unwrap_or_default()
    }

    /// Waits until the spans that ended before are settled, at most for `limit`. Says whether they
    /// are: settled means that their fate is in the [`account`](Self::account), not that they
    /// arrived.
    ///
    /// Blocks the thread.
    pub fn flush(&self, limit: Duration) -> bool {
        self.traces
            .as_ref()
            .is_none_or(|traces| traces.pipeline.flush(limit))
    }

    /// Sends what waits, first traces and then metrics, and says what became of everything.
    ///
    /// Takes at most the [shutdown limit](TelemetryBuilder::shutdown_limit), 5 seconds by default,
    /// and blocks the thread for as long; it needs no async runtime, so it is safe in every flavour
    /// of one. Spans that end later are counted as dropped, and `/metrics` is empty from then on.
    /// A second call returns the account as it is then.
    pub fn shutdown(&self) -> ShutdownReport {
        let deadline = Instant::now() + self.settings.shutdown_limit;
        let mut flushed = self
            .metrics_flushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let spans = match &self.traces {
            Some(traces) => traces
                .pipeline
                .shutdown(self.settings.shutdown_limit.mul_f64(SPANS_SHARE)),
            None => ExportAccount::default(),
        };
        let metrics_flushed = *flushed.get_or_insert_with(|| self.shut_metrics_down(deadline));
        ShutdownReport {
            spans,
            metrics: self.metrics.exports.read(),
            metrics_flushed,
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

/// Who records what the bridge emits.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// The part of the shutdown limit that spans may use, so that some is left for metrics.
const SPANS_SHARE: f64 = 0.8;

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
