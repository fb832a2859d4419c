//! The form of a table in JSON, and its way into the types that are asked for prices.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::PriceError;
use super::matching::Clause;
use super::price::{Hours, Model, Price, Rate, RateKind, Rates, Variant};
use super::rate::{PerUnit, RawRate};
use super::table::{Provider, Table};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    date: Arc<str>,
    #[serde(default, rename = "source")]
    _source: Option<IgnoredAny>,
    #[serde(default, rename = "unit")]
    _unit: Option<IgnoredAny>,
    providers: Vec<RawProvider>,
}

impl RawTable {
    /// Checks what the form alone cannot say, and packs it.
    pub(super) fn build(self) -> Result<Table, PriceError> {
        let providers: Result<_, _> = self.providers.into_iter().map(RawProvider::build).collect();
        Ok(Table {
            date: self.date,
            providers: providers?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    id: Arc<str>,
    #[serde(rename = "match")]
    clause: Option<Clause>,
    #[serde(default)]
    fallback: Box<[Box<str>]>,
    models: Vec<RawModel>,
}

impl RawProvider {
    fn build(self) -> Result<Provider, PriceError> {
        let models = self
            .models
            .into_iter()
            .map(|model| model.build(&self.id).map(Arc::new));
        Ok(Provider {
            id: self.id.to_lowercase().into(),
            models: models.collect::<Result<_, _>>()?,
            clause: self.clause,
            fallback: self.fallback,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    id: Arc<str>,
    #[serde(rename = "match")]
    clause: Clause,
    prices: Vec<RawPrice>,
    #[serde(default)]
    variants: Vec<RawPrice>,
}

impl RawModel {
    fn build(self, provider: &Arc<str>) -> Result<Model, PriceError> {
        let wrong = |part: &str, reason: &str| {
            Err(PriceError::new(
                format!("{provider}/{}.{part}", self.id),
                reason,
            ))
        };
        if self.prices.is_empty() {
            return wrong(
                "prices",
                "a model needs at least one price; `{}` is an unknown one",
            );
        }
        if self.prices.iter().any(|price| price.when.is_some()) {
            return wrong("prices", "`when` belongs to a variant");
        }
        if self
            .variants
            .iter()
            .any(|variant| variant.when.as_ref().is_none_or(BTreeMap::is_empty))
        {
            return wrong("variants", "a variant needs `when`");
        }
        if self
            .variants
            .iter()
            .any(|variant| variant.time_of_day_utc.is_some())
        {
            return wrong("variants", "`time_of_day_utc` belongs to a price");
        }
        Ok(Model {
            provider: provider.clone(),
            clause: self.clause,
            prices: self.prices.into_iter().map(RawPrice::price).collect(),
            variants: RawPrice::variants(self.variants),
            id: self.id,
        })
    }
}

/// One entry of `prices`, of a model that was set in code.
pub(super) fn price(entry: &serde_json::Value, place: &str) -> Result<Price, PriceError> {
    let raw: RawPrice = serde_path_to_error::deserialize(entry).map_err(|error| {
        let place = match &*error.path().to_string() {
            "." => place.to_owned(),
            path => format!("{place}.{path}"),
        };
        PriceError::new(place, error.inner().to_string())
    })?;
    Ok(raw.price())
}

/// An entry of `prices` or of `variants`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    when: Option<BTreeMap<Box<str>, Box<str>>>,
    valid_from: Option<Day>,
    time_of_day_utc: Option<RawHours>,
    input: Option<RawRate>,
    cache_read: Option<RawRate>,
    cache_write: Option<RawRate>,
    cache_write_1h: Option<RawRate>,
    input_audio: Option<RawRate>,
    cache_audio_read: Option<RawRate>,
    input_image: Option<RawRate>,
    output: Option<RawRate>,
    output_audio: Option<RawRate>,
    output_image: Option<RawRate>,
    reasoning: Option<RawRate>,
    per_1k_requests: Option<PerUnit<3>>,
    per_1k_web_searches: Option<PerUnit<3>>,
}

impl RawPrice {
    fn price(self) -> Price {
        Price {
            from: self.valid_from.map(|day| day.0),
            hours: self.time_of_day_utc.as_ref().map(|hours| Hours {
                start: hours.start.0,
                end: hours.end.0,
            }),
            rates: self.rates(),
        }
    }

    /// The variants in their order. One ends when the next for the same requests begins, wherever that is listed.
    fn variants(raw: Vec<Self>) -> Box<[Variant]> {
        let starts: Vec<_> = raw.iter().map(|v| (v.when.clone(), v.start())).collect();
        raw.into_iter()
            .map(|variant| {
                let later = starts
                    .iter()
                    .filter(|(when, start)| *when == variant.when && *start > variant.start());
                Variant {
                    until: later.filter_map(|(_, start)| *start).min(),
                    from: variant.start(),
                    when: variant
                        .when
                        .iter()
                        .flatten()
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .collect(),
                    rates: variant.rates(),
                }
            })
            .collect()
    }

    fn start(&self) -> Option<i64> {
        self.valid_from.as_ref().map(|day| day.0)
    }

    fn rates(self) -> Rates {
        let each = |fee: PerUnit<3>| {
            RawRate(Rate {
                base: fee.0,
                tiers: Box::default(),
            })
        };
        let rates = [
            (RateKind::Input, self.input),
            (RateKind::Output, self.output),
            (RateKind::CacheRead, self.cache_read),
            (RateKind::CacheWrite, self.cache_write),
            (RateKind::CacheWrite1h, self.cache_write_1h),
            (RateKind::InputAudio, self.input_audio),
            (RateKind::CacheAudioRead, self.cache_audio_read),
            (RateKind::InputImage, self.input_image),
            (RateKind::OutputAudio, self.output_audio),
            (RateKind::OutputImage, self.output_image),
            (RateKind::Reasoning, self.reasoning),
            (RateKind::Request, self.per_1k_requests.map(each)),
            (RateKind::WebSearch, self.per_1k_web_searches.map(each)),
        ];
        let given = rates
            .into_iter()
            .filter_map(|(kind, rate)| Some((kind, rate?.0)));
        Rates(given.collect())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHours {
    start: Second,
    end: Second,
}

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Box<str>")]
struct Day(i64);

impl TryFrom<Box<str>> for Day {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, String> {
        let date: jiff::civil::Date = text
            .parse()
            .map_err(|_| format!("{text:?} is not a date such as 2026-01-31"))?;
        let days = date
            .since((jiff::Unit::Day, jiff::civil::date(1970, 1, 1)))
            .map_err(|_| format!("{text:?} is out of range"))?;
        Ok(Self(days.get_days().into()))
    }
}

/// A time of day in seconds after midnight.
#[derive(Deserialize)]
#[serde(try_from = "Box<str>")]
struct Second(i64);

impl TryFrom<Box<str>> for Second {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, String> {
        let time: jiff::civil::Time = text
            .parse()
            .map_err(|_| format!("{text:?} is not a time such as 16:30:00"))?;
        Ok(Self(
            (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60
                + i64::from(time.second()),
        ))
    }
}
