//! A price in code.

use serde_json::{Map, Value, json};

use super::{
    error::PriceError,
    matching::Clause,
    price::{Model, RateKind},
    schema,
};

/// What one model costs, set in code: by [`PriceBookBuilder::model`](super::PriceBookBuilder::model).
///
/// Amounts are plain decimals of US dollars, such as `"0.25"`. They are looked at when the book is built.
#[derive(Clone, Debug)]
#[must_use]
pub struct ModelPrice {
    /// An entry of `prices`, as a table has it.
    entry: Map<String, Value>,
}

impl ModelPrice {
    /// So much per million tokens of input and of output.
    pub fn per_million(input: impl Into<String>, output: impl Into<String>) -> Self {
        let price = Self { entry: Map::new() };
        price
            .rate(RateKind::Input, input)
            .rate(RateKind::Output, output)
    }

    /// Sets another rate: per million tokens, and for the fees per thousand requests or searches.
    pub fn rate(mut self, kind: RateKind, price: impl Into<String>) -> Self {
        self.entry
            .insert(kind.as_str().to_owned(), json!(price.into()));
        self
    }

    /// Sets the rate of every token once the whole input is larger than `tokens`.
    pub fn above(mut self, tokens: u64, kind: RateKind, price: impl Into<String>) -> Self {
        let tier = json!({"above_input_tokens": tokens, "price": price.into()});
        let rate = self.entry.entry(kind.as_str()).or_insert(Value::Null);
        match rate.get_mut("tiers").and_then(Value::as_array_mut) {
            Some(tiers) => tiers.push(tier),
            None => *rate = json!({"base": rate.take(), "tiers": [tier]}),
        }
        self
    }

    /// The model of these names that has this price.
    pub(super) fn model(&self, provider: &str, model: &str) -> Result<Model, PriceError> {
        let place = || format!("{provider}/{model}");
        let price = schema::price(&Value::Object(self.entry.clone()), &place())?;
        Ok(Model {
            provider: provider.to_lowercase().into(),
            id: model.into(),
            clause: Clause::exact(model),
            prices: Box::new([price]),
            variants: Box::default(),
        })
    }
}
