//! Instruments and their series, with exemplars.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};

use crate::metric::MetricDef;
use crate::openmetrics::{Exemplars, Moment, Slots};

/// A number that an instrument takes.
pub(super) trait Amount: Copy {
    fn as_f64(self) -> f64;
}

impl Amount for f64 {
    fn as_f64(self) -> f64 {
        self
    }
}

impl Amount for u64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an exemplar and its bucket are near enough; the sum is kept in whole numbers"
    )]
    fn as_f64(self) -> f64 {
        self as f64
    }
}

/// A histogram whose series have exemplars.
#[derive(Debug)]
pub(super) struct Distribution<T> {
    def: MetricDef,
    instrument: Histogram<T>,
    exemplars: Exemplars,
}

impl Distribution<f64> {
    pub(super) fn f64(def: MetricDef, meter: &Meter, exemplars: &Exemplars) -> Self {
        Self {
            def,
            instrument: def.f64_histogram(meter),
            exemplars: exemplars.clone(),
        }
    }
}

impl Distribution<u64> {
    pub(super) fn u64(def: MetricDef, meter: &Meter, exemplars: &Exemplars) -> Self {
        Self {
            def,
            instrument: def.u64_histogram(meter),
            exemplars: exemplars.clone(),
        }
    }
}

impl<T> Distribution<T> {
    /// The series of these labels. It is on the page from now on.
    pub(super) fn bind(&self, labels: &[KeyValue]) -> DistributionSeries<T> {
        DistributionSeries {
            bounds: self.def.buckets,
            series: self.instrument.bind(labels),
            slots: self.exemplars.slots(&self.def, labels),
        }
    }
}

/// One series of a histogram.
#[derive(Debug)]
pub(super) struct DistributionSeries<T> {
    bounds: &'static [f64],
    series: BoundHistogram<T>,
    slots: Arc<Slots>,
}

impl<T: Amount> DistributionSeries<T> {
    pub(super) fn record(&self, value: T, moment: Option<Moment>) {
        self.series.record(value);
        if let Some(moment) = moment {
            self.exemplify(value, moment);
        }
    }

    /// Records many; the last of each run of values in one bucket is the exemplar.
    pub(super) fn record_all(&self, values: impl Iterator<Item = T>, moment: Option<Moment>) {
        let mut last: Option<(usize, T)> = None;
        for value in values {
            self.series.record(value);
            let slot = self.slot(value);
            if let (Some((before, value)), Some(moment)) = (last, moment)
                && before != slot
            {
                self.slots.put(before, value.as_f64(), moment);
            }
            last = Some((slot, value));
        }
        if let (Some((slot, value)), Some(moment)) = (last, moment) {
            self.slots.put(slot, value.as_f64(), moment);
        }
    }

    fn exemplify(&self, value: T, moment: Moment) {
        self.slots.put(self.slot(value), value.as_f64(), moment);
    }

    /// The bucket of a value, as the SDK finds it.
    fn slot(&self, value: T) -> usize {
        let value = value.as_f64();
        self.bounds.partition_point(|bound| *bound < value)
    }
}

/// A counter whose series have an exemplar each.
#[derive(Debug)]
pub(super) struct Count<T> {
    def: MetricDef,
    instrument: Counter<T>,
    exemplars: Exemplars,
}

impl Count<f64> {
    pub(super) fn f64(def: MetricDef, meter: &Meter, exemplars: &Exemplars) -> Self {
        Self {
            def,
            instrument: def.f64_counter(meter),
            exemplars: exemplars.clone(),
        }
    }
}

impl Count<u64> {
    pub(super) fn u64(def: MetricDef, meter: &Meter, exemplars: &Exemplars) -> Self {
        Self {
            def,
            instrument: def.u64_counter(meter),
            exemplars: exemplars.clone(),
        }
    }
}

impl<T> Count<T> {
    /// The series of these labels. It is on the page from now on.
    pub(super) fn bind(&self, labels: &[KeyValue]) -> CountSeries<T> {
        CountSeries {
            series: self.instrument.bind(labels),
            slots: self.exemplars.slots(&self.def, labels),
        }
    }
}

/// One series of a counter.
#[derive(Debug)]
pub(super) struct CountSeries<T> {
    series: BoundCounter<T>,
    slots: Arc<Slots>,
}

impl<T: Amount> CountSeries<T> {
    pub(super) fn add(&self, value: T, moment: Option<Moment>) {
        self.series.add(value);
        if let Some(moment) = moment {
            self.slots.put(0, value.as_f64(), moment);
        }
    }
}
