//! Each kind of price, alone and with the others.

use super::{at, book, price};
use crate::cost::PriceRequest;
use crate::model::Usage;

#[test]
fn each_kind_of_token_has_its_own_rate() {
    let usage = |change: fn(&mut Usage)| {
        let mut usage = Usage::new(10, 10);
        change(&mut usage);
        usage
    };
    let table = [
        ("cache_read", usage(|u| u.cache_read_tokens = Some(4))),
        ("cache_write", usage(|u| u.cache_write_tokens = Some(4))),
        (
            "cache_write_1h",
            usage(|u| u.cache_write_1h_tokens = Some(4)),
        ),
        ("input_audio", usage(|u| u.input_audio_tokens = Some(4))),
        ("input_image", usage(|u| u.input_image_tokens = Some(4))),
        ("output_audio", usage(|u| u.output_audio_tokens = Some(4))),
        ("output_image", usage(|u| u.output_image_tokens = Some(4))),
        ("reasoning", usage(|u| u.reasoning_tokens = Some(4))),
    ];
    for (kind, usage) in table {
        let nanos = |rates: String| price(&book(&rates), &usage).unwrap().total.nanos();
        let with = nanos(format!(
            r#"[{{"input": "1", "output": "1", "{kind}": "100"}}]"#
        ));
        assert_eq!(with, 416_000, "{kind}");
        let without = nanos(r#"[{"input": "1", "output": "1"}]"#.to_owned());
        assert_eq!(without, 20_000, "{kind}: billed as its whole");
        let tiers = r#"{"base": "1", "tiers": [{"above_input_tokens": 9, "price": "100"}]}"#;
        let tiered = nanos(format!(
            r#"[{{"input": "1", "output": "1", "{kind}": {tiers}}}]"#
        ));
        assert_eq!(
            tiered, 416_000,
            "{kind}: the tier is that of the whole input"
        );
    }
}

#[test]
fn sound_and_images_that_do_not_fit_beside_the_cache_came_from_it() {
    let rates = r#"[{"input": "1", "output": "0", "cache_read": "10", "input_audio": "100", "input_image": "1000"}]"#;
    let usage = |read, audio, image| Usage {
        cache_read_tokens: Some(read),
        input_audio_tokens: Some(audio),
        input_image_tokens: Some(image),
        ..Usage::new(10, 0)
    };
    let nanos = |usage: Usage| price(&book(rates), &usage).map(|cost| cost.total.nanos() / 1000);
    assert_eq!(nanos(usage(2, 3, 4)), Some(1 + 20 + 300 + 4000));
    // Four too many: the three of sound and one of the images are billed as read.
    assert_eq!(nanos(usage(7, 3, 4)), Some(70 + 3000));
    assert_eq!(nanos(usage(11, 3, 4)), None, "more than the whole was read");
    assert_eq!(
        nanos(usage(1, 6, 6)),
        None,
        "more sound and images than fit"
    );
    let cached = rates.replace("}]", r#", "cache_audio_read": "5"}]"#);
    let cost = price(&book(&cached), &usage(7, 3, 4)).unwrap();
    assert_eq!(cost.total.nanos() / 1000, 4 * 10 + 3 * 5 + 3 * 1000);
}

#[test]
fn prices_have_days_and_times_of_day() {
    let book = book(
        r#"[{"input": "1", "output": "0"},
            {"valid_from": "2026-06-01", "input": "2", "output": "0"},
            {"valid_from": "2026-06-01", "time_of_day_utc": {"start": "22:00:00", "end": "06:00:00"}, "input": "3", "output": "0"}],
        "variants": [
            {"when": {"processing": "batch"}, "input": "4"},
            {"when": {"processing": "batch"}, "valid_from": "2026-06-01", "input": "5"},
            {"when": {"service_tier": "flex", "processing": "batch"}, "input": "6"}]"#,
    );
    let rate = |time: &str, context: &[(&str, &str)]| {
        let request = PriceRequest::new("p", "m", at(time));
        let request = context.iter().fold(request, |request, (key, value)| {
            request.with_context(key, value)
        });
        let cost = book.price(&request, &Usage::new(1, 0)).unwrap();
        cost.total.nanos() / 1000
    };
    assert_eq!(rate("2026-05-31T23:59:59Z", &[]), 1);
    assert_eq!(rate("2026-06-01T12:00:00Z", &[]), 2);
    assert_eq!(rate("2026-06-01T05:59:59Z", &[]), 3);
    assert_eq!(rate("2026-06-01T06:00:00Z", &[]), 2);
    assert_eq!(rate("2026-06-01T22:00:00Z", &[]), 3);
    let batch = ("processing", "batch");
    assert_eq!(rate("2026-05-31T12:00:00Z", &[batch]), 4);
    assert_eq!(rate("2026-06-01T12:00:00Z", &[batch]), 5);
    assert_eq!(rate("2026-06-01T12:00:00Z", &[("processing", "BATCH")]), 5);
    // The first variant that holds.
    assert_eq!(
        rate("2026-06-01T12:00:00Z", &[batch, ("service_tier", "flex")]),
        5
    );
    assert_eq!(rate("2026-06-01T12:00:00Z", &[("service_tier", "flex")]), 2);
}
