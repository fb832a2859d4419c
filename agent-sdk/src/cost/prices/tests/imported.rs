//! Price files of `LiteLLM`.

use super::at;
use crate::cost::{LiteLlmImport, PriceBook, PriceErrorKind, PriceRequest, PriceTable};
use crate::model::Usage;

/// In the shape of such a file; the models and their prices are made up.
const FILE: &str = r#"{
    "sample_spec": {"input_cost_per_token": "the price of a token", "litellm_provider": "one of many"},
    "fallback_generalizations": {"rules": []},
    "alpha-1": {
        "litellm_provider": "openai", "mode": "chat", "max_tokens": 4096,
        "input_cost_per_token": 1.5e-07, "output_cost_per_token": "6e-7",
        "cache_read_input_token_cost": 7.5e-08,
        "input_cost_per_token_batches": 7.5e-08, "output_cost_per_token_batches": 3e-07,
        "input_cost_per_token_flex": 8e-08, "input_cost_per_token_priority": 3e-07,
        "search_context_cost_per_query": {
            "search_context_size_low": 0.025, "search_context_size_medium": 0.03, "search_context_size_high": 0.05},
        "regional_processing_uplift_multiplier_eu": 1.1,
        "supports_vision": true
    },
    "claude-beta": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token": 1.5e-05, "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
        "cache_read_input_token_cost": 3e-07,
        "search_context_cost_per_query": {
            "search_context_size_low": 0.01, "search_context_size_medium": 0.01, "search_context_size_high": 0.01}
    },
    "gemini/gamma": {
        "litellm_provider": "gemini",
        "input_cost_per_token": 1e-07, "input_cost_per_audio_token": 7e-07, "output_cost_per_token": 4e-07,
        "output_cost_per_image_token": 3e-05, "output_cost_per_reasoning_token": 8e-07
    },
    "gamma": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 2e-07, "output_cost_per_token": 5e-07},
    "painter": {"litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0, "output_cost_per_image": 0.04},
    "listener": {"litellm_provider": "openai", "input_cost_per_second": 0.0001},
    "free": {"litellm_provider": "somebody", "input_cost_per_token": 0, "output_cost_per_token": 0.0},
    "odd": {
        "litellm_provider": "somebody", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06,
        "cache_read_input_token_cost_above_200k_tokens": 1e-07, "cache_creation_input_token_cost": 1e-30,
        "tiered_pricing": []
    },
    "nobody": {"input_cost_per_token": 1e-06},
    "nothing": 5
}"#;

fn import() -> LiteLlmImport {
    PriceTable::from_litellm(FILE, "2026-11-20").unwrap()
}

fn book() -> PriceBook {
    PriceBook::builder()
        .overrides(import().table)
        .without_embedded()
        .build()
        .unwrap()
}

fn total(provider: &str, model: &str, usage: &Usage, context: &[(&str, &str)]) -> Option<String> {
    let request = PriceRequest::new(provider, model, at("2026-11-20T12:00:00Z"));
    let request = context.iter().fold(request, |request, (key, value)| {
        request.with_context(key, value)
    });
    let cost = book().price(&request, usage)?;
    Some(cost.total.to_string())
}

#[test]
fn floats_become_the_decimals_that_they_were_written_as() {
    let usage = Usage::new(1_000_000, 1_000_000);
    let alpha = |context: &[(&str, &str)]| total("openai", "alpha-1", &usage, context).unwrap();
    assert_eq!(alpha(&[]), "0.75");
    assert_eq!(alpha(&[("processing", "batch")]), "0.375");
    assert_eq!(alpha(&[("service_tier", "flex")]), "0.68");
    assert_eq!(alpha(&[("service_tier", "priority")]), "0.9");
}

#[test]
fn tiers_writes_and_searches_are_read() {
    let beta = |usage: &Usage| total("anthropic", "claude-beta", usage, &[]).unwrap();
    assert_eq!(beta(&Usage::new(200_000, 1000)), "0.615");
    assert_eq!(beta(&Usage::new(200_001, 1000)), "1.222506");
    let writes = |input| Usage {
        cache_write_tokens: Some(300),
        cache_write_1h_tokens: Some(100),
        web_search_requests: Some(2),
        ..Usage::new(input, 0)
    };
    assert_eq!(beta(&writes(300)), "0.02135");
    assert_eq!(beta(&writes(200_300)), "1.22195");
}

#[test]
fn a_search_whose_price_hangs_on_its_context_is_unknown_without_it() {
    let usage = Usage {
        web_search_requests: Some(1),
        ..Usage::new(0, 0)
    };
    let alpha = |context: &[(&str, &str)]| total("openai", "alpha-1", &usage, context);
    assert_eq!(alpha(&[]), None);
    assert_eq!(
        alpha(&[("search_context_size", "low")]).as_deref(),
        Some("0.025")
    );
    assert_eq!(
        alpha(&[("search_context_size", "high")]).as_deref(),
        Some("0.05")
    );
}

#[test]
fn providers_have_the_names_that_requests_give_them() {
    let usage = Usage {
        input_audio_tokens: Some(1_000_000),
        reasoning_tokens: Some(1_000_000),
        output_image_tokens: Some(1_000_000),
        ..Usage::new(2_000_000, 3_000_000)
    };
    for name in ["gcp.gemini", "google"] {
        assert_eq!(
            total(name, "gamma", &usage, &[]).as_deref(),
            Some("32"),
            "{name}"
        );
    }
    assert_eq!(
        total("gcp.vertex_ai", "gamma", &Usage::new(1_000_000, 0), &[]).as_deref(),
        Some("0.2")
    );
    assert_eq!(
        total("somebody", "free", &Usage::new(5, 5), &[]).as_deref(),
        Some("0")
    );
}

#[test]
fn b3_what_is_not_read_is_listed_and_never_free() {
    let unread: Vec<_> = import()
        .unread
        .iter()
        .map(|unread| format!("{} {}", unread.model, unread.field))
        .collect();
    assert_eq!(
        unread,
        [
            "alpha-1 regional_processing_uplift_multiplier_eu",
            "listener input_cost_per_second",
            "listener ",
            "nobody ",
            "nothing ",
            "odd cache_creation_input_token_cost",
            "odd input_cost_per_token",
            "odd tiered_pricing",
            "odd cache_read",
            "painter output_cost_per_image",
            "painter ",
        ]
    );
    let usage = Usage::new(1, 1);
    assert_eq!(total("openai", "painter", &usage, &[]), None);
    assert_eq!(total("openai", "listener", &Usage::new(0, 0), &[]), None);
    assert_eq!(total("somebody", "odd", &usage, &[]), None);
    assert_eq!(
        total("somebody", "odd", &Usage::new(0, 1), &[]).as_deref(),
        Some("0.000001")
    );
}

#[test]
fn a_file_that_is_none_is_refused() {
    for (text, date) in [
        ("", "2026-11-20"),
        ("[]", "2026-11-20"),
        ("{\"a\": ", "2026-11-20"),
        ("{}", "today"),
    ] {
        let error = PriceTable::from_litellm(text, date).unwrap_err();
        assert_eq!(error.kind(), PriceErrorKind::Invalid, "{text}");
    }
    assert!(
        PriceTable::from_litellm("{}", "2026-11-20")
            .unwrap()
            .table
            .is_empty()
    );
}
