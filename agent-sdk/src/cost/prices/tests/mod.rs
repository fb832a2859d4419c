//! Prices as a whole: known answers, and what always holds.

mod bound;
mod golden;
mod imported;
mod kinds;
mod layers;
mod oracle;
mod refresh;
mod rules;

use std::time::SystemTime;

use crate::cost::{Cost, PriceBook, PriceRequest};
use crate::model::Usage;

/// A moment written as `2026-11-20T12:00:00Z`.
fn at(time: &str) -> SystemTime {
    time.parse::<jiff::Timestamp>().unwrap().into()
}

/// A book with one provider `p` and one model `m`, whose `prices` (and what follows them) are given.
fn book(prices: &str) -> PriceBook {
    let text = format!(
        r#"{{"date":"2026-11-20","providers":[{{"id":"p","models":[
            {{"id":"m","match":{{"exact":"m"}},"prices":{prices}}}]}}]}}"#
    );
    PriceBook::from_json(&text).unwrap()
}

/// What `m` of [`book`] costs at noon.
fn price(book: &PriceBook, usage: &Usage) -> Option<Cost> {
    book.price(
        &PriceRequest::new("p", "m", at("2026-11-20T12:00:00Z")),
        usage,
    )
}
