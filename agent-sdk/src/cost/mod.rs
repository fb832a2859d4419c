//! What requests cost.
//!
//! A [`PriceBook`] knows the rates of models. It turns the [`Usage`](crate::model::Usage) of a
//! [`PriceRequest`] into a [`Cost`]: two exact sides and the fees, and a total that is rounded once, half up, to whole
//! nano-USD. A sum over requests is the sum of their totals.
//!
//! Searches of the web that a provider made for an answer are billed by the rate of the model, one by one; where it has none,
//! the cost of such an answer is unknown.
//!
//! A [`CostTracker`] and a [`CostKeeper`] watch runs and make a [`CostLine`] of each thing that was charged, for totals and for
//! [reports](CostReport) by model, agent, user, day and so on.
//!
//! Unknown is not zero: where a price or a count is missing there is no [`Cost`] at all.
//!
//! The embedded prices are those of [genai-prices](https://pypi.org/project/genai-prices/) (MIT), made into
//! `prices/prices.json` by `trim-prices.py` beside it. List prices are not invoices: discounts and agreements need prices of your
//! own, which are laid over the table by [`PriceBook::builder`], or for the `agent` command in the file that `AGENT_SDK_PRICES`
//! names. [`PriceBook::refresh`] puts a newer table in place while requests are under way.

mod prices;
mod tracker;
mod usd;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use prices::{
    LayerKind, LiteLlmImport, ModelPrice, ModelPrices, OutputRoom, PriceBook, PriceBookBuilder,
    PriceEntry, PriceError, PriceErrorKind, PriceLayer, PriceRate, PriceRequest, PriceTable,
    PriceTier, RateKind, UnknownPrice, Unread, UsageBound,
};
pub use tracker::{
    CostKeeper, CostLine, CostLines, CostPages, CostQuery, CostReport, CostRow, CostSums,
    CostTracker, Dimension, FoldedGroup, FoldedLines, InvalidDimension, KeptCost, RowKind,
    UnpricedCall,
};
pub use usd::{ExactUsd, ParseUsdError, Usd};

/// What one request cost, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// Everything, rounded once, half up.
    pub total: Usd,
    /// The exact price of the input, cached parts included.
    pub input: ExactUsd,
    /// The exact price of the output, reasoning included.
    pub output: ExactUsd,
    /// The exact price of the request itself, whatever its size, and of the searches that the provider made for it.
    pub fees: ExactUsd,
    /// Where the price comes from.
    pub source: PriceSource,
    /// The id of the provider whose model matched: not the one asked, where that resells another's models.
    pub provider: Arc<str>,
    /// The id of the model that matched, which may stand for many dated names.
    pub model: Arc<str>,
    /// The date of the table, where the price comes from one.
    pub snapshot: Option<Arc<str>>,
    /// Whether nobody said what was used, and `total` is the most that it can have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PriceSource {
    /// The provider's answer stated it.
    Provider,
    /// The table that comes with the crate, or a newer one that took its place.
    Table,
    /// A price of the user.
    Override,
    /// Nobody knows the price: the user assumes one, by [`UnknownPrice::Assume`].
    Assumed,
    /// Nobody knows the price.
    Unknown,
}

impl PriceSource {
    /// The low-cardinality value recorded as `agent_sdk.cost.source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Table => "table",
            Self::Override => "override",
            Self::Assumed => "assumed",
            Self::Unknown => "unknown",
        }
    }

    /// The same with the table's date: `table@2026-11-20`.
    pub(crate) fn provenance(self, date: Option<&str>) -> Cow<'static, str> {
        match (self, date) {
            (Self::Table, Some(date)) => format!("table@{date}").into(),
            _ => self.as_str().into(),
        }
    }
}

impl Cost {
    /// What a provider said that a request cost; it wins over every table.
    pub fn reported(total: Usd, provider: impl Into<Arc<str>>, model: impl Into<Arc<str>>) -> Self {
        Self {
            total,
            input: ExactUsd::ZERO,
            output: ExactUsd::ZERO,
            fees: ExactUsd::ZERO,
            source: PriceSource::Provider,
            provider: provider.into(),
            model: model.into(),
            snapshot: None,
            estimated: false,
        }
    }

    /// Where the price comes from, in a word: `provider`, `override`, `assumed`, or a table and its date, `table@2026-11-20`.
    pub fn provenance(&self) -> Cow<'static, str> {
        self.source.provenance(self.snapshot.as_deref())
    }

    /// Whether nobody knows the price and the user's assumption stands for it.
    pub fn is_assumed(&self) -> bool {
        self.source == PriceSource::Assumed
    }

    /// This and another request's, under this one's names; each part that would be larger than its type holds is left as it was.
    #[must_use]
    pub(crate) fn plus(mut self, more: &Self) -> Self {
        self.total = self.total.saturating_add(more.total);
        self.input = self.input.checked_add(more.input).unwrap_or(self.input);
        self.output = self.output.checked_add(more.output).unwrap_or(self.output);
        self.fees = self.fees.checked_add(more.fees).unwrap_or(self.fees);
        self.estimated |= more.estimated;
        self
    }

    /// This and what was paid with it, under this one's names; `None` where the sum is larger than its type holds.
    #[must_use]
    pub fn checked_add(mut self, more: &Self) -> Option<Self> {
        self.total = self.total.saturating_add(more.total);
        self.input = self.input.checked_add(more.input)?;
        self.output = self.output.checked_add(more.output)?;
        self.fees = self.fees.checked_add(more.fees)?;
        self.estimated |= more.estimated;
        Some(self)
    }
}
