//! The page that Prometheus reads.
//!
//! A [`Page`] is made of what the meter provider has collected: [`families`] reads it, [`fit`] keeps it within
//! [`MAX_PAGE_BYTES`], [`encode`] writes it in the [`Format`](accept::Format) that the scraper asked for. In `OpenMetrics` the
//! buckets of our own histograms carry [`exemplars`], the trace of their newest measurement, which the recorders leave there.
//!
//! Whatever names and values a program gives its metrics, the page can be read: names are made legal, values are escaped and cut,
//! series that become the same are added up.

mod accept;
mod encode;
mod exemplars;
mod families;
mod fit;
pub(crate) mod names;
mod number;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

pub(crate) use accept::Format;
use encode::Encoder;
pub(crate) use exemplars::{Exemplars, Moment, Slots};
use families::Families;

/// The longest page, in bytes.
pub const MAX_PAGE_BYTES: usize = 5 * 1024 * 1024;

/// A page of metrics for a server of the user's own; made by [`Telemetry::metrics_page`](crate::Telemetry::metrics_page).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsPage {
    /// The value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The page, at most 5 MiB.
    pub body: String,
}

/// Makes pages. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    reader: Arc<ManualReader>,
    exemplars: Exemplars,
    limit: usize,
}

impl Exposition {
    pub(crate) fn new() -> Self {
        Self {
            reader: Arc::new(ManualReader::builder().build()),
            exemplars: Exemplars::new(),
            limit: MAX_PAGE_BYTES,
        }
    }

    /// The reader that the meter provider is given.
    pub(crate) fn reader(&self) -> ScrapeReader {
        ScrapeReader(self.reader.clone())
    }

    /// Where recorders leave their exemplars.
    pub(crate) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// Collects the metrics and writes them down. The page is empty once the meter provider is shut down.
    ///
    /// It calls the callbacks of observable instruments, and holds no lock that recording into a known series needs.
    pub(crate) fn page(&self, format: Format) -> MetricsPage {
        let mut metrics = ResourceMetrics::default();
        let families = match self.reader.collect(&mut metrics) {
            Ok(()) => Families::collect(&metrics),
            Err(_) => Families::default(),
        };
        // What was collected may be larger than the page.
        drop(metrics);
        let limit = self.limit.saturating_sub(END_BYTES);
        let (families, used) = fit::fit(families, limit);
        let encoder = Encoder {
            out: String::with_capacity(used.min(limit)),
            format,
            exemplars: &self.exemplars,
            spare: limit.saturating_sub(used),
        };
        MetricsPage {
            content_type: format.content_type(),
            body: encoder.page(&families),
        }
    }
}

/// What the last line takes.
const END_BYTES: usize = 8;

/// A reader that two owners share: the meter provider and the page.
#[derive(Clone, Debug)]
pub(crate) struct ScrapeReader(Arc<ManualReader>);

impl MetricReader for ScrapeReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
