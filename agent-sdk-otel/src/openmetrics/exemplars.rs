//! The newest traced measurement of each bucket.
//!
//! A recorder keeps the slots of its series and writes to them without ever waiting: a slot that is being read or written keeps
//! what it has. A page finds the slots by the metric's name and the series' labels, as they stand on the page.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use agent_sdk::operation::{SpanId, TraceContext, TraceId};
use opentelemetry::KeyValue;

use super::names;
use super::number::write_f64;
use crate::metric::MetricDef;

/// How many label sets the SDK gives a metric before it begins the overflow series.
pub(crate) const SERIES_PER_METRIC: usize = 2_000;

/// How many series have exemplars, over all metrics: about 1 KiB each.
const MAX_SERIES: usize = 4_096;

/// The most that [`Exemplar::write`] writes, in bytes.
pub(super) const EXEMPLAR_BYTES: usize = 140;

/// Where and when something was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    trace_id: TraceId,
    span_id: SpanId,
    millis: u64,
}

impl Moment {
    /// `None` outside of a sampled trace: there is nothing to lead to.
    pub(crate) fn of(trace: &TraceContext, at: SystemTime) -> Option<Self> {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        trace.sampled.then(|| Self {
            trace_id: trace.trace_id,
            span_id: trace.span_id,
            millis: since.as_millis().try_into().unwrap_or(u64::MAX),
        })
    }
}

/// A measurement with the trace it was made in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    value: f64,
    moment: Moment,
}

impl Exemplar {
    /// What stands behind a sample; its labels have 63 characters, of the 128 that are allowed.
    pub(super) fn write(&self, out: &mut String) {
        let Moment {
            trace_id,
            span_id,
            millis,
        } = self.moment;
        let _ = write!(out, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} ");
        write_f64(out, self.value);
        let _ = write!(out, " {}.{:03}", millis / 1_000, millis % 1_000);
    }
}

/// The exemplars of one series: one for each bucket, or one alone for a counter.
#[derive(Debug, Default)]
pub(crate) struct Slots(Box<[Mutex<Option<Exemplar>>]>);

impl Slots {
    fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Mutex::default()).collect())
    }

    /// Keeps a measurement in place of the one before; never waits.
    pub(crate) fn put(&self, slot: usize, value: f64, moment: Moment) {
        if let Some(slot) = self.0.get(slot)
            && let Ok(mut slot) = slot.try_lock()
        {
            *slot = Some(Exemplar { value, moment });
        }
    }

    pub(super) fn get(&self, slot: usize) -> Option<Exemplar> {
        let slot = self.0.get(slot)?;
        *slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of the series of a metric, by its labels.
pub(super) type OfMetric = HashMap<String, Arc<Slots>>;

/// The exemplars of all series of ours. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Exemplars(Option<Arc<Mutex<Store>>>);

#[derive(Debug, Default)]
pub(super) struct Store {
    metrics: HashMap<String, OfMetric>,
    series: usize,
}

impl Exemplars {
    pub(crate) fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// None are kept.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// The slots of a series of a metric; those that are there already where another recorder has the same series.
    pub(crate) fn slots(&self, metric: &MetricDef, attributes: &[KeyValue]) -> Arc<Slots> {
        let Some(store) = &self.0 else {
            return Arc::default();
        };
        let (family, _) = names::family(metric.name, metric.unit);
        let (labels, _) = names::labels(attributes.iter().map(|kv| (&kv.key, &kv.value)));
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let Store { metrics, series } = &mut *store;
        let known = metrics.entry(family).or_default();
        let labels = if known.contains_key(&labels) || known.len() < SERIES_PER_METRIC {
            labels
        } else {
            names::OVERFLOW.to_owned()
        };
        if let Some(slots) = known.get(&labels) {
            return slots.clone();
        }
        if *series >= MAX_SERIES {
            return Arc::default();
        }
        *series += 1;
        let slots = Arc::new(Slots::new(metric.buckets.len() + 1));
        known.insert(labels, slots.clone());
        slots
    }

    /// The slots of a metric's series, as they are now.
    pub(super) fn of(&self, family: &str) -> OfMetric {
        let Some(store) = &self.0 else {
            return OfMetric::default();
        };
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.metrics.get(family).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{attrs, metric};

    fn moment(sampled: bool) -> Option<Moment> {
        let mut trace = TraceContext::random_root();
        trace.sampled = sampled;
        Moment::of(
            &trace,
            UNIX_EPOCH + Duration::from_millis(1_700_000_000_007),
        )
    }

    #[test]
    fn an_exemplar_fits_its_place() {
        let slots = Slots::new(2);
        for value in [0.25, -f64::MAX, f64::MIN_POSITIVE] {
            slots.put(1, value, moment(true).unwrap());
            let mut text = String::new();
            slots.get(1).unwrap().write(&mut text);
            assert!(text.len() <= EXEMPLAR_BYTES, "{text}");
            assert!(text.ends_with(" 1700000000.007"), "{text}");
        }
        assert!(slots.get(0).is_none() && slots.get(2).is_none());
        slots.put(2, 1.0, moment(true).unwrap());
    }

    #[test]
    fn what_is_not_sampled_leads_nowhere() {
        assert!(moment(false).is_none());
    }

    #[test]
    fn recorders_of_one_series_share_its_slots() {
        let store = Exemplars::new();
        let (a, b) = (
            attrs::text(attrs::AGENT_NAME, "a"),
            attrs::int(attrs::SERVER_PORT, 1),
        );
        let one = store.slots(&metric::AGENT_DURATION, &[a.clone(), b.clone()]);
        let other = store.slots(&metric::AGENT_DURATION, &[b, a]);
        assert!(Arc::ptr_eq(&one, &other));
        let none = Exemplars::off().slots(&metric::AGENT_DURATION, &[]);
        none.put(0, 1.0, moment(true).unwrap());
        assert!(none.get(0).is_none());
    }

    #[test]
    fn o6_exemplars_are_bounded() {
        let store = Exemplars::new();
        for metric in [
            metric::AGENT_DURATION,
            metric::TOOL_DURATION,
            metric::WORKFLOW_DURATION,
        ] {
            for index in 0..3_000 {
                let name = attrs::text(attrs::AGENT_NAME, index.to_string());
                let _ = store.slots(&metric, &[name]);
            }
        }
        let all = store.0.unwrap();
        let all = all.lock().unwrap();
        assert_eq!(all.series, MAX_SERIES);
        for series in all.metrics.values() {
            assert!(series.len() <= SERIES_PER_METRIC + 1);
        }
        let first = &all.metrics["gen_ai_invoke_agent_duration_seconds"];
        assert!(first.contains_key(names::OVERFLOW));
    }
}
