//! A table in a book, and a memory of which names it has already looked up.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use super::{price::Model, table::Table};
use crate::cost::PriceSource;

pub(super) const EMBEDDED: &str = include_str!("prices.json");

/// How many names are remembered, and how long one may be: names come from outside.
const CACHE_NAMES: usize = 4096;
const CACHE_NAME_BYTES: usize = 256;

/// Which of a book's layers a table is; the first that knows a model prices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LayerKind {
    /// A table, or single prices, of the user.
    Override,
    /// The table that was put in by [`PriceBook::refresh`](super::PriceBook::refresh).
    Refreshed,
    /// The table that comes with the crate.
    Embedded,
}

impl LayerKind {
    /// Its name in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Refreshed => "refreshed",
            Self::Embedded => "embedded",
        }
    }

    pub(super) const fn source(self) -> PriceSource {
        match self {
            Self::Override => PriceSource::Override,
            Self::Refreshed | Self::Embedded => PriceSource::Table,
        }
    }
}

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceLayer {
    /// Which layer it is.
    pub kind: LayerKind,
    /// The day on which its prices were collected, as `2026-11-20`; `None` for prices set in code.
    pub date: Option<Arc<str>>,
    /// How many models it knows.
    pub models: usize,
}

/// A table in a book.
pub(super) struct Layer {
    pub(super) kind: LayerKind,
    pub(super) table: Arc<Table>,
    cache: RwLock<Cache>,
}

impl Layer {
    pub(super) fn new(kind: LayerKind, table: Arc<Table>) -> Self {
        Self {
            kind,
            table,
            cache: RwLock::default(),
        }
    }

    /// The table that comes with the crate, read when it is first asked for and shared by the whole process.
    pub(super) fn embedded() -> Arc<Self> {
        static LAYER: OnceLock<Arc<Layer>> = OnceLock::new();
        // A test reads the file; were it broken after all, every price would be unknown.
        let table = || Arc::new(Table::from_json(EMBEDDED).unwrap_or_default());
        LAYER
            .get_or_init(|| Arc::new(Self::new(LayerKind::Embedded, table())))
            .clone()
    }

    pub(super) fn describe(&self) -> PriceLayer {
        PriceLayer {
            kind: self.kind,
            date: self.date(),
            models: self.table.len(),
        }
    }

    pub(super) fn date(&self) -> Option<Arc<str>> {
        Some(self.table.date.clone()).filter(|date| !date.is_empty())
    }

    /// Remembers misses too: a model that runs at home has no price, and is asked for as often.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Arc<Model>> {
        let known = self
            .cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(provider, model);
        known.unwrap_or_else(|| {
            let found = self.table.find(provider, model);
            let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(provider, model, found.clone());
            found
        })
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
        assert_eq!(Layer::embedded().date().as_deref(), Some("2026-11-20"));
    }

    #[test]
    fn the_cache_stays_small_whatever_is_asked() {
        let layer = Layer::embedded();
        let layer = Layer::new(layer.kind, layer.table.clone());
        let len = || layer.cache.read().unwrap().len;
        for number in 0..CACHE_NAMES + 10 {
            assert!(layer.find("openai", &format!("none-{number}")).is_none());
            assert!(len() <= CACHE_NAMES);
        }
        let before = len();
        layer.find("openai", &"x".repeat(CACHE_NAME_BYTES + 1));
        assert_eq!(len(), before);
    }

    #[test]
    fn a_remembered_name_finds_the_same_model() {
        let layer = Layer::embedded();
        let first = layer.find("openai", "GPT-4o").unwrap();
        let second = layer.find("openai", "GPT-4o").unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
