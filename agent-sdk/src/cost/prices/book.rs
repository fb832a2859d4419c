//! The price book: layers of tables, of which the first that knows a model prices it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::bill::bill;
use super::bound::{Bound, OutputRoom, UsageBound};
use super::builder::{PriceBookBuilder, UnknownPrice};
use super::error::{PriceError, PriceErrorKind};
use super::layer::{Layer, LayerKind, PriceLayer};
use super::listing::ModelPrices;
use super::price::{Active, Model, Moment};
use super::request::PriceRequest;
use super::table::PriceTable;
use crate::cost::{Cost, PriceSource, Usd};
use crate::model::Usage;

/// What models cost, by provider and name. Clones share their tables, and a refresh of one is seen by all.
///
/// # Example
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use agent_sdk::cost::{PriceBook, PriceRequest};
/// use agent_sdk::model::Usage;
///
/// let book = PriceBook::embedded();
/// let at = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
///
/// let cost = book.price(&PriceRequest::new("openai", "gpt-4o-2024-08-06", at), &Usage::new(1000, 500));
/// let cost = cost.expect("a price");
/// assert_eq!(cost.total.to_string(), "0.0075");
/// assert_eq!(cost.provenance(), "table@2026-11-20");
///
/// let unknown = book.price(&PriceRequest::new("openai", "my-own-model", at), &Usage::new(1000, 500));
/// assert!(unknown.is_none());
/// ```
#[derive(Clone)]
pub struct PriceBook(Arc<Inner>);

struct Inner {
    /// The topmost first.
    overrides: Arc<[Arc<Layer>]>,
    refreshed: RwLock<Option<Arc<Layer>>>,
    embedded: Option<Arc<Layer>>,
    policy: Arc<Policy>,
}

/// What becomes of models without a price.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) unknown: Option<UnknownPrice>,
    /// The price of [`UnknownPrice::Assume`].
    pub(super) assumed: Option<Model>,
}

impl PriceBook {
    /// The table that comes with the crate, read when it is first asked for and shared by the whole process. A refresh
    /// is a matter of this book and its clones alone.
    pub fn embedded() -> Self {
        Self::new(Arc::default(), Some(Layer::embedded()), Arc::default())
    }

    /// Layers of your own choice. Without any call this makes [`PriceBook::embedded`].
    pub fn builder() -> PriceBookBuilder {
        PriceBookBuilder::default()
    }

