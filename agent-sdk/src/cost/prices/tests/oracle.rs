//! The same bills, made another way: with rational numbers, from the table's own text.
//!
//! Nothing here is shared with what is tested but the table. Each line must be the exact sum of its parts, rounded once; and a
//! total the exact sum of its lines.

use fastrand::Rng;
use num_rational::BigRational;
use serde_json::Value;

use super::at;
use crate::cost::{Cost, PriceBook, PriceRequest, Usd};
use crate::model::Usage;

/// How many usages are billed: this many, or what `AGENT_SDK_ORACLE_CASES` says.
const CASES: usize = 50_000;

/// A table with rates of every kind, tiers, days, hours and variants; and one with few.
const EVERY_KIND: &str = r#"{"date":"2026-11-20","providers":[{"id":"all","models":[
    {"id":"all","match":{"exact":"all"},"prices":[
        {"input":{"base":"1.25","tiers":[{"above_input_tokens":1000,"price":"2.5"},{"above_input_tokens":100000,"price":"0.7"}]},
         "cache_read":"0.041666666666666664","cache_write":"1.5625","cache_write_1h":{"base":"2.5","tiers":[{"above_input_tokens":500,"price":"5"}]},
         "input_audio":"10","cache_audio_read":"0.3","input_image":"0.000000000000000001","output":{"base":"10","tiers":[{"above_input_tokens":1000,"price":"15"}]},
         "output_audio":"64","output_image":"30.123456789","reasoning":"3.3","per_1k_requests":"0.5","per_1k_web_searches":"10.01"},
        {"valid_from":"2026-07-01","time_of_day_utc":{"start":"16:30:00","end":"00:30:00"},"input":"0.1","cache_read":"0.01","output":"0.2"},
        {"valid_from":"2026-09-01","input":"0.3333333333","cache_write":"0.7","input_audio":"3","output":"1.1","output_audio":"5"}],
     "variants":[
        {"when":{"service_tier":"flex"},"input":"0.5","output":"5"},
        {"when":{"processing":"batch"},"valid_from":"2026-05-05","input":"0.6","cache_read":"0.02"},
        {"when":{"processing":"batch"},"valid_from":"2026-10-10","reasoning":"0.9"},
        {"when":{"processing":"batch","service_tier":"priority"},"output":"99"}]},
    {"id":"few","match":{"exact":"few"},"prices":[{"input":"0.0005","output":"0.25","input_audio":"7"}]}]}]}"#;

struct Oracle {
    table: Value,
}

type Context = Vec<(&'static str, &'static str)>;

/// What one request costs: input, output, fees.
type Parts = [BigRational; 3];

fn number(text: &str) -> BigRational {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: num_bigint::BigInt = format!("{whole}{fraction}").parse().unwrap();
    let places = u32::try_from(fraction.len()).unwrap();
    BigRational::new(digits, num_bigint::BigInt::from(10).pow(places))
}

fn whole(count: u64) -> BigRational {
    BigRational::from_integer(count.into())
}

/// The rates of a request, the condition's first.
struct Rates<'a>(Vec<&'a Value>);

impl Rates<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|entry| !entry[name].is_null())
    }

    /// The price of one: `None` where there is none, or where it hangs on a size that is not known.
    fn price(&self, name: &str, size: Option<u64>) -> Option<BigRational> {
        let rate = &self.0.iter().find(|entry| !entry[name].is_null())?[name];
        let things = if name.starts_with("per_1k") {
            1000
        } else {
            1_000_000
        };
        let text = match rate.as_object() {
            None => rate.as_str().unwrap(),
            Some(steps) => {
                let size = size?;
                let mut steps: Vec<_> = steps["tiers"].as_array().unwrap().iter().collect();
                steps.sort_by_key(|step| step["above_input_tokens"].as_u64());
                let mut reached = steps
                    .iter()
                    .filter(|step| step["above_input_tokens"].as_u64().unwrap() < size);
                let last = reached.next_back().map(|step| &step["price"]);
                last.unwrap_or(&rate["base"]).as_str().unwrap()
            }
        };
        Some(number(text) / whole(things))
    }

    fn is_free(&self, names: &[&str]) -> bool {
        let is_zero = |text: &Value| number(text.as_str().unwrap()) == whole(0);
        names.iter().all(|name| {
            let entry = self.0.iter().find(|entry| !entry[name].is_null());
            entry.is_none_or(|entry| match entry[name].as_object() {
                None => is_zero(&entry[name]),
                Some(steps) => {
                    let tiers = steps["tiers"].as_array().unwrap();
                    is_zero(&steps["base"]) && tiers.iter().all(|tier| is_zero(&tier["price"]))
                }
            })
        })
    }

    /// The sum of so many of each; `None` where a price that is needed is missing.
    fn sum(&self, parts: &[(&str, u64)], size: Option<u64>) -> Option<BigRational> {
        let mut sum = whole(0);
        for (name, count) in parts.iter().filter(|(_, count)| *count > 0) {
            sum += self.price(name, size)? * whole(*count);
        }
        Some(sum)
    }
}

