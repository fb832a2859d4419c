//! `agent cost`, as a script calls it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs the cases through the command; says which answers are wrong.
fn check(cases: &Value) -> usize {
    let cases = cases["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let string = |key: &str| case[key].as_str().unwrap();
        let usage = case["usage"].to_string();
        let mut arguments = vec![
            "cost",
            "--json",
            "--provider",
            string("provider"),
            "--model",
            string("model"),
        ];
        arguments.extend(["--usage", &usage, "--at", string("timestamp")]);
        let context: Vec<_> = case["price_context"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
            .collect();
        for pair in &context {
            arguments.extend(["--context", pair]);
        }
        let output = agent(&arguments);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let same = [
            "status",
            "total_usd",
            "input_usd",
            "output_usd",
            "matched_provider",
            "matched_model",
            "reason",
        ]
        .iter()
        .all(|key| answer[key] == case["expected"][key]);
        if !same || output.status.code() != Some(0) {
            wrong.push(format!(
                "{}: {answer} instead of {}",
                string("id"),
                case["expected"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    cases.len()
}

#[test]
fn our_own_cases_cost_what_they_should() {
    let cases = json!({"cases": [
        {
            "id": "plain", "provider": "openai", "model": "gpt-4o", "timestamp": "2026-11-20T12:00:00Z",
            "price_context": null, "usage": {"input_tokens": 200, "output_tokens": 10},
            "expected": {
                "status": "priced", "total_usd": "0.0006", "input_usd": "0.0005", "output_usd": "0.0001",
                "matched_provider": "openai", "matched_model": "gpt-4o"
            }
        },
        {
            "id": "context", "provider": "openai", "model": "gpt-4o", "timestamp": "2026-11-20T13:00:00+01:00",
            "price_context": {"processing": "batch"}, "usage": {"input_tokens": 200, "output_tokens": 10},
            "expected": {
                "status": "priced", "total_usd": "0.0003", "input_usd": "0.00025", "output_usd": "0.00005",
                "matched_provider": "openai", "matched_model": "gpt-4o"
            }
        },
        {
            "id": "nothing used", "provider": "OpenAI", "model": "GPT-4o", "timestamp": "2026-11-20T12:00:00Z",
            "price_context": null, "usage": {"input_tokens": 0, "output_tokens": 0},
            "expected": {
                "status": "priced", "total_usd": "0", "input_usd": "0", "output_usd": "0",
                "matched_provider": "openai", "matched_model": "gpt-4o"
            }
        },
        {
            "id": "unknown model", "provider": "openai", "model": "in-house-1", "timestamp": "2026-11-20T12:00:00Z",
            "price_context": null, "usage": {"input_tokens": 1, "output_tokens": 1},
            "expected": {"status": "unpriced", "total_usd": null, "reason": "no model match"}
        },
        {
            "id": "part above whole", "provider": "openai", "model": "gpt-4o", "timestamp": "2026-11-20T12:00:00Z",
            "price_context": null, "usage": {"input_tokens": 1, "cache_read_tokens": 2, "output_tokens": 1},
            "expected": {"status": "unpriced", "total_usd": null, "reason": "no price for this usage"}
        }
    ]});
    assert_eq!(check(&cases), 5);
}

#[test]
fn golden_cases_cost_what_they_should() {
    let folder = std::env::var_os("AGENT_SDK_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures"),
        PathBuf::from,
    );
    let file = folder.join("pricing/cost-cases.json");
    let Ok(json) = std::fs::read_to_string(&file) else {
        eprintln!(
            "SKIPPED: no {}; AGENT_SDK_FIXTURES names another folder",
            file.display()
        );
        return;
    };
    assert_eq!(check(&serde_json::from_str(&json).unwrap()), 40);
}

#[test]
fn people_read_what_each_side_costs_and_where_the_price_is_from() {
    let output = agent(&[
        "cost",
        "--provider",
        "openai",
        "--model",
        "gpt-4o-2024-11-20",
        "--at",
        "2026-11-20T12:00:00Z",
        "--usage",
        r#"{"input_tokens": 4096, "cache_read_tokens": 3072, "output_tokens": 256}"#,
    ]);
    let expected = "\
gpt-4o-2024-11-20 of openai at 2026-11-20T12:00:00Z: $0.00896
  input   $0.0064   4,096 tokens (3,072 read from cache)
  output  $0.00256  256 tokens
  price   gpt-4o of openai, the built-in table of 2026-11-20
";
    assert_eq!(text(&output.stdout), expected);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn fees_are_a_line_of_their_own() {
    let output = agent(&[
        "cost",
        "--provider",
        "perplexity",
        "--model",
        "sonar",
        "--at",
        "2026-11-20T12:00:00Z",
        "--usage",
        r#"{"input_tokens": 24, "output_tokens": 16}"#,
    ]);
    let expected = "\
sonar of perplexity at 2026-11-20T12:00:00Z: $0.01204
  input   $0.000024  24 tokens
  output  $0.000016  16 tokens
  fees    $0.012     for the request itself
  price   sonar of perplexity, the built-in table of 2026-11-20
";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn an_unknown_price_is_no_error() {
    let output = agent(&[
        "cost",
        "--provider",
        "in-house",
        "--model",
        "m\x1b[2J",
        "--at",
        "2026-11-20T12:00:00Z",
        "--usage",
        "{}",
    ]);
    let expected = "\
m\\x1b[2J of in-house at 2026-11-20T12:00:00Z: unknown
  no price table has such a model, or a price for it (table of 2026-11-20)
";
    assert_eq!(text(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_has_every_key_where_nothing_is_known() {
    let output = agent(&[
        "cost",
        "--json",
        "--provider",
        "in-house",
        "--model",
        "m",
        "--at",
        "2026-11-20T12:00:00Z",
        "--usage",
        "{}",
    ]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "status": "unpriced", "total_usd": null, "input_usd": null, "output_usd": null, "fees_usd": null,
        "provider": "in-house", "model": "m", "matched_provider": null, "matched_model": null,
        "price_source": "unknown", "price_date": null, "at": "2026-11-20T12:00:00Z", "usage": {},
        "reason": "no model match"
    });
    assert_eq!(answer, expected);
}

#[test]
fn bad_values_end_with_2_and_say_what_to_write() {
    let cost = ["cost", "--provider", "openai", "--model", "gpt-4o"];
    for (more, said) in [
        (
            &["--usage", r#"{"inptu_tokens": 1}"#][..],
            "did you mean `input_tokens`?",
        ),
        (&["--usage", r#"{"input_tokens": -1}"#], "is negative"),
        (
            &["--usage", r#"{"input_tokens": 0.5}"#],
            "is not written as a whole number",
        ),
        (&["--usage", "nonsense"], "`--usage` is no JSON object"),
        (
            &["--usage", "{}", "--at", "yesterday"],
            "such as `2026-11-20T12:00:00Z`",
        ),
        (
            &["--usage", "{}", "--context", "batch"],
            "expected KEY=VALUE",
        ),
        (
            &["--usage", "{}", "--context", "a=1", "--context", "a=2"],
            "given twice",
        ),
        (
            &["--usage", "{}", "--model", "x"],
            "cannot be used multiple times",
        ),
        (&[], "--usage"),
        (&["--usage", "{}", "--jsn"], "--json"),
    ] {
        let output = agent(&[&cost[..], more].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.contains(said),
            "{more:?}: {error}"
        );
        assert_eq!(text(&output.stdout), "", "{more:?}");
        assert!(!error.contains("panicked"), "{error}");
    }
}