    /// A table of your own *alone*, in the form of the embedded one; its costs say [`PriceSource::Override`]. To lay
    /// it over the embedded one, give it to [`PriceBookBuilder::overrides`].
    ///
    /// Prices are strings, in USD per million tokens. A model has at least one entry in `prices`; the last one whose
    /// `valid_from` and `time_of_day_utc` are met holds, and the first one where none is. Only the first model whose
    /// `match` fits is looked at.
    ///
    /// # Errors
    ///
    /// The table is not of that form; the error names the place.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::cost::PriceBook;
    ///
    /// let book = PriceBook::from_json(r#"{
    ///     "date": "2026-11-20",
    ///     "providers": [{
    ///         "id": "in-house",
    ///         "models": [{
    ///             "id": "large",
    ///             "match": {"prefix": "large-"},
    ///             "prices": [{
    ///                 "input": {"base": "0.5", "tiers": [{"above_input_tokens": 100000, "price": "1"}]},
    ///                 "output": "2.5"
    ///             }],
    ///             "variants": [{"when": {"processing": "batch"}, "output": "1.25"}]
    ///         }]
    ///     }]
    /// }"#)?;
    /// assert_eq!(book.date().as_deref(), Some("2026-11-20"));
    ///
    /// let error = PriceBook::from_json(r#"{"date": "", "providers": [{"id": 7}]}"#).unwrap_err();
    /// assert_eq!(error.place(), "providers[0].id");
    /// # Ok::<(), agent_sdk::cost::PriceError>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self, PriceError> {
        let table = PriceTable::from_json(text)?;
        Self::builder().overrides(table).without_embedded().build()
    }

    /// The embedded table under the file that `AGENT_SDK_PRICES` names, where it is set: [`PriceBookBuilder::env`].
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no price table.
    pub fn from_env() -> Result<Self, PriceError> {
        Self::builder().env()?.build()
    }

    pub(super) fn new(
        overrides: Arc<[Arc<Layer>]>,
        embedded: Option<Arc<Layer>>,
        policy: Arc<Policy>,
    ) -> Self {
        Self(Arc::new(Inner {
            overrides,
            refreshed: RwLock::default(),
            embedded,
            policy,
        }))
    }

    /// Puts a newer table between the overrides and the embedded one, in place of the one that was put there before.
    ///
    /// The table was checked whole when it was read, and takes its place at once: a request is priced by the tables that
    /// were in place when it began, and later ones by this. Where reading a table fails, what is in place stays.
    ///
    /// # Errors
    ///
    /// [`PriceErrorKind::Older`] where the table was collected before the one in place, refreshed or embedded;
    /// [`PriceErrorKind::Invalid`] where it does not say when. [`roll_back`](Self::roll_back) does not ask.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::cost::{PriceBook, PriceErrorKind, PriceTable};
    ///
    /// let book = PriceBook::embedded();
    /// let table = PriceTable::from_json(r#"{"date": "2027-01-31", "providers": []}"#)?;
    /// book.refresh(table)?;
    /// assert_eq!(book.date().as_deref(), Some("2027-01-31"));
    ///
    /// let older = PriceTable::from_json(r#"{"date": "2026-12-31", "providers": []}"#)?;
    /// assert_eq!(book.refresh(older).unwrap_err().kind(), PriceErrorKind::Older);
    /// # Ok::<(), agent_sdk::cost::PriceError>(())
    /// ```
    pub fn refresh(&self, table: PriceTable) -> Result<(), PriceError> {
        let new = table.collected()?;
        let layer = table.into_layer(LayerKind::Refreshed);
        // Under the lock, so that of two refreshes at once the older cannot win.
        let mut refreshed = self
            .0
            .refreshed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let in_place = refreshed.as_ref().or(self.0.embedded.as_ref());
        if let Some(old) = in_place.and_then(|layer| layer.table.collected())
            && new < old
        {
            let reason = format!("it was collected on {new}, and that on {old}");
            return Err(PriceError::of(PriceErrorKind::Older, reason));
        }
        *refreshed = Some(layer);
        Ok(())
    }

    /// Does what [`refresh`](Self::refresh) does, with a table of any age.
    pub fn roll_back(&self, table: PriceTable) {
        let layer = table.into_layer(LayerKind::Refreshed);
        *self
            .0
            .refreshed
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(layer);
    }

    /// This book as it is now: a refresh of the one does not change the other.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self(Arc::new(Inner {
            overrides: self.0.overrides.clone(),
            refreshed: RwLock::new(self.refreshed()),
            embedded: self.0.embedded.clone(),
            policy: self.0.policy.clone(),
        }))
    }

    /// The day on which the prices were collected, as `2026-11-20`: that of the refreshed table, or else of the embedded
    /// one, or else of the topmost override that says one.
    pub fn date(&self) -> Option<String> {
        let layers = self.stack();
        let dated = |layer: &&Arc<Layer>| layer.date().is_some();
        layers
            .iter()
            .filter(dated)
            .find(|layer| layer.kind != LayerKind::Override)
            .or_else(|| layers.iter().find(dated))
            .and_then(|layer| layer.date())
            .map(|date| date.to_string())
    }

    /// The tables, the topmost first.
    pub fn layers(&self) -> Vec<PriceLayer> {
        self.stack().iter().map(|layer| layer.describe()).collect()
    }

    /// What becomes of requests whose price is unknown. `None` where nobody said: they are allowed and flagged, and a
    /// hard cap refuses them.
    pub fn unknown_price(&self) -> Option<&UnknownPrice> {
        self.0.policy.unknown.as_ref()
    }

    /// Whether a request is refused whose price is not known.
    pub(crate) fn denies_unknown(&self) -> bool {
        matches!(self.unknown_price(), Some(UnknownPrice::Deny))
    }

    /// Whether a request may be sent whose price is not known, under a hard budget as well.
    pub(crate) fn allows_unknown(&self) -> bool {
        matches!(self.unknown_price(), Some(UnknownPrice::AllowAndFlag))
    }

    /// Every model that can be priced, by layer and in the order of the tables. A model of a lower layer that a higher
    /// one has under the same ids is left out.
    pub fn models(&self) -> Vec<ModelPrices> {
        ModelPrices::of_all(&self.stack())
    }

    /// The model that these names stand for, as a request would find it.
    pub fn model(&self, provider: &str, model: &str) -> Option<ModelPrices> {
        let (layer, model) = self.find(provider, model)?;
        Some(ModelPrices::new(&layer, model))
    }

    /// What the request cost.
    ///
    /// `None`, never 0, where that is unknown: no model has the name, the model has no rate for what was used (searches of
    /// the web included), a
    /// count is missing that a rate needs, a part is larger than its whole, or the amount is beyond
    /// [`Usd::MAX`]. A count of a part (cached, audio, images, reasoning) that was not reported is taken as
    /// none of it, which bills those tokens as plain ones.
    ///
    /// Under [`UnknownPrice::Assume`] a model without any price has the assumed one; its cost says
    /// [`PriceSource::Assumed`].
    pub fn price(&self, request: &PriceRequest<'_>, usage: &Usage) -> Option<Cost> {
        self.with_rates(request, |rates, known| {
            let bill = bill(rates, usage)?;
            let (source, provider, model, snapshot) = match known {
                Some((layer, model)) => (
                    layer.kind.source(),
                    model.provider.clone(),
                    model.id.clone(),
                    layer.date(),
                ),
                None => (
                    PriceSource::Assumed,
                    request.provider.into(),
                    request.model.into(),
                    None,
                ),
            };
            Some(Cost {
                total: bill.total,
                input: bill.input,
                output: bill.output,
                fees: bill.fees,
                source,
                provider,
                model,
                snapshot,
                estimated: false,
            })
        })
    }

    /// The most that a request can be billed, rounded up to whole nano-USD: what to reserve before it is sent.
    ///
    /// No usage within `most` costs more, whichever of its tokens are read from a cache, written to one, audio, images or
    /// reasoning, and whichever tier the size of the input falls in. Where the context names a service tier or a
    /// kind of processing, the bound holds for that and for the usual rates, whichever is billed; where it names none,
    /// for the usual rates only: a provider that answers in a dearer tier of its own choice, or with another model,
    /// bills by what nobody asked for.
    ///
    /// `None` where that is unknown: no model has the name, a rate is missing that the request may need (for searches
    /// of the web included, and where nothing limits them), or the amount is beyond [`Usd::MAX`]. Under
    /// [`UnknownPrice::Assume`] it is the bound at the assumed price.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// use agent_sdk::cost::{OutputRoom, PriceBook, PriceRequest, Usd, UsageBound};
    ///
    /// let book = PriceBook::embedded();
    /// let at = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    /// let request = PriceRequest::new("openai", "gpt-4o-2024-08-06", at);
    ///
    /// // 2.5 USD in and 10 USD out, per million tokens.
    /// let most = UsageBound::new(1000, 500);
    /// assert_eq!(book.upper_bound(&request, &most), Some(Usd::from_nanos(7_500_000)));
    ///
    /// // A cent pays for that input and 750 tokens of output.
    /// let cent = Usd::from_nanos(10_000_000);
    /// let most = UsageBound::new(1000, u64::MAX);
    /// assert_eq!(book.output_within(&request, &most, cent), OutputRoom::UpTo(750));
    /// ```
    pub fn upper_bound(&self, request: &PriceRequest<'_>, most: &UsageBound) -> Option<Usd> {
        self.bound(request, most)?.with_output(most.output_tokens)
    }

    /// The most output tokens, up to those of `most`, for which [`upper_bound`](Self::upper_bound) is no more than
    /// `budget`; give [`u64::MAX`] output tokens where nothing else limits them.
    pub fn output_within(
        &self,
        request: &PriceRequest<'_>,
        most: &UsageBound,
        budget: Usd,
    ) -> OutputRoom {
        self.bound(request, most)
            .map_or(OutputRoom::Unpriced, |bound| {
                bound.output_within(most.output_tokens, budget)
            })
    }

    fn bound(&self, request: &PriceRequest<'_>, most: &UsageBound) -> Option<Bound> {
        self.with_rates(request, |rates, _| Bound::new(rates, most))
    }

    /// Works with the rates of a request: those of the layer that knows its model, or the assumed ones where no layer
    /// has a price for it.
    fn with_rates<T>(
        &self,
        request: &PriceRequest<'_>,
        work: impl FnOnce(&Active<'_>, Option<(&Layer, &Model)>) -> Option<T>,
    ) -> Option<T> {
        let at = Moment::from(request.at);
        if let Some((layer, model)) = self.find(request.provider, request.model)
            && let Some(rates) = Active::new(&model, at, &request.context)
            && !rates.is_unpriced()
        {
            return work(&rates, Some((&layer, &model)));
        }
        let assumed = self.0.policy.assumed.as_ref()?;
        work(&Active::new(assumed, at, &request.context)?, None)
    }

    /// The first layer that knows the model, and the model in it.
    fn find(&self, provider: &str, model: &str) -> Option<(Arc<Layer>, Arc<Model>)> {
        let find = |layer: &Arc<Layer>| Some((layer.clone(), layer.find(provider, model)?));
        self.0
            .overrides
            .iter()
            .find_map(find)
            .or_else(|| self.refreshed().as_ref().and_then(find))
            .or_else(|| self.0.embedded.as_ref().and_then(find))
    }

    fn refreshed(&self) -> Option<Arc<Layer>> {
        self.0
            .refreshed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn stack(&self) -> Vec<Arc<Layer>> {
        let overrides = self.0.overrides.iter().cloned();
        overrides
            .chain(self.refreshed())
            .chain(self.0.embedded.clone())
            .collect()
    }
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceBook")
            .field("layers", &self.layers())
            .field("unknown_price", &self.0.policy.unknown)
            .finish()
    }
}
