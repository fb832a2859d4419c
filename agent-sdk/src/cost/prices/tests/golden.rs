//! Costs with known answers: some of our own, and a larger set where its folder is present.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::at;
use crate::cost::{Cost, PriceBook, PriceRequest};
use crate::model::Usage;

/// One case: what was asked and used, and what it costs.
#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    model: String,
    timestamp: String,
    price_context: Option<BTreeMap<String, String>>,
    usage: Usage,
    expected: Expected,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Expected {
    total_usd: Option<String>,
    input_usd: Option<String>,
    output_usd: Option<String>,
    matched_provider: Option<String>,
    matched_model: Option<String>,
}

impl From<Option<Cost>> for Expected {
    fn from(cost: Option<Cost>) -> Self {
        let cost = cost.as_ref();
        Self {
            total_usd: cost.map(|cost| cost.total.to_string()),
            input_usd: cost.map(|cost| cost.input.to_string()),
            output_usd: cost.map(|cost| cost.output.to_string()),
            matched_provider: cost.map(|cost| cost.provider.to_string()),
            matched_model: cost.map(|cost| cost.model.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Prices every case, and says which answers are wrong.
fn check(json: &str) -> usize {
    let Cases { cases } = serde_json::from_str(json).unwrap();
    let book = PriceBook::embedded();
    let mut wrong = Vec::new();
    for case in &cases {
        let mut request = PriceRequest::new(&case.provider, &case.model, at(&case.timestamp));
        for (key, value) in case.price_context.iter().flatten() {
            request = request.with_context(key, value);
        }
        let answer = Expected::from(book.price(&request, &case.usage));
        if answer != case.expected {
            wrong.push(format!(
                "{}: {answer:?} instead of {:?}",
                case.id, case.expected
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
    assert_eq!(check(include_str!("cases.json")), 24);
}

#[test]
fn recorded_cases_cost_what_they_should() {
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
    assert_eq!(check(&json), 40);
}
