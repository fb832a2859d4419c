//! No bill is above the bound that was reserved for it.

use proptest::prelude::*;

use super::{at, book};
use crate::cost::{OutputRoom, PriceBook, PriceRequest, UsageBound, Usd};
use crate::model::Usage;

fn request<'a>() -> PriceRequest<'a> {
    PriceRequest::new("p", "m", at("2026-11-20T12:00:00Z"))
}

fn bound(book: &PriceBook, most: UsageBound) -> Option<String> {
    let bound = book.upper_bound(&request(), &most);
    bound.map(|bound| bound.to_string())
}

#[test]
fn a_bound_takes_the_dearest_rate_of_each_side_and_rounds_up() {
    let book = book(
        r#"[{"input": "1", "cache_read": "0.1", "cache_write": "1.25", "cache_write_1h": "2",
            "output": "5", "reasoning": "8", "per_1k_requests": "1"}]"#,
    );
    assert_eq!(
        bound(&book, UsageBound::new(100, 10)).unwrap(),
        "0.00128",
        "the input at 2, the output at 8, and the fee"
    );
    let third = super::book(r#"[{"input": "0.0003", "output": "0"}]"#);
    assert_eq!(bound(&third, UsageBound::new(1, 0)).unwrap(), "0.000000001");
}

#[test]
fn a_bound_holds_for_every_tier_that_the_input_may_fall_in() {
    let tiers = |base, price| {
        format!(
            r#"{{"base": "{base}", "tiers": [{{"above_input_tokens": 100, "price": "{price}"}}]}}"#
        )
    };
    // Both sides change at 100 tokens: the input gets dearer and the output cheaper.
    let book = book(&format!(
        r#"[{{"input": {}, "output": {}}}]"#,
        tiers(1, 2),
        tiers(10, 3)
    ));
    assert_eq!(bound(&book, UsageBound::new(100, 1)).unwrap(), "0.00011");
    assert_eq!(bound(&book, UsageBound::new(101, 1)).unwrap(), "0.000212");
}

#[test]
fn a_bound_holds_for_the_tier_that_was_asked_for_and_for_the_usual_one() {
    let book = book(
        r#"[{"input": "2", "output": "4"}], "variants": [
            {"when": {"service_tier": "priority"}, "input": "5", "output": "3"}]"#,
    );
    let tier = request().with_context("service_tier", "priority");
    let most = UsageBound::new(1, 1);
    assert_eq!(book.upper_bound(&tier, &most), Some(Usd::from_nanos(9000)));
    assert_eq!(
        book.upper_bound(&request(), &most),
        Some(Usd::from_nanos(6000))
    );
}

