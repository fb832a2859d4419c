//! What the demonstration would have cost.

use std::time::SystemTime;

use agent_sdk::{
    cost::{PriceBook, PriceRequest},
    model::Usage,
};
use serde_json::json;

/// The model whose price is taken.
const PROVIDER: &str = "openai";
const MODEL: &str = "gpt-5-mini";

/// A price for the scripted models.
pub(super) struct Price {
    pub(super) book: PriceBook,
    /// What it is, in words.
    pub(super) words: String,
}

impl Price {
    /// That of a real model.
    pub(super) fn at(table: &PriceBook, now: SystemTime) -> Option<Self> {
        let request = PriceRequest::new(PROVIDER, MODEL, now);
        let cost = table.price(&request, &Usage::new(1_000_000, 1_000_000))?;
        let (input, output) = (cost.input.to_string(), cost.output.to_string());
        let json = json!({
            "date": table.date().unwrap_or_default(),
            "providers": [{
                "id": "scripted",
                "models": [{
                    "id": "scripted",
                    "match": {"prefix": "scripted"},
                    "prices": [{"input": input, "output": output}],
                }],
            }],
        });
        Some(Self {
            book: PriceBook::from_json(&json.to_string()).ok()?,
            words: format!("{MODEL}:\n${input} in, ${output} out, per million tokens"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripted_models_have_the_price_of_a_real_one() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000);
        let price = Price::at(&PriceBook::embedded(), now).unwrap();
        let usage = Usage::new(1234, 567);
        let cost = |book: &PriceBook, provider, model| {
            book.price(&PriceRequest::new(provider, model, now), &usage)
                .unwrap()
                .total
        };
        assert_eq!(
            cost(&price.book, "scripted", "scripted-reviewer"),
            cost(&PriceBook::embedded(), PROVIDER, MODEL)
        );
    }
}
