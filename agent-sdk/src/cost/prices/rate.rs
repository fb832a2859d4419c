//! Rates in JSON: exact decimals in strings, with or without tiers.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::price::{Rate, Tier};
use crate::cost::usd::ExactUsd;

/// The price of one where `10^N` of them have a price; `N` is 6 for tokens and 3 for requests.
pub(super) struct PerUnit<const N: u32>(pub(super) ExactUsd);

impl<'de, const N: u32> Deserialize<'de> for PerUnit<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(PriceVisitor::<N>)
            .map(|rate| Self(rate.base))
    }
}

/// A price, or a base price with tiers.
pub(super) struct RawRate(pub(super) Rate);

impl<'de> Deserialize<'de> for RawRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTiered {
    base: PerUnit<6>,
    tiers: Vec<RawTier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    above_input_tokens: u64,
    price: PerUnit<6>,
}

/// Reads a price; floats are refused because they are not exact.
struct PriceVisitor<const N: u32>;

impl<const N: u32> Visitor<'_> for PriceVisitor<N> {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price in USD, as a decimal string such as \"2.5\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        let base = ExactUsd::of_each(text, N)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
        Ok(Rate {
            base,
            tiers: Box::default(),
        })
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Rate, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Rate, E> {
        self.visit_str(&dollars.to_string())
    }
}

/// Reads what [`PriceVisitor`] does, and tiers.
struct RateVisitor;

impl<'de> Visitor<'de> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price in USD, as a decimal string such as \"2.5\", or a base with tiers")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        PriceVisitor::<6>.visit_str(text)
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Rate, E> {
        PriceVisitor::<6>.visit_u64(dollars)
    }

    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Rate, E> {
        PriceVisitor::<6>.visit_i64(dollars)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
        let raw = RawTiered::deserialize(MapAccessDeserializer::new(map))?;
        let mut tiers: Vec<_> = raw
            .tiers
            .into_iter()
            .map(|tier| Tier {
                above: tier.above_input_tokens,
                price: tier.price.0,
            })
            .collect();
        tiers.sort_by_key(|tier| tier.above);
        Ok(Rate {
            base: raw.base.0,
            tiers: tiers.into(),
        })
    }
}
