//! Labels that somebody else writes, in any number.

use super::*;

/// A value of its own for each number: with a line end, quotes, a backslash, a NUL, the end of a label, or very long.
fn hostile(index: usize) -> String {
    match index % 8 {
        0 => format!("{index}\n# EOF\n"),
        1 => format!("\"{index}\"}} 1\nx{{y=\""),
        2 => format!("\\{index}\\"),
        3 => format!("\0{index}"),
        4 => format!("{index}\u{2028}\r\n# {{trace_id=\"x\"}} 1"),
        5 if index == 5 => "x".repeat(1_000_000),
        _ => index.to_string(),
    }
}

#[test]
fn o6_a_million_values_are_two_thousand_series_and_an_exact_total() {
    const VALUES: usize = 1_000_000;
    let stage = Stage::new(MAX_PAGE_BYTES);
    let counter = stage.meter().u64_counter("user.calls").build();
    let ours = metric::INFERENCE_INPUT_TOKENS.u64_counter(&stage.provider.meter("agent-sdk"));
    for index in 0..VALUES {
        let value = hostile(index);
        if index % 4 == 0 {
            ours.add(3, &[attrs::text(attrs::REQUEST_MODEL, value.clone())]);
        }
        counter.add(1, &[attrs::custom("query", value)]);
    }
    for page in stage.pages() {
        for (name, total) in [
            ("user_calls_total", VALUES),
            (
                "gen_ai_client_inference_usage_input_tokens_total",
                VALUES / 4 * 3,
            ),
        ] {
            let samples: Vec<_> = page.samples(name).collect();
            assert!(samples.len() <= 2_001, "{}", samples.len());
            assert_eq!(page.sum(name), total as f64);
            let overflow = samples
                .iter()
                .find(|sample| sample.label("otel_metric_overflow").is_some());
            assert!(overflow.is_some());
            let longest = samples
                .iter()
                .flat_map(|sample| &sample.labels)
                .map(|(_, value)| value.len());
            assert!(longest.max().unwrap() <= names::MAX_VALUE_BYTES);
        }
    }
}

#[test]
fn o6_a_page_has_its_limit_and_histograms_their_totals() {
    let stage = Stage::new(MAX_PAGE_BYTES);
    // Each would take more than the page by itself, but for the small one.
    let meter = stage.meter();
    let [one, two, small] =
        ["user.one", "user.two", "user.small"].map(|name| meter.f64_histogram(name).build());
    let gauge = meter.u64_gauge("user.gauge").build();
    for index in 0..20_000 {
        let labels = [attrs::custom(
            "query",
            format!("{}{}", hostile(index), "y".repeat(200)),
        )];
        one.record(7.0, &labels);
        two.record(700.0, &labels);
        gauge.record(1, &labels);
        small.record(1.0, &[attrs::custom("query", (index % 10).to_string())]);
    }
    for page in stage.pages() {
        assert_eq!(page.sum("user_one_count"), 20_000.0);
        assert_eq!(page.sum("user_one_sum"), 140_000.0);
        assert_eq!(page.sum("user_two_sum"), 14_000_000.0);
        let bucket = page.samples("user_two_bucket").filter(|sample| {
            sample
                .label("le")
                .is_some_and(|bound| bound.parse() == Ok(750.0))
        });
        assert_eq!(bucket.map(|sample| sample.value).sum::<f64>(), 20_000.0);
        assert_eq!(page.samples("user_small_count").count(), 10);
        let shown = ["user_one_count", "user_two_count"].map(|name| page.samples(name).count());
        assert!(
            shown.iter().all(|shown| (100..1_000).contains(shown)),
            "{shown:?}"
        );
        let left_out = page.sum("agent_sdk_metrics_truncated_series");
        assert!(left_out > 2_000.0, "{left_out}");
    }
}

#[test]
fn o6_what_has_room_stays_as_more_comes() {
    let stage = Stage::new(64 * 1024);
    let counter = stage.meter().u64_counter("user.calls").build();
    let mut before = 0.0;
    let mut shown = usize::MAX;
    for round in 0..30 {
        for index in 0..40 {
            // Numbers grow longer, and new series come before known ones.
            let name = format!("{:04}{}", 9_999 - (round * 40 + index), "z".repeat(100));
            counter.add(
                1_000_u64.pow(u32::try_from(round % 4).unwrap()),
                &[attrs::custom("query", name)],
            );
        }
        let [page, _] = stage.pages();
        let samples: Vec<_> = page.samples("user_calls_total").collect();
        let overflow = samples
            .iter()
            .find(|sample| sample.label("otel_metric_overflow").is_some());
        let value = overflow.map_or(0.0, |sample| sample.value);
        assert!(
            value >= before,
            "the overflow series fell from {before} to {value}"
        );
        before = value;
        if value > 0.0 {
            assert!(samples.len() <= shown);
            shown = samples.len();
        }
    }
    assert!(before > 0.0);
}

#[test]
fn o6_a_page_too_small_for_anything_says_how_much_is_missing() {
    let stage = Stage::new(400);
    for index in 0..50 {
        let counter = stage
            .meter()
            .u64_counter(format!("user.calls.{index}"))
            .build();
        counter.add(1, &[]);
    }
    let [page, _] = stage.pages();
    assert_eq!(page.sum("agent_sdk_metrics_truncated_series"), 51.0);
}

#[test]
fn o6_exemplars_never_push_a_series_out() {
    let def = metric::AGENT_DURATION;
    let labels = |index: usize| {
        [attrs::custom(
            "agent",
            format!("{index:03}{}", "z".repeat(150)),
        )]
    };
    let shown = |exemplars: bool| {
        let stage = Stage::new(256 * 1024);
        let histogram = def.f64_histogram(&stage.meter());
        for index in 0..500 {
            histogram.record(1.0, &labels(index));
            let slots = stage.exposition.exemplars().slots(&def, &labels(index));
            if exemplars {
                slots.put(4, 1.0, at(1, true).unwrap());
            }
        }
        let [_, page] = stage.pages();
        let family = page.family("gen_ai_invoke_agent_duration_seconds");
        let with = family
            .samples
            .iter()
            .filter(|sample| sample.exemplar.is_some());
        (family.samples.len(), with.count())
    };
    let (plain, traced) = (shown(false), shown(true));
    assert_eq!(plain.0, traced.0);
    assert!(plain.1 == 0 && traced.1 > 0);
}
