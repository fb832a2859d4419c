//! The price book: a table, and a memory of which names it has already looked up.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use super::bill::bill;
use super::bound::{Bound, OutputRoom, UsageBound};
use super::price::{Active, Model, Moment};
use super::table::{PriceError, Table};
use super::{Cost, PriceSource, Usd};
use crate::model::Usage;

const EMBEDDED: &str = include_str!("prices.json");

/// How many names are remembered, and how long one may be: names come from outside.
const CACHE_NAMES: usize = 4096;
const CACHE_NAME_BYTES: usize = 256;

/// What models cost, by provider and name. Clones share one table.
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
/// assert_eq!(cost.map(|cost| cost.total.to_string()).as_deref(), Some("0.0075"));
///
/// let unknown = book.price(&PriceRequest::new("openai", "my-own-model", at), &Usage::new(1000, 500));
/// assert!(unknown.is_none());
/// ```
#[derive(Clone)]
pub struct PriceBook(Arc<Inner>);

struct Inner {
    table: Table,
    source: PriceSource,
    cache: RwLock<Cache>,
}

impl PriceBook {
    /// The table that comes with the crate, read when it is first asked for and shared by the whole process.
    pub fn embedded() -> Self {
        static BOOK: OnceLock<PriceBook> = OnceLock::new();
        // A test reads the file; were it broken after all, every price would be unknown.
        let table = || Table::from_json(EMBEDDED).unwrap_or_default();
        BOOK.get_or_init(|| Self::new(table(), PriceSource::Table))
            .clone()
    }

    /// A table of your own, in the form of the embedded one; its costs say [`PriceSource::Override`].
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
    /// assert_eq!(book.date(), "2026-11-20");
    ///
    /// let error = PriceBook::from_json(r#"{"date": "", "providers": [{"id": 7}]}"#).unwrap_err();
    /// assert_eq!(error.place(), "providers[0].id");
    /// # Ok::<(), agent_sdk::cost::PriceError>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self, PriceError> {
        let table = Table::from_json(text)?;
        table.check()?;
        Ok(Self::new(table, PriceSource::Override))
    }

    fn new(table: Table, source: PriceSource) -> Self {
        Self(Arc::new(Inner {
            table,
            source,
            cache: RwLock::default(),
        }))
    }

    /// The day on which the prices were collected, as `2026-11-20`.
    pub fn date(&self) -> &str {
        &self.0.table.date
    }

    /// What the request cost.
    ///
    /// `None`, never 0, where that is unknown: no model has the name, the model has no rate for what was used (searches of
    /// the web included), a
    /// count is missing that a rate needs, a part is larger than its whole, or the amount is beyond
    /// [`Usd::MAX`](super::Usd::MAX). A count of a part (cached, audio, reasoning) that was not reported is taken as
    /// none of it, which bills those tokens as plain ones.
    pub fn price(&self, request: &PriceRequest<'_>, usage: &Usage) -> Option<Cost> {
        let model = self.find(request.provider, request.model)?;
        let rates = Active::new(&model, Moment::from(request.at), &request.context)?;
        let bill = bill(&rates, usage)?;
        Some(Cost {
            total: bill.total,
            input: bill.input,
            output: bill.output,
            fees: bill.fees,
            source: self.0.source,
            provider: model.provider.clone(),
            model: model.id.clone(),
            snapshot: Some(self.0.table.date.clone()),
            estimated: false,
        })
    }

    /// The most that a request can be billed, rounded up to whole nano-USD: what to reserve before it is sent.
    ///
    /// No usage within `most` costs more, whichever of its tokens are read from a cache, written to one, audio or
    /// reasoning, and whichever tier the size of the input falls in. Where the context names a service tier or a
    /// kind of processing, the bound holds for that and for the usual rates, whichever is billed; where it names none,
    /// for the usual rates only: a provider that answers in a dearer tier of its own choice, or with another model,
    /// bills by what nobody asked for.
    ///
    /// `None` where that is unknown: no model has the name, a rate is missing that the request may need (for searches
    /// of the web included, and where nothing limits them), or the amount is beyond [`Usd::MAX`].
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
        let model = self.find(request.provider, request.model)?;
        let rates = Active::new(&model, Moment::from(request.at), &request.context)?;
        Bound::new(&rates, most)
    }

    /// Whether a request is refused whose price is not known.
    pub(crate) fn denies_unknown(&self) -> bool {
        false
    }

    /// Whether a request may be sent whose price is not known, under a hard budget as well.
    pub(crate) fn allows_unknown(&self) -> bool {
        false
    }

    /// Remembers misses too: a model that runs at home has no price, and is asked for as often.
    fn find(&self, provider: &str, model: &str) -> Option<Arc<Model>> {
        let cache = &self.0.cache;
        let known = cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(provider, model);
        known.unwrap_or_else(|| {
            let found = self.0.table.find(provider, model);
            let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(provider, model, found.clone());
            found
        })
    }
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceBook")
            .field("date", &self.date())
            .field("source", &self.0.source)
            .field("models", &self.0.table.len())
            .finish_non_exhaustive()
    }
}