#[test]
fn b3_what_cannot_be_priced_has_no_bound() {
    let most = UsageBound::new(10, 10);
    let nowhere = PriceRequest::new("p", "n", at("2026-11-20T12:00:00Z"));
    let plain = book(r#"[{"input": "1", "output": "1"}]"#);
    assert_eq!(plain.upper_bound(&nowhere, &most), None);
    assert_eq!(
        plain.output_within(&nowhere, &most, Usd::MAX),
        OutputRoom::Unpriced
    );
    assert_eq!(bound(&book("[{}]"), most), None);
    assert_eq!(bound(&book(r#"[{"input": "1"}]"#), most), None);
    assert_eq!(bound(&book(r#"[{"output": "1"}]"#), most), None);
    // An embedding has no output.
    let embedding = book(r#"[{"input": "1"}]"#);
    assert_eq!(
        bound(&embedding, UsageBound::new(10, 0)).unwrap(),
        "0.00001"
    );
    // Searches without a rate, or without an end.
    assert_eq!(bound(&plain, most.with_web_searches(Some(1))), None);
    let searching = book(r#"[{"input": "1", "output": "1", "per_1k_web_searches": "10"}]"#);
    assert_eq!(
        bound(&searching, most.with_web_searches(Some(2))).unwrap(),
        "0.02002"
    );
    assert_eq!(bound(&searching, most.with_web_searches(None)), None);
    let free = book(r#"[{"input": "1", "output": "1", "per_1k_web_searches": "0"}]"#);
    assert_eq!(
        bound(&free, most.with_web_searches(None)).unwrap(),
        "0.00002"
    );
}

#[test]
fn b6_a_bound_beyond_every_amount_is_unknown_and_never_wraps() {
    let absurd = book(r#"[{"input": "300000000000000000000", "output": "1"}]"#);
    assert_eq!(bound(&absurd, UsageBound::new(u64::MAX, 1)), None);
    assert_eq!(bound(&absurd, UsageBound::new(1, 1)), None);
    let dear = book(r#"[{"input": "1000000", "output": "1000000"}]"#);
    assert_eq!(bound(&dear, UsageBound::new(u64::MAX, u64::MAX)), None);
    assert_eq!(
        dear.output_within(&request(), &UsageBound::new(1, u64::MAX), Usd::MAX),
        OutputRoom::UpTo(18_446_744_072)
    );
}

#[test]
fn a_budget_has_room_for_so_much_output() {
    let book = book(r#"[{"input": "1", "output": "3", "per_1k_requests": "1"}]"#);
    let room = |budget: &str, most| {
        book.output_within(
            &request(),
            &UsageBound::new(1000, most),
            budget.parse().unwrap(),
        )
    };
    assert_eq!(room("0.001999999", u64::MAX), OutputRoom::TooSmall);
    assert_eq!(room("0.002", u64::MAX), OutputRoom::UpTo(0));
    assert_eq!(room("0.002002999", u64::MAX), OutputRoom::UpTo(0));
    assert_eq!(room("0.002003", u64::MAX), OutputRoom::UpTo(1));
    assert_eq!(room("1", 20), OutputRoom::UpTo(20));
    let free = super::book(r#"[{"input": "1", "output": "0"}]"#);
    let most = UsageBound::new(1, u64::MAX);
    assert_eq!(
        free.output_within(&request(), &most, Usd::from_nanos(1000)),
        OutputRoom::UpTo(u64::MAX)
    );
}

/// A decimal of up to 18 places, from nothing to a thousand dollars.
fn decimal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0".to_owned()),
        (0..1000_u32, 0..1_000_000_u32).prop_map(|(whole, part)| format!("{whole}.{part:06}")),
        (0..1_000_000_000_000_000_000_u64).prop_map(|part| format!("0.{part:018}")),
    ]
}

/// A rate with up to three tiers.
fn rate() -> impl Strategy<Value = String> {
    let tiers = prop::collection::vec((0..500_u64, decimal()), 0..3);
    (decimal(), tiers).prop_map(|(base, tiers)| {
        let tiers: Vec<_> = tiers
            .iter()
            .map(|(above, price)| {
                format!(r#"{{"above_input_tokens": {above}, "price": "{price}"}}"#)
            })
            .collect();
        format!(r#"{{"base": "{base}", "tiers": [{}]}}"#, tiers.join(","))
    })
}

prop_compose! {
    /// Some of the rates that a price can have; the two plain ones mostly.
    fn rates()(
        input in prop::option::weighted(0.9, rate()), output in prop::option::weighted(0.9, rate()),
        others in prop::collection::vec(prop::option::of(rate()), 9),
        fees in prop::collection::vec(prop::option::of(decimal()), 2),
    ) -> String {
        const OTHERS: [&str; 9] = [
            "cache_read", "cache_write", "cache_write_1h", "input_audio", "cache_audio_read", "output_audio", "reasoning",
            "input_image", "output_image",
        ];
        let line = |(name, rate): (&str, Option<String>)| rate.map(|rate| format!(r#""{name}": {rate}"#));
        let text = |fee: Option<String>| fee.map(|fee| format!(r#""{fee}""#));
        let lines = [("input", input), ("output", output)].into_iter()
            .chain(OTHERS.into_iter().zip(others))
            .chain(["per_1k_requests", "per_1k_web_searches"].into_iter().zip(fees.into_iter().map(text)));
        lines.filter_map(line).collect::<Vec<_>>().join(",")
    }
}

prop_compose! {
    /// A usage of a few hundred tokens, of which some counts are missing.
    fn usage()(
        input in 0..600_u64, output in 0..600_u64, parts in prop::collection::vec(prop::option::of(0..300_u64), 8),
        searches in prop::option::of(0..5_u64),
    ) -> Usage {
        Usage {
            cache_read_tokens: parts[0],
            cache_write_tokens: parts[1],
            cache_write_1h_tokens: parts[2],
            input_audio_tokens: parts[3],
            reasoning_tokens: parts[4],
            output_audio_tokens: parts[5],
            input_image_tokens: parts[6],
            output_image_tokens: parts[7],
            web_search_requests: searches,
            ..Usage::new(input, output)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn no_bill_is_above_its_bound(
        usual in rates(), flex in rates(), batch in rates(), usage in usage(), spare in (0..100_u64, 0..100_u64),
        asked in prop::sample::subsequence(vec![("service_tier", "flex"), ("processing", "batch")], 0..=2),
        answered in any::<[bool; 2]>(), budget in 0..2_000_000_000_u64,
    ) {
        let book = book(&format!(
            r#"[{{{usual}}}], "variants": [{{"when": {{"service_tier": "flex"}}, {flex}}},
                {{"when": {{"processing": "batch"}}, {batch}}}]"#
        ).replace(", }", "}"));
        let with = |context: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
            context.fold(request(), |request, (key, value)| request.with_context(key, value))
        };
        let request = with(&mut asked.iter().copied());
        // The provider may have done some of what was asked for, or none of it.
        let billed = with(&mut asked.iter().zip(answered).filter(|(_, done)| *done).map(|(pair, _)| *pair));
        let most = UsageBound::new(usage.input_tokens.unwrap() + spare.0, usage.output_tokens.unwrap() + spare.1)
            .with_web_searches(Some(usage.web_search_requests.unwrap_or(0)));
        if let (Some(bill), Some(bound)) = (book.price(&billed, &usage), book.upper_bound(&request, &most)) {
            prop_assert!(bill.total <= bound, "{} > {bound}", bill.total);
        }
        let budget = Usd::from_nanos(budget);
        let bound = |output| book.upper_bound(&request, &UsageBound { output_tokens: output, ..most });
        match book.output_within(&request, &UsageBound { output_tokens: u64::MAX, ..most }, budget) {
            OutputRoom::UpTo(tokens) => {
                prop_assert!(bound(tokens).unwrap() <= budget);
                if tokens < u64::MAX {
                    prop_assert!(bound(tokens + 1).is_none_or(|bound| bound > budget));
                }
            }
            OutputRoom::TooSmall => prop_assert!(bound(0).is_none_or(|bound| bound > budget)),
            OutputRoom::Unpriced => prop_assert_eq!(bound(1), None),
        }
    }
}
