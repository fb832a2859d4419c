//! The meter provider: its readers, and the span account among its metrics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

use crate::attrs;
use crate::error::TelemetryError;
use crate::metric;
use crate::openmetrics::{Exemplars, Exposition};
use crate::otlp::OtlpClient;
use crate::pipeline::{Delivery, ExportAccount, Pipeline};
use crate::settings::Signal;

/// The instrumentation scope of everything the bridge emits.
pub(crate) const SCOPE: &str = "agent-sdk";

/// How often metrics left for a collector, and with what success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricExports {
    /// Requests that the collector accepted in full.
    pub exported: u64,
    /// Requests of which the collector rejected some data points.
    pub partial: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests whose reply was lost.
    pub unknown: u64,
    /// Whether the last request was accepted in full; `true` before the first.
    ///
    /// Metrics are cumulative, so that a later success makes up for an earlier failure.
    pub last_ok: bool,
}

/// The shared form of [`MetricExports`].
#[derive(Clone)]
pub(crate) struct ExportCounts(Arc<Mutex<MetricExports>>);

impl Default for ExportCounts {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(MetricExports {
            last_ok: true,
            ..MetricExports::default()
        })))
    }
}

impl ExportCounts {
    pub(crate) fn read(&self) -> MetricExports {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, delivery: Delivery) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match delivery {
            Delivery::Accepted { rejected: 0 } => counts.exported += 1,
            Delivery::Accepted { .. } => counts.partial += 1,
            Delivery::Failed => counts.failed += 1,
            Delivery::Unknown => counts.unknown += 1,
        }
        counts.last_ok = delivery == Delivery::Accepted { rejected: 0 };
        counts.last_ok
    }
}

/// The HTTP client of the metric exporter: it posts to the endpoint of the settings and notes what became of the request.
///
/// Address, headers and time limit are those of the settings alone: what the exporter itself read from the process environment
/// is not sent.
#[derive(Clone, Debug)]
struct WatchedClient {
    client: Arc<OtlpClient>,
    last: Arc<Mutex<Delivery>>,
}

/// What the desugared form of an async trait method returns.
type Posted<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for WatchedClient {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Posted<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let (delivery, reply) = self.client.send_metrics(request.into_body().into()).await;
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = delivery;
            match reply {
                Some(body) => Ok(Response::new(Bytes::from(body))),
                None => Err("the collector did not accept the metrics".into()),
            }
        })
    }
}

/// The exporter of the periodic reader, with a count of what it did; it runs on the reader's own thread.
struct CountedExporter {
    exporter: MetricExporter,
    last: Arc<Mutex<Delivery>>,
    counts: ExportCounts,
}

impl CountedExporter {
    fn new(client: OtlpClient, counts: ExportCounts) -> Result<Self, TelemetryError> {
        let timeout = client.timeout();
        // Its own address is the client's; what may be a secret in it is nobody else's business.
        let mut url = client.url().clone();
        let _ = (url.set_username(""), url.set_password(None));
        url.set_query(None);
        let last = Arc::new(Mutex::new(Delivery::Failed));
        let client = WatchedClient {
            client: Arc::new(client),
            last: last.clone(),
        };
        let exporter = MetricExporter::builder()
            .with_temporality(Temporality::Cumulative)
            .with_http()
            .with_http_client(client)
            // Metrics are cumulative: the next export makes up for one that failed.
            .with_retry_policy(RetryPolicy::disabled())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(String::from(url))
            .with_timeout(timeout)
            .build()
            .map_err(|_| TelemetryError::start("the metric exporter"))?;
        Ok(Self {
            exporter,
            last,
            counts,
        })
    }
}

impl PushMetricExporter for CountedExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        // What never reached the client has failed.
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Delivery::Failed;
        let result = self.exporter.export(metrics).await;
        let delivery = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.counts.record(delivery) {
            result
        } else {
            Err(OTelSdkError::InternalFailure(
                "metrics export failed".into(),
            ))
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// The meter provider and what it feeds.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) provider: SdkMeterProvider,
    pub(crate) prometheus: Option<Exposition>,
    pub(crate) exports: ExportCounts,
    pub(crate) pushes: bool,
    /// Whether a registry of the user's own shows them.
    registered: bool,
}

