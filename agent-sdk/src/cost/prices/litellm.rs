//! Reading the price file of `LiteLLM`, `model_prices_and_context_window.json`.
//!
//! That file has one entry for each model, with prices in US dollars per token, written as floats. Their text is read as an exact
//! decimal. What has no place in a table here, or cannot be read, is listed and not guessed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json, value::RawValue};

use super::{
    error::PriceError,
    layer::Layer,
    price::RateKind,
    table::{PriceTable, Table},
};
use crate::cost::ExactUsd;

/// What came of a price file of `LiteLLM`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiteLlmImport {
    /// The prices that could be read.
    pub table: PriceTable,
    /// What could not be read, by model.
    pub unread: Vec<Unread>,
}

/// A price, or a whole entry, that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unread {
    /// The key of the entry.
    pub model: String,
    /// The name of the price; empty for the entry as a whole.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// Entries of the file that are no models.
const NO_MODELS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

const FIELDS: [(&str, RateKind); 13] = [
    ("input_cost_per_token", RateKind::Input),
    ("output_cost_per_token", RateKind::Output),
    ("cache_read_input_token_cost", RateKind::CacheRead),
    ("input_cost_per_token_cache_hit", RateKind::CacheRead),
    ("cache_creation_input_token_cost", RateKind::CacheWrite),
    (
        "cache_creation_input_token_cost_above_1hr",
        RateKind::CacheWrite1h,
    ),
    ("input_cost_per_audio_token", RateKind::InputAudio),
    (
        "cache_read_input_audio_token_cost",
        RateKind::CacheAudioRead,
    ),
    ("input_cost_per_image_token", RateKind::InputImage),
    ("output_cost_per_audio_token", RateKind::OutputAudio),
    ("output_cost_per_image_token", RateKind::OutputImage),
    ("output_cost_per_reasoning_token", RateKind::Reasoning),
    ("input_cost_per_request", RateKind::Request),
];

/// The endings of a field's name that stand for a variant, and what a request's context says for it.
const VARIANTS: [(&str, (&str, &str)); 3] = [
    ("_batches", ("processing", "batch")),
    ("_flex", ("service_tier", "flex")),
    ("_priority", ("service_tier", "priority")),
];

const SEARCHES: &str = "search_context_cost_per_query";

impl PriceTable {
    /// Reads the price file of `LiteLLM`, `model_prices_and_context_window.json`, as collected on `date`, such as
    /// `2026-11-20`: the file does not say when it was made.
    ///
    /// Prices of tokens, of requests and of searches are read, with their tiers by the size of the input and their
    /// variants for batches, flex and priority. Searches that cost more in a larger context are variants too, by
    /// `search_context_size`. What is billed by the second, the character, the page or the picture is listed as unread, and
    /// so is a multiplier for a region. A model whose tokens cost nothing while it has such prices is left without a
    /// price: its cost is unknown, not 0.
    ///
    /// # Errors
    ///
    /// The text is no JSON object, or `date` is no date.
    pub fn from_litellm(text: &str, date: &str) -> Result<LiteLlmImport, PriceError> {
        let entries: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|error| {
            PriceError::new(format!("line {}", error.line()), error.to_string())
        })?;
        let mut import = Import::default();
        for (key, entry) in &entries {
            if !NO_MODELS.contains(&key.as_str()) {
                import.entry(key, entry.get());
            }
        }
        let table = json!({"date": date, "providers": import.providers()});
        let table = Table::read(table, ToString::to_string)?;
        let table = Self::checked(table)?;
        table.collected()?;
        Ok(LiteLlmImport {
            table,
            unread: import.unread,
        })
    }
}

#[derive(Default)]
struct Import {
    /// The models by the id of their provider.
    models: BTreeMap<String, Vec<Value>>,
    unread: Vec<Unread>,
}

/// The rates of an entry: by the variant's condition, none for the usual ones, and then by kind.
type Found<'a> = BTreeMap<Option<(&'a str, &'a str)>, BTreeMap<RateKind, Steps>>;

/// A rate: its base, and its tiers by their thresholds.
#[derive(Default)]
struct Steps {
    base: Option<String>,
    tiers: BTreeMap<u64, String>,
}