impl Oracle {
    fn model(&self, provider: &str, model: &str) -> &Value {
        let by_id = |list: &'_ Value, id: &str| -> usize {
            let mut ids = list.as_array().unwrap().iter();
            ids.position(|entry| entry["id"] == id).unwrap()
        };
        let providers = &self.table["providers"];
        let models = &providers[by_id(providers, provider)]["models"];
        &models[by_id(models, model)]
    }

    fn rates<'a>(model: &'a Value, time: jiff::Timestamp, context: &Context) -> Rates<'a> {
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let (day, clock) = (
            time.date().to_string(),
            time.strftime("%H:%M:%S").to_string(),
        );
        let began = |entry: &Value| {
            entry["valid_from"]
                .as_str()
                .is_none_or(|from| from <= &*day)
        };
        let within = |entry: &Value| {
            let hours = &entry["time_of_day_utc"];
            let (Some(start), Some(end)) = (hours["start"].as_str(), hours["end"].as_str()) else {
                return true;
            };
            if start <= end {
                start <= &*clock && &*clock < end
            } else {
                start <= &*clock || &*clock < end
            }
        };
        let prices = model["prices"].as_array().unwrap();
        let usual = prices.iter().rfind(|entry| began(entry) && within(entry));
        let variants = model["variants"].as_array().map_or(&[][..], Vec::as_slice);
        let asked = |entry: &Value| {
            let mut when = entry["when"].as_object().unwrap().iter();
            when.all(|(key, value)| {
                context
                    .iter()
                    .any(|(k, v)| k == key && value.as_str().unwrap().eq_ignore_ascii_case(v))
            })
        };
        // A later entry for the same requests takes the place of an earlier one.
        let replaced = |entry: &Value| {
            variants.iter().any(|other| {
                other["when"] == entry["when"]
                    && began(other)
                    && other["valid_from"].as_str() > entry["valid_from"].as_str()
            })
        };
        let holding = variants
            .iter()
            .filter(|entry| asked(entry) && began(entry) && !replaced(entry));
        Rates(holding.chain([usual.unwrap_or(&prices[0])]).collect())
    }

    fn bill(rates: &Rates<'_>, usage: &Usage) -> Option<Parts> {
        let priced = |entry: &&Value| {
            let conditions = [
                "when",
                "valid_from",
                "time_of_day_utc",
                "per_1k_web_searches",
            ];
            entry
                .as_object()
                .unwrap()
                .keys()
                .any(|key| !conditions.contains(&&**key) && key != "id")
        };
        if !rates.0.iter().any(priced) {
            return None;
        }
        let size = usage.input_tokens;
        let own = |name: &str, count: Option<u64>| {
            if rates.has(name) {
                count.unwrap_or(0)
            } else {
                0
            }
        };

        let inputs = [
            "input",
            "cache_read",
            "cache_write",
            "cache_write_1h",
            "input_audio",
            "cache_audio_read",
            "input_image",
        ];
        let input = match size {
            None if rates.is_free(&inputs) => whole(0),
            None => return None,
            Some(size) => {
                let hour = usage.cache_write_1h_tokens.unwrap_or(0);
                let written = usage.cache_write_tokens.unwrap_or(0).max(hour);
                let hour = own("cache_write_1h", Some(hour));
                let short = own("cache_write", Some(written - hour));
                let room = size.checked_sub(hour + short)?;
                let read = own("cache_read", usage.cache_read_tokens);
                let audio = own("input_audio", usage.input_audio_tokens);
                let image = own("input_image", usage.input_image_tokens);
                // What is in two parts at once.
                let shared = (read + audio + image).saturating_sub(room);
                if shared > read || shared > audio + image {
                    return None;
                }
                let heard = shared.min(audio);
                let heard_at = if rates.has("cache_audio_read") {
                    "cache_audio_read"
                } else {
                    "cache_read"
                };
                let parts = [
                    ("cache_write_1h", hour),
                    ("cache_write", short),
                    (heard_at, heard),
                    ("cache_read", read - heard),
                    ("input_audio", audio - heard),
                    ("input_image", image - (shared - heard)),
                    ("input", room - (read + audio + image - shared)),
                ];
                rates.sum(&parts, Some(size))?
            }
        };

        let output = match usage.output_tokens {
            None if rates.is_free(&["output", "output_audio", "output_image", "reasoning"]) => {
                whole(0)
            }
            None => return None,
            Some(total) => {
                let parts = [
                    (
                        "output_audio",
                        own("output_audio", usage.output_audio_tokens),
                    ),
                    (
                        "output_image",
                        own("output_image", usage.output_image_tokens),
                    ),
                    ("reasoning", own("reasoning", usage.reasoning_tokens)),
                ];
                let rest = total.checked_sub(parts.iter().map(|(_, count)| count).sum())?;
                rates.sum(&parts, size)? + rates.sum(&[("output", rest)], size)?
            }
        };

        let request = rates
            .price("per_1k_requests", size)
            .unwrap_or_else(|| whole(0));
        let searches = [(
            "per_1k_web_searches",
            usage.web_search_requests.unwrap_or(0),
        )];
        Some([input, output, request + rates.sum(&searches, size)?])
    }
}

