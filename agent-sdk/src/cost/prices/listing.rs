//! What a book knows, to look at, and a table in JSON.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use jiff::civil::{Date, date};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    layer::{Layer, PriceLayer},
    matching::Clause,
    price::{Model, Moment, Price, RateKind, Rates, Variant, held},
    table::Table,
};

/// A model and all of its prices, as a layer has them.
#[derive(Clone, Debug)]
pub struct ModelPrices {
    layer: PriceLayer,
    model: Arc<Model>,
}

impl ModelPrices {
    pub(super) fn new(layer: &Layer, model: Arc<Model>) -> Self {
        Self {
            layer: layer.describe(),
            model,
        }
    }

    /// The models of all layers, without those that a higher layer has under the same ids.
    pub(super) fn of_all(layers: &[Arc<Layer>]) -> Vec<Self> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for layer in layers {
            let about = layer.describe();
            let models = layer.table.providers.iter().flat_map(|p| &p.models);
            let new: Vec<_> = models
                .filter(|model| !seen.contains(&(model.provider.clone(), model.id.clone())))
                .collect();
            // An id may be given to several models of one table.
            seen.extend(new.iter().map(|m| (m.provider.clone(), m.id.clone())));
            all.extend(new.into_iter().map(|model| Self {
                layer: about.clone(),
                model: model.clone(),
            }));
        }
        all
    }

    /// The id of the provider.
    pub fn provider(&self) -> &str {
        &self.model.provider
    }

    /// The id of the model, which may stand for many names.
    pub fn model(&self) -> &str {
        &self.model.id
    }

    /// The layer that it is of.
    pub fn layer(&self) -> &PriceLayer {
        &self.layer
    }

    /// Where its price comes from, as [`Cost::provenance`](crate::cost::Cost::provenance) says it.
    pub fn provenance(&self) -> String {
        let source = self.layer.kind.source();
        source.provenance(self.layer.date.as_deref()).into_owned()
    }

    /// Its usual prices. The last whose conditions are met holds, and the first where none is.
    pub fn prices(&self) -> Vec<PriceEntry> {
        self.model.prices.iter().map(PriceEntry::from).collect()
    }

    /// The rates that some requests have in place of the usual ones.
    pub fn variants(&self) -> Vec<PriceEntry> {
        self.model.variants.iter().map(PriceEntry::from).collect()
    }

    /// The usual price that holds at a moment.
    pub fn at(&self, at: SystemTime) -> Option<PriceEntry> {
        held(&self.model.prices, Moment::from(at)).map(PriceEntry::from)
    }
}

/// Rates, and when they hold. It serializes as an entry of a price table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceEntry {
    /// What a request's context must say, for a variant.
    pub when: BTreeMap<String, String>,
    /// The first day, as `2026-01-31`.
    pub valid_from: Option<String>,
    /// The part of each day, from and to, as `16:30:00` in UTC.
    pub time_of_day_utc: Option<(String, String)>,
    /// The rates.
    pub rates: Vec<PriceRate>,
}

/// A rate, as a table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceRate {
    /// What it is for.
    pub kind: RateKind,
    /// US dollars per million tokens, or per thousand requests or searches.
    pub base: String,
    /// What it is instead for a larger input, with rising thresholds.
    pub tiers: Vec<PriceTier>,
}

/// What a rate is once the whole input is larger than a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PriceTier {
    /// The threshold.
    pub above_input_tokens: u64,
    /// US dollars, as [`PriceRate::base`].
    pub price: String,
}

impl PriceEntry {
    /// The rate of a kind, where there is one.
    pub fn rate(&self, kind: RateKind) -> Option<&PriceRate> {
        self.rates.iter().find(|rate| rate.kind == kind)
    }
}

impl From<&Price> for PriceEntry {
    fn from(price: &Price) -> Self {
        let hours = price.hours;
        Self {
            when: BTreeMap::new(),
            valid_from: price.from.map(day),
            time_of_day_utc: hours.map(|hours| (clock(hours.start), clock(hours.end))),
            rates: rates(&price.rates),
        }
    }
}

impl From<&Variant> for PriceEntry {
    fn from(variant: &Variant) -> Self {
        let when = variant.when.iter();
        Self {
            when: when.map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            valid_from: variant.from.map(day),
            time_of_day_utc: None,
            rates: rates(&variant.rates),
        }
    }
}

fn rates(rates: &Rates) -> Vec<PriceRate> {
    let rate = |(kind, rate): &(RateKind, super::price::Rate)| PriceRate {
        kind: *kind,
        base: rate.base.of_many(kind.things()),
        tiers: rate
            .tiers
            .iter()
            .map(|tier| PriceTier {
                above_input_tokens: tier.above,
                price: tier.price.of_many(kind.things()),
            })
            .collect(),
    };
    rates.0.iter().map(rate).collect()
}

fn day(days: i64) -> String {
    let days = jiff::Span::new().try_days(days);
    let date = days.and_then(|days| date(1970, 1, 1).checked_add(days));
    date.unwrap_or(Date::MAX).to_string()
}

fn clock(second: i64) -> String {
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}", second % 60)
}

impl Serialize for PriceEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hours<'a> {
            start: &'a str,
            end: &'a str,
        }

        #[derive(Serialize)]
        struct Tiered<'a> {
            base: &'a str,
            tiers: &'a [PriceTier],
        }

        let mut map = serializer.serialize_map(None)?;
        if !self.when.is_empty() {
            map.serialize_entry("when", &self.when)?;
        }
        if let Some(from) = &self.valid_from {
            map.serialize_entry("valid_from", from)?;
        }
        if let Some((start, end)) = &self.time_of_day_utc {
            map.serialize_entry("time_of_day_utc", &Hours { start, end })?;
        }
        for PriceRate { kind, base, tiers } in &self.rates {
            if tiers.is_empty() {
                map.serialize_entry(kind.as_str(), base)?;
            } else {
                map.serialize_entry(kind.as_str(), &Tiered { base, tiers })?;
            }
        }
        map.end()
    }
}

/// A table in the form that it is read in.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    date: &'a str,
    providers: Vec<WrittenProvider<'a>>,
}

#[derive(Serialize)]
struct WrittenProvider<'a> {
    id: &'a str,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    clause: Option<&'a Clause>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fallback: &'a [Box<str>],
    models: Vec<WrittenModel<'a>>,
}

#[derive(Serialize)]
struct WrittenModel<'a> {
    id: &'a str,
    #[serde(rename = "match")]
    clause: &'a Clause,
    prices: Vec<PriceEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    variants: Vec<PriceEntry>,
}

impl<'a> Written<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        let model = |model: &'a Arc<Model>| WrittenModel {
            id: &model.id,
            clause: &model.clause,
            prices: model.prices.iter().map(PriceEntry::from).collect(),
            variants: model.variants.iter().map(PriceEntry::from).collect(),
        };
        let providers = table.providers.iter().map(|provider| WrittenProvider {
            id: &provider.id,
            clause: provider.clause.as_ref(),
            fallback: &provider.fallback,
            models: provider.models.iter().map(model).collect(),
        });
        Self {
            date: &table.date,
            providers: providers.collect(),
        }
    }
}
