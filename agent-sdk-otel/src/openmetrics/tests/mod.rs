//! Pages as a reader who knows nothing of the encoder sees them.

#![expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "sums of small whole numbers are exact"
)]

mod hostile;
mod reader;

use std::time::{Duration, UNIX_EPOCH};

use agent_sdk::operation::{SpanId, TraceContext, TraceId};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use proptest::prelude::*;

use super::*;
use crate::{attrs, metric};
pub(crate) use reader::{Page, Sample, read};

/// A provider with nothing but a page.
struct Stage {
    exposition: Exposition,
    provider: SdkMeterProvider,
}

impl Stage {
    fn new(limit: usize) -> Self {
        let mut exposition = Exposition::new();
        exposition.limit = limit;
        let service = attrs::text(attrs::SERVICE_NAME, "triage");
        let resource = opentelemetry_sdk::Resource::builder_empty().with_attribute(service);
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.build())
            .with_reader(exposition.reader())
            .build();
        Self {
            exposition,
            provider,
        }
    }

    fn meter(&self) -> Meter {
        self.provider.meter("user")
    }

    /// Both forms of the page, which say the same.
    fn pages(&self) -> [Page; 2] {
        let classic = self.exposition.page(Format::Classic);
        let open = self.exposition.page(Format::OpenMetrics);
        for page in [&classic, &open] {
            assert!(
                page.body.len() <= self.exposition.limit,
                "{}",
                page.body.len()
            );
        }
        let [classic, open] = [read(&classic.body, false), read(&open.body, true)];
        let samples = |page: &Page| -> Vec<_> {
            let samples = page.families.iter().flat_map(|family| &family.samples);
            samples
                .map(|sample| (sample.name.clone(), sample.value.to_bits()))
                .collect()
        };
        assert_eq!(samples(&classic), samples(&open));
        [classic, open]
    }
}

fn at(id: u128, sampled: bool) -> Option<Moment> {
    let trace = TraceContext::new(TraceId(id), SpanId(7), sampled);
    Moment::of(
        &trace,
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
    )
}