/// Rounds half up to nano-USD.
fn nanos(amount: &BigRational) -> num_bigint::BigInt {
    let half = BigRational::new(1.into(), 2.into());
    (amount * whole(1_000_000_000) + half).floor().to_integer()
}

/// A count: often not reported, often none, sometimes very many.
fn count(rng: &mut Rng) -> Option<u64> {
    match rng.u8(..10) {
        0 | 1 => None,
        2 => Some(0),
        3 => Some(rng.u64(..1_000_000_000_000)),
        4 | 5 => Some(rng.u64(..3000)),
        _ => Some(rng.u64(..300_000)),
    }
}

fn usage(rng: &mut Rng) -> Usage {
    // A total that is missing makes most bills unknown.
    let total = |rng: &mut Rng| count(rng).or_else(|| count(rng)).or_else(|| count(rng));
    let mut usage = Usage {
        input_tokens: total(rng),
        output_tokens: total(rng),
        cache_read_tokens: count(rng),
        cache_write_tokens: count(rng),
        cache_write_1h_tokens: count(rng),
        reasoning_tokens: count(rng),
        input_audio_tokens: count(rng),
        output_audio_tokens: count(rng),
        input_image_tokens: count(rng),
        output_image_tokens: count(rng),
        web_search_requests: (rng.u8(..4) == 0).then(|| rng.u64(..20)),
    };
    // Most of them fit together; the others are what a server that counts wrongly may say.
    if rng.u8(..8) > 0 {
        let mut parts = |whole: Option<u64>, parts: &mut [&mut Option<u64>]| {
            let mut room = whole.unwrap_or(0);
            for part in parts {
                **part = part.map(|_| rng.u64(..=room));
                room -= part.unwrap_or(0);
            }
        };
        parts(
            usage.input_tokens,
            &mut [
                &mut usage.cache_write_tokens,
                &mut usage.cache_read_tokens,
                &mut usage.input_audio_tokens,
                &mut usage.input_image_tokens,
            ],
        );
        parts(
            usage.cache_write_tokens,
            &mut [&mut usage.cache_write_1h_tokens],
        );
        parts(
            usage.output_tokens,
            &mut [
                &mut usage.reasoning_tokens,
                &mut usage.output_audio_tokens,
                &mut usage.output_image_tokens,
            ],
        );
    }
    usage
}

