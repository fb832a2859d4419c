//! What holds for every price.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{at, book, price};
use crate::cost::{PriceBook, PriceRequest, PriceSource, Usd};
use crate::model::Usage;

/// The total, or `unknown`.
fn total(book: &PriceBook, usage: &Usage) -> String {
    price(book, usage).map_or_else(|| "unknown".to_owned(), |cost| cost.total.to_string())
}

#[test]
fn a_line_is_rounded_once_and_half_up() {
    // Each side is a third of a nano-USD or half of one: rounded apart, nothing would be left of them.
    let third = book(r#"[{"input": "0.0003", "output": "0.0003"}]"#);
    assert_eq!(total(&third, &Usage::new(1, 0)), "0");
    assert_eq!(total(&third, &Usage::new(1, 1)), "0.000000001");
    let half = book(r#"[{"input": "0.0005", "output": "0"}]"#);
    assert_eq!(total(&half, &Usage::new(1, 0)), "0.000000001");
    assert_eq!(total(&half, &Usage::new(3, 0)), "0.000000002");
    let less = book(r#"[{"input": "0.000499999999999999", "output": "0"}]"#);
    assert_eq!(total(&less, &Usage::new(1, 0)), "0");
}

#[test]
fn huge_counts_at_tiny_prices_are_exact() {
    let tiny = book(r#"[{"input": "0.000000001", "output": "0.041666666666666664"}]"#);
    let cost = price(&tiny, &Usage::new(1_000_000_000_000, 1_000_000_000_000)).unwrap();
    assert_eq!(cost.input.to_string(), "0.001");
    assert_eq!(cost.output.to_string(), "41666.666666666664");
    assert_eq!(cost.total.to_string(), "41666.667666667");
}

#[test]
fn what_no_amount_can_hold_is_unknown() {
    let absurd = book(r#"[{"input": "300000000000000000000", "output": "0"}]"#);
    assert_eq!(price(&absurd, &Usage::new(u64::MAX, 0)), None);
    assert_eq!(price(&absurd, &Usage::new(1, 0)), None);
    let dear = book(r#"[{"input": "1000000", "output": "1000000"}]"#);
    assert_eq!(total(&dear, &Usage::new(18_446_744_073, 0)), "18446744073");
    assert_eq!(price(&dear, &Usage::new(18_446_744_073, 1)), None);
}

#[test]
fn a_missing_count_is_unknown_unless_it_could_cost_nothing() {
    let only = |input, output| Usage {
        input_tokens: input,
        output_tokens: output,
        ..Usage::unknown()
    };
    let both = book(r#"[{"input": "1", "output": "2"}]"#);
    assert_eq!(total(&both, &only(Some(1), None)), "unknown");
    assert_eq!(total(&both, &only(None, Some(1))), "unknown");
    let free = book(r#"[{"input": "0", "output": "0"}]"#);
    assert_eq!(total(&free, &Usage::unknown()), "0");
    let audio = book(r#"[{"input": "0", "output": "0", "output_audio": "1"}]"#);
    assert_eq!(total(&audio, &Usage::unknown()), "unknown");
    // The tier of the output hangs on the size of the input.
    let tiers = r#"{"base": "0", "tiers": [{"above_input_tokens": 5, "price": "1"}]}"#;
    let tiered = book(&format!(r#"[{{"input": "0", "output": {tiers}}}]"#));
    assert_eq!(total(&tiered, &only(None, Some(1))), "unknown");
    assert_eq!(total(&tiered, &only(Some(5), Some(1))), "0");
    assert_eq!(total(&tiered, &only(Some(6), Some(1))), "0.000001");
}

#[test]
fn a_missing_rate_is_unknown_where_it_was_used() {
    let input = book(r#"[{"input": "1"}]"#);
    assert_eq!(total(&input, &Usage::new(1, 0)), "0.000001");
    assert_eq!(total(&input, &Usage::new(1, 1)), "unknown");
    assert_eq!(total(&book("[{}]"), &Usage::new(0, 0)), "unknown");
}

#[test]
fn parts_larger_than_their_whole_are_unknown() {
    let rates = book(r#"[{"input": "1", "cache_read": "0.1", "output": "1"}]"#);
    assert_eq!(
        total(&rates, &Usage::new(10, 0).with_cache_read(11)),
        "unknown"
    );
    // A part without a rate of its own is never looked at.
    assert_eq!(
        total(&rates, &Usage::new(10, 0).with_cache_write(11)),
        "0.00001"
    );
}

#[test]
fn a_part_without_a_rate_is_billed_as_its_whole() {
    let write = book(r#"[{"input": "1", "cache_write": "2", "output": "1"}]"#);
    let usage = Usage {
        cache_write_1h_tokens: Some(4),
        ..Usage::new(10, 0).with_cache_write(6)
    };
    assert_eq!(total(&write, &usage), "0.000016");
    let hour = book(r#"[{"input": "1", "cache_write_1h": "3", "output": "1"}]"#);
    assert_eq!(total(&hour, &usage), "0.000018");
}

#[test]
fn a_request_has_its_own_fee() {
    let fee = book(r#"[{"input": "1", "output": "1", "per_1k_requests": "12"}]"#);
    let cost = price(&fee, &Usage::new(24, 16)).unwrap();
    assert_eq!(
        (cost.fees.to_string(), cost.total.to_string()),
        ("0.012".into(), "0.01204".into())
    );
}

#[test]
fn searches_have_their_fee_and_without_a_rate_they_are_unknown_and_not_free() {
    let usage = |searches| Usage {
        web_search_requests: searches,
        ..Usage::new(24, 16)
    };
    let both = book(
        r#"[{"input": "1", "output": "1", "per_1k_requests": "12", "per_1k_web_searches": "10"}]"#,
    );
    let fees = |searches| price(&both, &usage(searches)).unwrap().fees.to_string();
    assert_eq!(fees(Some(3)), "0.042");
    assert_eq!([fees(Some(0)), fees(None)], ["0.012", "0.012"]);
    assert_eq!(total(&both, &usage(Some(3))), "0.04204");
    assert_eq!(price(&both, &usage(Some(u64::MAX))), None);

    let none = book(r#"[{"input": "1", "output": "1"}]"#);
    assert_eq!(total(&none, &usage(Some(1))), "unknown");
    assert_eq!(total(&none, &usage(Some(0))), "0.00004");
    assert_eq!(total(&none, &usage(None)), "0.00004");

    // A rate for searches alone is no price of a model.
    let only = book(r#"[{"per_1k_web_searches": "10"}]"#);
    assert_eq!(price(&only, &Usage::unknown()), None);

    let variant = r#"[{"input": "0", "output": "0", "per_1k_web_searches": "2.5"}],
        "variants": [{"when": {"search_type": "fast"}, "per_1k_web_searches": "1"}]"#;
    let request = PriceRequest::new("p", "m", UNIX_EPOCH).with_context("search_type", "fast");
    let cost = book(variant).price(&request, &usage(Some(2))).unwrap();
    assert_eq!(cost.total.to_string(), "0.002");
}

#[test]
fn the_embedded_table_prices_searches() {
    let usage = Usage {
        web_search_requests: Some(2),
        ..Usage::new(1_000, 500)
    };
    let cost = |provider, model| {
        let request = PriceRequest::new(provider, model, at("2026-11-20T12:00:00Z"));
        let cost = PriceBook::embedded().price(&request, &usage);
        cost.map(|cost| cost.fees.to_string())
    };
    assert_eq!(
        cost("anthropic", "claude-sonnet-4-5").as_deref(),
        Some("0.02")
    );
    assert_eq!(cost("google", "gemini-2.5-flash").as_deref(), Some("0.07"));
    assert_eq!(cost("openai", "o3").as_deref(), Some("0.02"));
    assert_eq!(cost("mistral", "mistral-large-latest"), None);
}

#[test]
fn the_first_price_holds_where_no_other_does() {
    let prices = r#"[{"input": "1", "output": "1"}, {"valid_from": "2030-01-01", "input": "2", "output": "2"}]"#;
    let book = book(prices);
    let when = |at| {
        book.price(&PriceRequest::new("p", "m", at), &Usage::new(1, 0))
            .unwrap()
            .total
    };
    assert_eq!(when(at("2029-12-31T23:59:59.999Z")), Usd::from_nanos(1000));
    assert_eq!(when(at("2030-01-01T00:00:00Z")), Usd::from_nanos(2000));
    assert_eq!(
        when(UNIX_EPOCH - Duration::from_hours(24)),
        Usd::from_nanos(1000)
    );
}

#[test]
fn providers_are_known_by_their_telemetry_names() {
    let names = [
        ("gcp.gemini", "gemini-2.5-pro", "google"),
        ("gcp.vertex_ai", "gemini-2.5-pro", "google"),
        ("gcp.gen_ai", "gemini-2.5-pro", "google"),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "aws"),
        ("azure.ai.openai", "text-embedding-3-small", "azure"),
        ("azure.ai.inference", "phi-4", "azure"),
        ("mistral_ai", "mistral-small-latest", "mistral"),
        ("moonshot_ai", "kimi-k2.5", "moonshotai"),
        ("x_ai", "grok-4.3", "x-ai"),
        ("xai", "grok-4.3", "x-ai"),
        ("groq", "llama-3.3-70b-versatile", "groq"),
        ("deepseek", "deepseek-chat", "deepseek"),
        ("cohere", "command-r-plus", "cohere"),
        ("perplexity", "sonar", "perplexity"),
        ("Anthropic", "claude-sonnet-4-5", "anthropic"),
        ("openai", "gpt-5", "openai"),
    ];
    for (name, model, provider) in names {
        let request = PriceRequest::new(name, model, at("2026-11-20T12:00:00Z"));
        let cost = PriceBook::embedded().price(&request, &Usage::new(10, 0));
        assert_eq!(
            cost.as_ref().map(|cost| &*cost.provider),
            Some(provider),
            "{name}"
        );
        assert_eq!(cost.map(|cost| cost.source), Some(PriceSource::Table));
    }
    let request = PriceRequest::new("ollama", "gpt-5", at("2026-11-20T12:00:00Z"));
    assert_eq!(
        PriceBook::embedded().price(&request, &Usage::new(10, 0)),
        None
    );
}

#[test]
fn a_broken_table_says_where() {
    let broken = |model: &str| {
        let text = format!(r#"{{"date": "", "providers": [{{"id": "p", "models": [{model}]}}]}}"#);
        PriceBook::from_json(&text).unwrap_err().to_string()
    };
    let price = "providers[0].models[0].prices[0]";
    for (model, place) in [
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"inptu": "1"}]}"#,
            price,
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"input": 1.5}]}"#,
            price,
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"input": "-1"}]}"#,
            price,
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"valid_from": "soon"}]}"#,
            price,
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": []}"#,
            "p/m.prices",
        ),
        (
            r#"{"id": "m", "match": {"regex": "("}, "prices": [{}]}"#,
            "p/m.match",
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"when": {}}]}"#,
            "p/m.prices",
        ),
        (
            r#"{"id": "m", "match": {"exact": "m"}, "prices": [{}], "variants": [{}]}"#,
            "p/m.variants",
        ),
    ] {
        let error = broken(model);
        assert!(error.contains(place), "{error}");
    }
    let lost = r#"{"date": "", "providers": [{"id": "p", "fallback": ["q"], "models": []}]}"#;
    assert_eq!(
        PriceBook::from_json(lost).unwrap_err().place(),
        "p.fallback"
    );
    assert!(PriceBook::from_json(r#"{"date": "", "providers": []} x"#).is_err());
}

#[test]
fn a_cost_survives_json() {
    let cost = price(
        &book(r#"[{"input": "1", "output": "3"}]"#),
        &Usage::new(7, 5),
    )
    .unwrap();
    let json = serde_json::to_string(&cost).unwrap();
    assert_eq!(
        json,
        r#"{"total":0.000022,"input":"0.000007","output":"0.000015","fees":"0","source":"override","provider":"p","model":"m","snapshot":"2026-11-20"}"#
    );
    assert_eq!(
        serde_json::from_str::<crate::cost::Cost>(&json).unwrap(),
        cost
    );
}

prop_compose! {
    /// A usage whose parts fit into their wholes.
    fn usage()(
        plain in 0..200_000_u64, read in 0..300_000_u64, write in 0..100_000_u64, hour in 0..100_000_u64,
        audio in 0..50_000_u64, text in 0..100_000_u64, thought in 0..100_000_u64, spoken in 0..50_000_u64,
    ) -> Usage {
        Usage {
            cache_read_tokens: Some(read),
            cache_write_tokens: Some(write + hour),
            cache_write_1h_tokens: Some(hour),
            input_audio_tokens: Some(audio),
            reasoning_tokens: Some(thought),
            output_audio_tokens: Some(spoken),
            ..Usage::new(plain + read + write + hour + audio, text + thought + spoken)
        }
    }
}

/// Models with tiers, writes, audio, fees, and rates of many decimals.
const MODELS: [(&str, &str); 8] = [
    ("openai", "gpt-5.4"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-5-5"),
    ("google", "gemini-2.5-flash"),
    ("openai", "gpt-4o-mini-realtime-preview"),
    ("perplexity", "sonar"),
    ("perplexity", "sonar-deep-research"),
    ("openrouter", "google/gemini-3.8-flash"),
];

proptest! {
    #[test]
    fn a_total_is_its_parts_rounded_once(
        usage in usage(), (provider, model) in prop::sample::select(&MODELS[..]), hour in 0..48_u64,
    ) {
        let moment = at("2026-11-20T00:00:00Z") + Duration::from_hours(hour);
        let request = PriceRequest::new(provider, model, moment);
        let cost = PriceBook::embedded().price(&request, &usage).unwrap();
        let sum = cost.input.checked_add(cost.output).unwrap().checked_add(cost.fees).unwrap();
        prop_assert_eq!(sum.round(), Some(cost.total));
    }

    #[test]
    fn more_tokens_never_cost_less_within_a_tier(
        usage in usage(), more in 0..1000_u64, (provider, model) in prop::sample::select(&MODELS[..]),
    ) {
        let tier = |tokens: Option<u64>| {
            [100_000, 200_000, 272_000].map(|above| tokens.is_some_and(|tokens| tokens > above))
        };
        let price = |usage: &Usage| {
            let request = PriceRequest::new(provider, model, at("2026-11-20T12:00:00Z"));
            PriceBook::embedded().price(&request, usage).unwrap().total
        };
        let larger = |tokens: Option<u64>| tokens.map(|tokens| tokens + more);
        let input = Usage { input_tokens: larger(usage.input_tokens), ..usage };
        prop_assume!(tier(input.input_tokens) == tier(usage.input_tokens));
        prop_assert!(price(&input) >= price(&usage));
        let output = Usage { output_tokens: larger(usage.output_tokens), ..usage };
        prop_assert!(price(&output) >= price(&usage));
        let read = Usage { cache_read_tokens: larger(usage.cache_read_tokens), ..input };
        prop_assert!(price(&read) >= price(&usage));
    }

    #[test]
    fn no_usage_makes_it_panic(
        counts: [Option<u64>; 11], (provider, model) in prop::sample::select(&MODELS[..]),
    ) {
        let [a, b, c, d, e, f, g, h, i, j, k] = counts;
        let usage = Usage {
            input_tokens: a, output_tokens: b, cache_read_tokens: c, cache_write_tokens: d,
            cache_write_1h_tokens: e, reasoning_tokens: f, input_audio_tokens: g, output_audio_tokens: h,
            web_search_requests: i, input_image_tokens: j, output_image_tokens: k,
        };
        let request = PriceRequest::new(provider, model, UNIX_EPOCH);
        let _ = PriceBook::embedded().price(&request, &usage);
    }
}