#[test]
fn the_two_forms_of_a_page() {
    let stage = Stage::new(MAX_PAGE_BYTES);
    let meter = stage.meter();
    let model = [attrs::text(attrs::REQUEST_MODEL, "gpt-5")];
    metric::UNPRICED_REQUESTS.u64_counter(&meter).add(2, &model);
    metric::OPERATIONS_ACTIVE
        .i64_up_down_counter(&meter)
        .add(-1, &[]);
    let rate = meter.f64_gauge("disk.rate").with_unit("By/s").build();
    rate.record(2.5, &[]);
    let def = metric::AGENT_INFERENCE_CALLS;
    let calls = def.u64_histogram(&meter);
    let slots = stage.exposition.exemplars().slots(&def, &model);
    for (value, slot) in [(3, 2), (500, 8)] {
        calls.record(value, &model);
        slots.put(
            slot,
            3.0 + f64::from(u8::from(slot == 8)) * 497.0,
            at(0xabc, true).unwrap(),
        );
    }
    let classic = stage.exposition.page(Format::Classic);
    assert_eq!(
        classic.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(classic.body, include_str!("classic.txt"));
    let open = stage.exposition.page(Format::OpenMetrics);
    assert_eq!(
        open.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(open.body, include_str!("openmetrics.txt"));
    let [_, open] = stage.pages();
    let family = open.family("gen_ai_invoke_agent_inference_calls");
    let exemplars = family
        .samples
        .iter()
        .filter_map(|sample| sample.exemplar.as_ref());
    let exemplars: Vec<_> = exemplars.collect();
    assert_eq!(exemplars.len(), 2);
    assert_eq!(exemplars[0].labels[0].1, "00000000000000000000000000000abc");
    assert_eq!(exemplars[0].labels[1].1, "0000000000000007");
    assert_eq!(
        (exemplars[0].value, exemplars[0].time),
        (3.0, 1_700_000_000.25)
    );
}

#[test]
fn a_page_without_metrics() {
    let exposition = Exposition::new();
    assert_eq!(exposition.page(Format::Classic).body, "");
    assert_eq!(exposition.page(Format::OpenMetrics).body, "# EOF\n");
}

#[test]
fn series_that_become_the_same_are_one() {
    let stage = Stage::new(MAX_PAGE_BYTES);
    for (scope, name) in [("a", "jobs.done"), ("b", "jobs_done")] {
        let meter = stage.provider.meter(scope);
        let counter = meter.u64_counter(name).build();
        counter.add(3, &[attrs::custom("k", "a\0")]);
        counter.add(4, &[attrs::custom("k", "a\u{1}")]);
        let histogram = meter.f64_histogram(format!("{name}.took")).build();
        histogram.record(2.0, &[]);
        // The first one that was made has the name.
        meter.i64_gauge("level").build().record(5, &[]);
    }
    let [page, _] = stage.pages();
    let done: Vec<_> = page.samples("jobs_done_total").collect();
    assert_eq!((done.len(), done[0].value), (1, 14.0));
    assert_eq!(page.sum("jobs_done_took_count"), 2.0);
    assert_eq!(page.sum("level"), 5.0);
}

#[test]
fn a_metric_whose_name_is_taken_is_counted() {
    let stage = Stage::new(MAX_PAGE_BYTES);
    stage.meter().u64_counter("x").build().add(1, &[]);
    let other = stage.provider.meter("other");
    other.f64_histogram("x").build().record(1.0, &[]);
    let [page, _] = stage.pages();
    assert_eq!(page.sum("agent_sdk_metrics_truncated_series"), 1.0);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\"\\\\\n\r\t\0{},= #]{0,6}",
        "(__name__|le|quantile|_?[a-z.]{1,3})",
        "[a-zé]{250,300}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn o6_whatever_is_recorded_both_pages_can_be_read(
        points in prop::collection::vec((text(), prop::collection::vec((text(), text()), 0..4), 0_u32..9, 0_u8..4), 0..40),
        units in prop::sample::select(vec!["", "s", "1", "{x}", "By/s", "a/b"]),
    ) {
        let stage = Stage::new(MAX_PAGE_BYTES);
        let meter = stage.meter();
        // Of the same names, because names that the SDK refuses record nothing.
        let counter = meter.u64_counter("user.counter").with_unit(units).with_description("a\\b\n\"c\"").build();
        let up_down = meter.i64_up_down_counter("user.level").with_unit(units).build();
        let gauge = meter.f64_gauge("user.gauge").with_unit(units).build();
        let histogram = meter.f64_histogram("user.histogram").with_unit(units).build();
        let (mut total, mut level, mut count, mut sum) = (0_u64, 0_i64, 0_u32, 0_u32);
        for (extra, labels, value, kind) in points {
            let mut labels: Vec<KeyValue> = labels.into_iter().map(|(k, v)| attrs::custom(k, v)).collect();
            labels.push(attrs::custom(extra.clone(), extra));
            match kind {
                0 => { counter.add(value.into(), &labels); total += u64::from(value); }
                1 => { up_down.add(-i64::from(value), &labels); level -= i64::from(value); }
                2 => gauge.record(value.into(), &labels),
                _ => { histogram.record(value.into(), &labels); count += 1; sum += value; }
            }
        }
        for page in stage.pages() {
            let all = |begin: &str, end: &str| -> f64 {
                let families = page.families.iter().filter(|family| family.name.starts_with(begin));
                let samples = families.flat_map(|family| &family.samples);
                samples.filter(|sample| sample.name.ends_with(end)).map(|sample| sample.value).sum()
            };
            prop_assert_eq!(all("user_counter", "_total"), total as f64);
            prop_assert_eq!(all("user_level", ""), level as f64);
            prop_assert_eq!(all("user_histogram", "_count"), f64::from(count));
            prop_assert_eq!(all("user_histogram", "_sum"), f64::from(sum));
        }
    }
}