/// A moment of the years 2025 and 2026, some of them on the hour.
fn moment(rng: &mut Rng) -> jiff::Timestamp {
    let start = jiff::Timestamp::try_from(at("2025-01-01T00:00:00Z"))
        .unwrap()
        .as_second();
    let second = rng.i64(0..2 * 365 * 86_400);
    let second = if rng.bool() {
        second
    } else {
        second / 1800 * 1800
    };
    jiff::Timestamp::from_second(start + second).unwrap()
}

fn context(rng: &mut Rng) -> Context {
    let mut said = Context::new();
    match rng.u8(..6) {
        0 => said.push(("service_tier", "flex")),
        1 => said.push(("service_tier", "priority")),
        2 => said.push(("service_tier", "default")),
        _ => {}
    }
    if rng.u8(..4) == 0 {
        said.push(("processing", "batch"));
    }
    said
}

/// Whether the line is what it should be: each side exact, and the total their sum, rounded once.
fn check(cost: Option<&Cost>, parts: Option<&Parts>) -> Result<(), String> {
    let most = num_bigint::BigInt::from(u64::MAX);
    match (cost, parts) {
        (None, None) => Ok(()),
        (None, Some(parts)) if nanos(&parts.iter().sum()) > most => Ok(()),
        (Some(cost), Some(parts)) => {
            let sides = [cost.input, cost.output, cost.fees].map(|side| number(&side.to_string()));
            let total = nanos(&parts.iter().sum());
            if sides != *parts || total != cost.total.nanos().into() {
                return Err(format!("{cost:?} instead of {parts:?}"));
            }
            Ok(())
        }
        _ => Err(format!("{cost:?} instead of {parts:?}")),
    }
}

#[test]
fn random_usages_cost_what_an_independent_oracle_says() {
    let cases =
        std::env::var("AGENT_SDK_ORACLE_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let embedded: Value = serde_json::from_str(include_str!("../prices.json")).unwrap();
    let every: Value = serde_json::from_str(EVERY_KIND).unwrap();
    let tables = [
        (Oracle { table: embedded }, PriceBook::embedded()),
        (
            Oracle { table: every },
            PriceBook::from_json(EVERY_KIND).unwrap(),
        ),
    ];
    // The ids that are names of their own models, too.
    let named: Vec<Vec<(String, String)>> = tables
        .iter()
        .map(|(_, book)| {
            let models = book.models();
            let ids = models
                .iter()
                .map(|m| (m.provider().to_owned(), m.model().to_owned()));
            ids.filter(|(provider, model)| {
                let found = book.model(provider, model);
                found.is_some_and(|found| found.provider() == provider && found.model() == model)
            })
            .collect()
        })
        .collect();
    assert!(
        named[0].len() > 600 && named[1].len() == 2,
        "{}",
        named[0].len()
    );

    let mut rng = Rng::with_seed(20_261_120);
    let (mut priced, mut sum, mut total) = (0, num_bigint::BigInt::from(0), 0_u128);
    let mut small = Usd::ZERO;
    let mut small_sum = 0_u64;
    for case in 0..cases {
        let which = case % 2;
        let (oracle, book) = &tables[which];
        let (provider, model) = rng.choice(&named[which]).unwrap();
        let (usage, time, said) = (usage(&mut rng), moment(&mut rng), context(&mut rng));
        let mut request = PriceRequest::new(provider, model, time.into());
        for (key, value) in &said {
            request = request.with_context(key, value);
        }
        let cost = book.price(&request, &usage);
        let rates = Oracle::rates(oracle.model(provider, model), time, &said);
        let parts = Oracle::bill(&rates, &usage);
        if let Err(wrong) = check(cost.as_ref(), parts.as_ref()) {
            panic!(
                "case {case}, {provider}/{model} at {time} with {said:?} for {usage:?}: {wrong}"
            );
        }
        if let (Some(cost), Some(parts)) = (cost, parts) {
            priced += 1;
            sum += nanos(&parts.iter().sum());
            total += u128::from(cost.total.nanos());
            if cost.total.nanos() < 1_000_000_000 {
                small = small.saturating_add(cost.total);
                small_sum += cost.total.nanos();
            }
        }
    }
    assert!(priced > cases / 2, "only {priced} of {cases} have a price");
    assert_eq!(sum, total.into(), "the total is the sum of its lines");
    assert_eq!(small.nanos(), small_sum);
    eprintln!("{cases} usages, {priced} of them with a price");
}