impl Import {
    fn entry(&mut self, key: &str, text: &str) {
        let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
            return self.skip(key, "", "it is no object");
        };
        let text = |name: &str| serde_json::from_str::<String>(fields.get(name)?.get()).ok();
        let Some(slug) = text("litellm_provider") else {
            return self.skip(key, "", "it does not name its provider");
        };
        let mut found = Found::new();
        let mut has_other_prices = false;
        for (name, value) in &fields {
            let value = value.get();
            if !is_price(name) || value == "null" {
                continue;
            }
            let read = match &**name {
                SEARCHES => searches(value, &mut found),
                _ => rate(name, value, &mut found),
            };
            if let Err(reason) = read {
                has_other_prices |= !is_zero(value);
                self.skip(key, name, reason);
            }
        }
        let usual = found.get(&None);
        let is_free = usual.is_none_or(|rates| rates.values().all(Steps::is_free));
        if has_other_prices && is_free {
            found.clear();
            self.skip(
                key,
                "",
                "what it is billed by is unread, so its price is unknown",
            );
        }
        let (id, provider) = (name(key, &slug), provider(&slug));
        let model = self.model(key, id, found);
        self.models.entry(provider).or_default().push(model);
    }

    /// The entry as a model of a table.
    fn model(&mut self, key: &str, id: &str, found: Found<'_>) -> Value {
        let (mut prices, mut variants) = (json!({}), Vec::new());
        for (when, rates) in found {
            let mut entry = Map::new();
            for (kind, steps) in rates {
                match steps.written() {
                    Some(rate) => {
                        entry.insert(kind.as_str().to_owned(), rate);
                    }
                    None => self.skip(key, kind.as_str(), "it has a tier and no base"),
                }
            }
            match when {
                None => prices = Value::Object(entry),
                Some((name, value)) => {
                    entry.insert("when".to_owned(), json!({ name: value }));
                    variants.push(Value::Object(entry));
                }
            }
        }
        json!({"id": id, "match": {"exact": id}, "prices": [prices], "variants": variants})
    }

    fn skip(&mut self, model: &str, field: &str, reason: &str) {
        self.unread.push(Unread {
            model: model.to_owned(),
            field: field.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// The providers, known by the names that the embedded table knows them by.
    fn providers(&mut self) -> Vec<Value> {
        let embedded = Layer::embedded();
        let models = std::mem::take(&mut self.models);
        let written = models.into_iter().map(|(id, models)| {
            let mut provider = json!({"id": id, "models": models});
            let clause = match &*id {
                // Both sell Google's models, and `google` means the first.
                "gcp.vertex_ai" => None,
                "gcp.gemini" => Some(json!({"exact": "google"})),
                id => embedded
                    .table
                    .with_id(id)
                    .and_then(|known| serde_json::to_value(known.clause.as_ref()?).ok()),
            };
            if let (Some(clause), Some(provider)) = (clause, provider.as_object_mut()) {
                provider.insert("match".to_owned(), clause);
            }
            provider
        });
        written.collect()
    }
}

impl Steps {
    fn is_free(&self) -> bool {
        let mut prices = self.base.iter().chain(self.tiers.values());
        prices.all(|price| price == "0")
    }

    /// As a table has it.
    fn written(self) -> Option<Value> {
        let base = self.base?;
        if self.tiers.is_empty() {
            return Some(base.into());
        }
        let tier = |(above, price)| json!({"above_input_tokens": above, "price": price});
        let tiers: Vec<_> = self.tiers.into_iter().map(tier).collect();
        Some(json!({"base": base, "tiers": tiers}))
    }
}

/// Whether a field says what something costs.
fn is_price(name: &str) -> bool {
    name.contains("cost") || name == "tiered_pricing" || name.contains("uplift_multiplier")
}

/// Reads a rate that its name tells the kind, the tier and the variant of.
fn rate(name: &str, value: &str, found: &mut Found<'_>) -> Result<(), &'static str> {
    let variant = VARIANTS.iter().find_map(|(ending, when)| {
        let name = name.strip_suffix(ending)?;
        Some((name, *when))
    });
    let (rest, when) = match variant {
        Some((rest, when)) => (rest, Some(when)),
        None => (name, None),
    };
    let tier = rest.strip_suffix("k_tokens").and_then(|rest| {
        let (rest, thousands) = rest.rsplit_once("_above_")?;
        Some((rest, thousands.parse::<u32>().ok()?))
    });
    let (rest, above) = match tier {
        Some((rest, thousands)) => (rest, Some(u64::from(thousands) * 1000)),
        None => (rest, None),
    };
    let (_, kind) = FIELDS
        .iter()
        .find(|(name, _)| *name == rest)
        .ok_or("prices of this kind are not read")?;
    let price = price(value, kind.things())?;
    let rates = found.entry(when).or_default();
    let steps = rates.entry(*kind).or_default();
    let place = match above {
        Some(above) => steps.tiers.entry(above).or_default(),
        None => steps.base.get_or_insert_default(),
    };
    if !place.is_empty() && *place != price {
        return Err("it contradicts another field");
    }
    *place = price;
    Ok(())
}

/// Reads what a search costs: the same in a context of any size, or a variant for each.
fn searches(value: &str, found: &mut Found<'_>) -> Result<(), &'static str> {
    const SIZES: [(&str, &str); 3] = [
        ("search_context_size_low", "low"),
        ("search_context_size_medium", "medium"),
        ("search_context_size_high", "high"),
    ];
    let sizes: BTreeMap<String, &RawValue> =
        serde_json::from_str(value).map_err(|_| "it is no object")?;
    let mut prices = Vec::new();
    for (name, size) in SIZES {
        if let Some(value) = sizes.get(name) {
            prices.push((size, price(value.get(), RateKind::WebSearch.things())?));
        }
    }
    let steps = |price: &str| Steps {
        base: Some(price.to_owned()),
        tiers: BTreeMap::new(),
    };
    match &*prices {
        [(_, one), (_, two), (_, three)] if one == two && two == three => {
            let usual = found.entry(None).or_default();
            usual.insert(RateKind::WebSearch, steps(one));
        }
        [] => return Err("it names no size of context"),
        prices => {
            for (size, price) in prices {
                let variant = found.entry(Some(("search_context_size", size)));
                variant
                    .or_default()
                    .insert(RateKind::WebSearch, steps(price));
            }
        }
    }
    Ok(())
}

fn is_zero(value: &str) -> bool {
    price(value, 0).is_ok_and(|price| price == "0")
}

/// The price of `10^things` of what costs so much each: a JSON number, or a string with one in it.
fn price(value: &str, things: u32) -> Result<String, &'static str> {
    let unquoted: String;
    let text = if value.starts_with('"') {
        unquoted = serde_json::from_str(value).map_err(|_| "it is no number")?;
        unquoted.trim()
    } else {
        value
    };
    if text.starts_with('-') {
        return Err("it is negative");
    }
    let shifted = shifted(text, things).ok_or("it is no number")?;
    let exact = ExactUsd::of_each(&shifted, things).ok_or("it is too large, or too fine")?;
    Ok(exact.of_many(things))
}

/// A decimal, which may have an exponent, times `10^places`, without one.
fn shifted(text: &str, places: u32) -> Option<String> {
    /// More than any price has.
    const MOST: i32 = 64;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || mantissa.len() > 64 {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    if exponent.abs() > MOST {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent + i32::try_from(places).ok()?;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i32::try_from(digits.len()).ok()?;
    let padded = format!("{}{digits}{}", zeros(1 - point), zeros(point - length));
    let (whole, fraction) = padded.split_at_checked(usize::try_from(point.max(1)).ok()?)?;
    let fraction = fraction.trim_end_matches('0');
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    Some(match fraction {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    })
}

/// The model's own name: the key without its provider.
fn name<'a>(key: &'a str, slug: &str) -> &'a str {
    let first = slug.split('-').next().unwrap_or(slug);
    let rest = |prefix: &str| key.strip_prefix(prefix)?.strip_prefix('/');
    rest(slug)
        .or_else(|| rest(first))
        .filter(|name| !name.is_empty())
        .unwrap_or(key)
}

/// The id of a provider that `LiteLLM` calls so.
fn provider(slug: &str) -> String {
    let slug = slug.to_lowercase();
    match &*slug {
        "gemini" => "gcp.gemini".to_owned(),
        _ if slug.starts_with("vertex_ai") => "gcp.vertex_ai".to_owned(),
        "bedrock" | "bedrock_converse" | "bedrock_mantle" => "aws".to_owned(),
        "azure" | "azure_ai" | "azure_text" => "azure".to_owned(),
        "text-completion-openai" => "openai".to_owned(),
        "cohere_chat" => "cohere".to_owned(),
        _ => match Layer::embedded().table.provider(&slug) {
            Some(known) => known.id.to_string(),
            None => slug,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::shifted;

    #[test]
    fn decimals_are_shifted_without_a_float() {
        for (text, places, expected) in [
            ("1.5e-07", 6, "0.15"),
            ("3e-06", 6, "3"),
            ("0.00000055", 6, "0.55"),
            ("0.0", 6, "0"),
            ("0.035", 3, "35"),
            ("1E+2", 0, "100"),
            ("1.25e-3", 0, "0.00125"),
            ("4.1666666666666664e-08", 6, "0.041666666666666664"),
            ("12", 3, "12000"),
        ] {
            assert_eq!(shifted(text, places).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            ".5",
            "1e",
            "1e99",
            "1e2147483648",
            "NaN",
            "inf",
            "1,5",
            "-1",
            "+1",
            "0x1",
        ] {
            assert_eq!(shifted(text, 6), None, "{text}");
        }
    }
}
