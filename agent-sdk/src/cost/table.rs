//! The table of providers and models, and how a name finds its model.

use std::fmt;
use std::sync::Arc;

use super::matching::{self, Clause};
use super::price::Model;
use super::schema::RawTable;

/// Every provider, in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) date: Arc<str>,
    pub(super) providers: Box<[Provider]>,
}

/// Who sells models.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) id: Box<str>,
    pub(super) clause: Option<Clause>,
    /// Whose models it sells beside its own.
    pub(super) fallback: Box<[Box<str>]>,
    pub(super) models: Box<[Arc<Model>]>,
}

impl Table {
    /// The model that `model` stands for at `provider`: one of its own, or else one of its fallback providers'.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Arc<Model>> {
        let provider = self.provider(&provider.trim().to_lowercase())?;
        let model = model.to_lowercase();
        let fallback = provider.fallback.iter().filter_map(|id| self.with_id(id));
        std::iter::once(provider)
            .chain(fallback)
            .flat_map(|provider| &provider.models)
            .find(|candidate| candidate.clause.matches(&model))
            .cloned()
    }

    fn with_id(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| *provider.id == *id)
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.with_id(name)
            .or_else(|| self.with_id(matching::alias(name)?))
            .or_else(|| {
                self.providers
                    .iter()
                    .find(|p| p.clause.as_ref().is_some_and(|c| c.matches(name)))
            })
    }

    /// How many models there are.
    pub(super) fn len(&self) -> usize {
        self.providers
            .iter()
            .map(|provider| provider.models.len())
            .sum()
    }

    /// Reads a table; regexes are not compiled yet.
    pub(super) fn from_json(text: &str) -> Result<Self, PriceError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let raw: RawTable = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            PriceError::new(error.path().to_string(), error.inner().to_string())
        })?;
        json.end()
            .map_err(|error| PriceError::new("the end", error.to_string()))?;
        raw.build()
    }

    /// Compiles every regex, and looks for fallback providers that do not exist.
    pub(super) fn check(&self) -> Result<(), PriceError> {
        for provider in &self.providers {
            if let Some(missing) = provider
                .fallback
                .iter()
                .find(|id| self.with_id(id).is_none())
            {
                let reason = format!("no provider of the table has the id {missing:?}");
                return Err(PriceError::new(format!("{}.fallback", provider.id), reason));
            }
            if let Some(clause) = &provider.clause {
                let place = || format!("{}.match", provider.id);
                clause
                    .check()
                    .map_err(|reason| PriceError::new(place(), reason))?;
            }
            for model in &provider.models {
                let place = || format!("{}/{}.match", provider.id, model.id);
                model
                    .clause
                    .check()
                    .map_err(|reason| PriceError::new(place(), reason))?;
            }
        }
        Ok(())
    }
}

/// A price table that cannot be used, and the place in it that is wrong.
#[derive(Clone, Debug)]
pub struct PriceError {
    place: String,
    reason: String,
}

impl PriceError {
    pub(super) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// Where the table is wrong: a path such as `providers[0].models[2].prices[0].input`, or `provider/model`.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "price table is invalid at `{}`: {}",
            self.place, self.reason
        )
    }
}

impl std::error::Error for PriceError {}
