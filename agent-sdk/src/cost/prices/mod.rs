//! What models cost: tables of rates, laid over one another.
//!
//! A [`PriceTable`] is what a file says. A [`PriceBook`] lays tables over one another; the first that knows a model at a
//! provider prices it:
//!
//! 1. overrides: tables and single prices of the user, the one that was given last on top;
//! 2. the refreshed table, where [`PriceBook::refresh`] put one in;
//! 3. the table that comes with the crate.
//!
//! `table` and `schema` read a table, `matching` finds a model in it, `price` says which rates hold, `bill` applies them to a
//! usage, and `bound` to what a usage can be at most. `define` is a price in code, `listing` shows what a book knows, `litellm`
//! reads another form of price file.

mod bill;
mod book;
mod bound;
mod builder;
mod define;
mod error;
#[cfg(feature = "http")]
mod fetch;
mod layer;
mod listing;
mod litellm;
mod matching;
mod price;
mod rate;
mod request;
mod schema;
mod table;

#[cfg(test)]
mod tests;

pub use self::{
    book::PriceBook,
    bound::{OutputRoom, UsageBound},
    builder::{PriceBookBuilder, UnknownPrice},
    define::ModelPrice,
    error::{PriceError, PriceErrorKind},
    layer::{LayerKind, PriceLayer},
    listing::{ModelPrices, PriceEntry, PriceRate, PriceTier},
    litellm::{LiteLlmImport, Unread},
    price::RateKind,
    request::PriceRequest,
    table::PriceTable,
};
