//! What the meter provider collected, as the families of a page.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics,
};

use super::names;
use super::number::{NUMBER_BYTES, Number};

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    /// Also what goes up and down.
    Gauge,
    Histogram,
    Info,
}

impl Type {
    /// What the samples' names have behind the family's.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// Without the suffix of its type.
    pub(super) name: String,
    pub(super) unit: Option<String>,
    pub(super) help: String,
    pub(super) kind: Type,
    /// Whether two series of it can be made one: not of gauges.
    pub(super) adds: bool,
    /// Sorted by their labels.
    pub(super) series: Vec<Series>,
}

/// The values of one set of labels.
#[derive(Debug)]
pub(super) struct Series {
    /// As they stand between the braces.
    pub(super) labels: String,
    /// How many they are.
    pub(super) width: usize,
    pub(super) value: Sample,
}

/// The value of a series.
#[derive(Debug)]
pub(super) enum Sample {
    Number(Number),
    Histogram(Buckets),
}

/// The value of a histogram's series.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) bounds: Arc<[f64]>,
    /// One more than bounds; not cumulative.
    pub(super) counts: Vec<u64>,
    pub(super) sum: Number,
    pub(super) count: u64,
}

impl Sample {
    /// Adds another; `false` where their buckets differ.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(number), Self::Number(more)) => *number = number.plus(*more),
            (Self::Histogram(all), Self::Histogram(more)) if all.bounds == more.bounds => {
                for (count, more) in all.counts.iter_mut().zip(&more.counts) {
                    *count += more;
                }
                all.sum = all.sum.plus(more.sum);
                all.count += more.count;
            }
            _ => return false,
        }
        true
    }
}

/// The most that the names of samples and buckets add to a line: `_bucket`, braces, a bound, a number, a line end.
const LINE_BYTES: usize = 7 + 2 + 6 + 2 * NUMBER_BYTES + 4;

impl Family {
    /// The most that its first lines take, in bytes.
    pub(super) fn head_bytes(&self) -> usize {
        // A line each for help, type and unit; escaping at most triples the help.
        3 * (self.name.len() + 32) + self.unit.as_ref().map_or(0, String::len) + 3 * self.help.len()
    }

    /// The most that a series with labels of that length takes, in bytes, without exemplars.
    pub(super) fn series_bytes(&self, labels: usize, sample: &Sample) -> usize {
        let lines = match sample {
            Sample::Number(_) => 1,
            Sample::Histogram(buckets) => buckets.counts.len().max(1) + 2,
        };
        lines * (self.name.len() + labels + LINE_BYTES)
    }
}

/// The longest help text, in bytes.
const MAX_HELP_BYTES: usize = 1_024;

/// Families, sorted as they stand on the page.
#[derive(Debug, Default)]
pub(super) struct Families {
    by_name: BTreeMap<String, Family>,
    /// Series that have no place, because another metric has their name.
    pub(super) homeless: u64,
}

impl Families {
    pub(super) fn collect(metrics: &ResourceMetrics) -> Self {
        let mut all = Self::default();
        let resource: Vec<(&Key, &Value)> = metrics.resource().iter().collect();
        if !resource.is_empty() {
            let (labels, width) = names::labels(resource);
            let target = Family {
                name: "target".into(),
                unit: None,
                help: "Target metadata".into(),
                kind: Type::Info,
                adds: false,
                series: vec![Series {
                    labels,
                    width,
                    value: Sample::Number(Number::Whole(1)),
                }],
            };
            all.insert(target);
        }
        for scope in metrics.scope_metrics() {
            for metric in scope.metrics() {
                all.add(metric);
            }
        }
        all
    }

    /// The families by the names of their samples.
    pub(super) fn into_sorted(self) -> Vec<Family> {
        let mut families: Vec<_> = self.by_name.into_values().collect();
        for family in &mut families {
            family.sort();
        }
        families.sort_by_cached_key(|family| format!("{}{}", family.name, family.kind.suffix()));
        families
    }

    fn add(&mut self, metric: &Metric) {
        let (kind, adds, series) = match metric.data() {
            AggregatedMetrics::F64(data) => read(data),
            AggregatedMetrics::U64(data) => read(data),
            AggregatedMetrics::I64(data) => read(data),
        };
        let (mut name, unit) = names::family(metric.name(), metric.unit());
        if !kind.suffix().is_empty()
            && let Some(bare) = name.strip_suffix(kind.suffix())
        {
            name.truncate(bare.len());
        }
        let help = metric.description();
        let help = help.get(..help.floor_char_boundary(MAX_HELP_BYTES));
        self.insert(Family {
            name,
            unit: unit.map(String::from),
            help: help.unwrap_or_default().to_owned(),
            kind,
            adds,
            series,
        });
    }

    fn insert(&mut self, family: Family) {
        if family.series.is_empty() {
            return;
        }
        match self.by_name.entry(family.name.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(family)),
            Entry::Occupied(mut entry) => {
                let first = entry.get_mut();
                if first.kind == family.kind && first.adds == family.adds {
                    first.series.extend(family.series);
                } else {
                    self.homeless += family.series.len() as u64;
                }
            }
        }
    }
}

impl Family {
    /// Sorts the series, and makes one of those with the same labels: a page names each once.
    pub(super) fn sort(&mut self) {
        self.series
            .sort_by(|a, b| (a.width, &a.labels).cmp(&(b.width, &b.labels)));
        let adds = self.adds;
        self.series.dedup_by(|next, kept| {
            let is_same = next.labels == kept.labels;
            if is_same && !(adds && kept.value.add(&next.value)) {
                std::mem::swap(&mut kept.value, &mut next.value);
            }
            is_same
        });
    }
}

fn read<T: Copy + Into<Number>>(data: &MetricData<T>) -> (Type, bool, Vec<Series>) {
    let number = |value: T| Sample::Number(value.into());
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            let series = points.map(|point| series(point.attributes(), number(point.value())));
            (Type::Gauge, false, series.collect())
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            let series = points.map(|point| series(point.attributes(), number(point.value())));
            let kind = if sum.is_monotonic() {
                Type::Counter
            } else {
                Type::Gauge
            };
            (kind, true, series.collect())
        }
        MetricData::Histogram(histogram) => (Type::Histogram, true, histograms(histogram)),
        // They have no form in these formats.
        MetricData::ExponentialHistogram(_) => (Type::Histogram, true, Vec::new()),
    }
}

fn histograms<T: Copy + Into<Number>>(histogram: &Histogram<T>) -> Vec<Series> {
    let mut shared: Arc<[f64]> = Arc::new([]);
    let points = histogram.data_points().map(|point| {
        if !point.bounds().eq(shared.iter().copied()) {
            shared = point.bounds().collect();
        }
        let buckets = Buckets {
            bounds: shared.clone(),
            counts: point.bucket_counts().collect(),
            sum: point.sum().into(),
            count: point.count(),
        };
        series(point.attributes(), Sample::Histogram(buckets))
    });
    points.collect()
}

fn series<'a>(attributes: impl Iterator<Item = &'a KeyValue>, value: Sample) -> Series {
    let (labels, width) = names::labels(attributes.map(|kv| (&kv.key, &kv.value)));
    Series {
        labels,
        width,
        value,
    }
}
