//! How a book is made: which tables lie over one another, and what becomes of models that none of them knows.

use std::{env, path::Path, sync::Arc};

use super::{
    book::{Policy, PriceBook},
    define::ModelPrice,
    error::PriceError,
    layer::{Layer, LayerKind},
    table::PriceTable,
};

/// The variable that names a file with prices of the user's own.
const PRICES: &str = "AGENT_SDK_PRICES";

/// What becomes of requests whose price is unknown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UnknownPrice {
    /// They are sent, and counted as unpriced, also under a hard cap.
    AllowAndFlag,
    /// They are refused before they are sent.
    Deny,
    /// A model that has no price at all costs this much, and its costs say
    /// [`PriceSource::Assumed`](crate::cost::PriceSource::Assumed).
    Assume(ModelPrice),
}

/// Settings for a [`PriceBook`]; made by [`PriceBook::builder`].
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
///
/// use agent_sdk::cost::{ModelPrice, PriceBook, PriceRequest, RateKind};
/// use agent_sdk::model::Usage;
///
/// let large = ModelPrice::per_million("0.5", "2.5").rate(RateKind::CacheRead, "0.05");
/// let book = PriceBook::builder().model("in-house", "large", large).build()?;
///
/// let request = PriceRequest::new("in-house", "large", SystemTime::UNIX_EPOCH);
/// let cost = book.price(&request, &Usage::new(1000, 100)).expect("a price");
/// assert_eq!(cost.total.to_string(), "0.00075");
/// assert_eq!(cost.provenance(), "override");
/// # Ok::<(), agent_sdk::cost::PriceError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PriceBookBuilder {
    tables: Vec<PriceTable>,
    models: Vec<(String, String, ModelPrice)>,
    without_embedded: bool,
    unknown: Option<UnknownPrice>,
}

impl PriceBookBuilder {
    /// Lays a table of your own over all others. Of several, the one that is given last is on top.
    pub fn overrides(mut self, table: PriceTable) -> Self {
        self.tables.push(table);
        self
    }

    /// Lays the file that `AGENT_SDK_PRICES` names over all others, where the variable is set and not empty; in TOML
    /// where its name ends in `.toml`, else in JSON.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no price table.
    pub fn env(self) -> Result<Self, PriceError> {
        match env::var_os(PRICES).filter(|file| !file.is_empty()) {
            Some(file) => Ok(self.overrides(PriceTable::from_file(Path::new(&file))?)),
            None => Ok(self),
        }
    }

    /// Sets the price of one model, over all tables. The names are those that requests have, in any case.
    pub fn model(
        mut self,
        provider: impl Into<String>,
        model: impl Into<String>,
        price: ModelPrice,
    ) -> Self {
        self.models.push((provider.into(), model.into(), price));
        self
    }

    /// Leaves out the table that comes with the crate: what no table of yours knows has no price.
    pub fn without_embedded(mut self) -> Self {
        self.without_embedded = true;
        self
    }

    /// Says what becomes of requests whose price is unknown. Default: they are allowed and flagged, and a hard cap
    /// refuses them.
    pub fn unknown_price(mut self, unknown: UnknownPrice) -> Self {
        self.unknown = Some(unknown);
        self
    }

    /// Makes the book.
    ///
    /// # Errors
    ///
    /// A price that was set in code is no decimal number of US dollars; the error names its model.
    pub fn build(self) -> Result<PriceBook, PriceError> {
        let mut layers = Vec::new();
        if !self.models.is_empty() {
            let table = PriceTable::of(&self.models)?;
            layers.push(table.into_layer(LayerKind::Override));
        }
        let tables = self.tables.into_iter().rev();
        layers.extend(tables.map(|table| table.into_layer(LayerKind::Override)));
        let assumed = match &self.unknown {
            Some(UnknownPrice::Assume(price)) => Some(price.model("any", "assumed")?),
            _ => None,
        };
        let policy = Policy {
            unknown: self.unknown,
            assumed,
        };
        let embedded = (!self.without_embedded).then(Layer::embedded);
        Ok(PriceBook::new(layers.into(), embedded, Arc::new(policy)))
    }
}