/// What is to be priced: which model was asked, where and when.
#[derive(Clone, Debug)]
pub struct PriceRequest<'a> {
    provider: &'a str,
    model: &'a str,
    at: SystemTime,
    context: Vec<(&'a str, &'a str)>,
}

impl<'a> PriceRequest<'a> {
    /// A request to `model` of `provider` at a moment.
    ///
    /// The provider is an id of the table, a value of OpenTelemetry's `gen_ai.provider.name`, or another name that
    /// the table knows; the model is named as the provider names it. Neither depends on case.
    pub const fn new(provider: &'a str, model: &'a str, at: SystemTime) -> Self {
        Self {
            provider,
            model,
            at,
            context: Vec::new(),
        }
    }

    /// Says something about the request that can change its price, such as `processing` = `batch` or
    /// `service_tier` = `flex`. What the table does not know changes nothing.
    #[must_use]
    pub fn with_context(mut self, key: &'a str, value: &'a str) -> Self {
        self.context.push((key, value));
        self
    }
}

/// The models of one provider by the name they were asked by; `None` is *there is none*.
type Names = HashMap<Box<str>, Option<Arc<Model>>>;

/// Which model a pair of names stands for; two levels, so that a look-up builds no key.
#[derive(Default)]
struct Cache {
    names: HashMap<Box<str>, Names>,
    len: usize,
}

impl Cache {
    #[expect(
        clippy::option_option,
        reason = "not remembered differs from remembered as unknown"
    )]
    fn get(&self, provider: &str, model: &str) -> Option<Option<Arc<Model>>> {
        self.names.get(provider)?.get(model).cloned()
    }

    /// Forgets everything when full: rare, and cheaper than to track what is old.
    fn insert(&mut self, provider: &str, model: &str, found: Option<Arc<Model>>) {
        if provider.len().max(model.len()) > CACHE_NAME_BYTES {
            return;
        }
        if self.len >= CACHE_NAMES {
            *self = Self::default();
        }
        let models = self.names.entry(provider.into()).or_default();
        if models.insert(model.into(), found).is_none() {
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_is_whole() {
        let table = Table::from_json(EMBEDDED).unwrap();
        table.check().unwrap();
        assert_eq!(table.len(), 875);
        assert_eq!(PriceBook::embedded().date(), "2026-11-20");
        let debug = format!("{:?}", PriceBook::embedded());
        assert_eq!(
            debug,
            r#"PriceBook { date: "2026-11-20", source: Table, models: 875, .. }"#
        );
    }

    #[test]
    fn the_cache_stays_small_whatever_is_asked() {
        let book = PriceBook::embedded();
        let len = || book.0.cache.read().unwrap().len;
        for number in 0..CACHE_NAMES + 10 {
            assert!(book.find("openai", &format!("none-{number}")).is_none());
            assert!(len() <= CACHE_NAMES);
        }
        let before = len();
        book.find("openai", &"x".repeat(CACHE_NAME_BYTES + 1));
        assert_eq!(len(), before);
    }

    #[test]
    fn a_remembered_name_finds_the_same_model() {
        let book = PriceBook::embedded();
        let first = book.find("openai", "GPT-4o").unwrap();
        let second = book.find("openai", "GPT-4o").unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