/// What [`Metrics::build`] needs.
pub(crate) struct MetricsSettings {
    pub(crate) resource: Resource,
    pub(crate) otlp: Option<OtlpClient>,
    pub(crate) interval: Duration,
    pub(crate) prometheus: bool,
    /// A registry of the user's own in which the metrics show as well.
    pub(crate) registry: Option<prometheus::Registry>,
}

impl Metrics {
    pub(crate) fn build(settings: MetricsSettings) -> Result<Self, TelemetryError> {
        let mut builder = SdkMeterProvider::builder().with_resource(settings.resource);
        let exports = ExportCounts::default();
        let pushes = settings.otlp.is_some();
        if let Some(client) = settings.otlp {
            let exporter = CountedExporter::new(client, exports.clone())?;
            let reader = PeriodicReader::builder(exporter).with_interval(settings.interval);
            builder = builder.with_reader(reader.build());
        }
        let prometheus = settings.prometheus.then(Exposition::new);
        if let Some(exposition) = &prometheus {
            builder = builder.with_reader(exposition.reader());
        }
        let registered = settings.registry.is_some();
        if let Some(registry) = settings.registry {
            let reader = opentelemetry_prometheus::exporter()
                .with_registry(registry)
                .scope_info_enabled(false)
                .build()
                .map_err(|error| TelemetryError::start("the prometheus registry").because(error))?;
            builder = builder.with_reader(reader);
        }
        Ok(Self {
            provider: builder.build(),
            prometheus,
            exports,
            pushes,
            registered,
        })
    }

    /// Whether anybody ever reads them.
    pub(crate) fn are_read(&self) -> bool {
        self.pushes || self.registered || self.prometheus.is_some()
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter(SCOPE)
    }

    /// Where recorders leave the traces of what they measured.
    pub(crate) fn exemplars(&self) -> Exemplars {
        let exposition = self.prometheus.as_ref();
        exposition.map_or(Exemplars::off(), |page| page.exemplars().clone())
    }

    /// Puts the account of a signal among the metrics.
    pub(crate) fn observe(&self, pipeline: &Pipeline, signal: Signal) {
        let meter = self.meter();
        let labels = [attrs::text(attrs::SIGNAL, signal.name())];
        // `ended` is observed first, on the thread that collects, and keeps what it saw for the
        // others: one scrape shows one instant, in which the account balances.
        let source = pipeline.clone();
        let of = labels.clone();
        metric::SPANS_ENDED.u64_observable_counter(&meter, move |counter| {
            let account = source.account();
            SEEN.with_borrow_mut(|seen| seen.insert(signal, account));
            counter.observe(account.ended, &of);
        });
        let seen = move |read: Read| {
            let account = SEEN.with_borrow(|seen| seen.get(&signal).copied());
            read(&account.unwrap_or_default())
        };
        for (def, read) in COUNTERS {
            let of = labels.clone();
            def.u64_observable_counter(&meter, move |counter| counter.observe(seen(read), &of));
        }
        for (def, read) in GAUGES {
            let of = labels.clone();
            def.u64_observable_gauge(&meter, move |gauge| gauge.observe(seen(read), &of));
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("prometheus", &self.prometheus.is_some())
            .field("exports", &self.exports.read())
            .finish_non_exhaustive()
    }
}

thread_local! {
    static SEEN: RefCell<HashMap<Signal, ExportAccount>> = RefCell::default();
}

type Read = fn(&ExportAccount) -> u64;

const COUNTERS: [(metric::MetricDef, Read); 6] = [
    (metric::SPANS_UNSAMPLED, |account| account.unsampled),
    (metric::SPANS_EXPORTED, |account| account.exported),
    (metric::SPANS_REJECTED, |account| account.rejected),
    (metric::SPANS_DROPPED, |account| account.dropped),
    (metric::SPANS_FAILED, |account| account.failed),
    (metric::SPANS_UNKNOWN, |account| account.unknown),
];

/// What leaves its place again, so that it can fall.
const GAUGES: [(metric::MetricDef, Read); 2] = [
    (metric::SPANS_QUEUED, |account| account.queued),
    (metric::SPANS_SPILLED, |account| account.spilled),
];
