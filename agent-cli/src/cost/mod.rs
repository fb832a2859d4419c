//! `agent cost`: what a usage costs and which price that is; [`report`] says what was spent.

mod report;
mod usage;

use std::time::SystemTime;

use agent_sdk::{
    cost::{Cost, ExactUsd, LayerKind, PriceBook, PriceRequest, PriceSource},
    model::Usage,
    operation::Clock,
};
use serde::Serialize;

use crate::{
    args::{CostArguments, CostCommand, UsageCostArguments},
    exit::{Exit, Failure},
    output::Output,
    prices,
    terminal::{Paint, safe_line},
};

/// Does what `agent cost` says.
///
/// # Errors
///
/// The usage or the context cannot be understood, or the store not be read. A price that nobody knows is no error.
pub(crate) fn run(
    arguments: &CostArguments,
    clock: &dyn Clock,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match (&arguments.what, &arguments.usage) {
        (Some(CostCommand::Report(arguments)), _) => report::run(arguments, clock, output),
        (None, Some(arguments)) => of_usage(arguments, clock, output),
        // The command line asks for one of them.
        (None, None) => Err(Failure::usage("no usage is given")),
    }
}

fn of_usage(
    arguments: &UsageCostArguments,
    clock: &dyn Clock,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let usage = usage::parse(&arguments.usage)?;
    let at = arguments.at.map_or_else(|| clock.now(), SystemTime::from);
    let book = prices::book()?;
    let mut request = PriceRequest::new(&arguments.provider, &arguments.model, at);
    for (number, pair) in arguments.context.iter().enumerate() {
        if arguments
            .context
            .iter()
            .take(number)
            .any(|earlier| earlier.key == pair.key)
        {
            return Err(
                Failure::usage(format!("`--context {}` is given twice", pair.key))
                    .advice("Give each key once."),
            );
        }
        request = request.with_context(&pair.key, &pair.value);
    }
    let cost = book.price(&request, &usage);
    let answer = Answer {
        arguments,
        usage,
        at,
        reason: reason(&book, &request, &usage, cost.as_ref()),
        is_refreshed: book
            .model(&arguments.provider, &arguments.model)
            .is_some_and(|model| model.layer().kind == LayerKind::Refreshed),
        cost,
        date: book.date().unwrap_or_default(),
    };
    if arguments.json {
        answer.json(output)?;
    } else {
        answer.text(output)?;
    }
    Ok(Exit::Ok)
}

/// Why there is no price.
fn reason(
    book: &PriceBook,
    request: &PriceRequest<'_>,
    usage: &Usage,
    cost: Option<&Cost>,
) -> Option<&'static str> {
    if cost.is_some() {
        return None;
    }
    let nothing = Usage::new(0, 0);
    Some(if book.price(request, &nothing).is_none() {
        "no model match"
    } else if usage.is_unknown() {
        "usage unknown"
    } else {
        "no price for this usage"
    })
}

/// All that there is to say.
struct Answer<'a> {
    arguments: &'a UsageCostArguments,
    usage: Usage,
    at: SystemTime,
    cost: Option<Cost>,
    reason: Option<&'static str>,
    /// The day of the table.
    date: String,
    /// Whether the model stands in the table that `agent prices refresh` wrote.
    is_refreshed: bool,
}

/// The JSON form. Amounts are strings, because they are exact.
#[derive(Serialize)]
struct Json<'a> {
    status: &'static str,
    total_usd: Option<String>,
    input_usd: Option<String>,
    output_usd: Option<String>,
    fees_usd: Option<String>,
    provider: &'a str,
    model: &'a str,
    matched_provider: Option<&'a str>,
    matched_model: Option<&'a str>,
    price_source: &'static str,
    price_date: Option<&'a str>,
    at: String,
    usage: &'a Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Answer<'_> {
    fn json(&self, output: &mut Output) -> Result<(), Failure> {
        let cost = self.cost.as_ref();
        let json = Json {
            status: if cost.is_some() { "priced" } else { "unpriced" },
            total_usd: cost.map(|cost| cost.total.to_string()),
            input_usd: cost.map(|cost| cost.input.to_string()),
            output_usd: cost.map(|cost| cost.output.to_string()),
            fees_usd: cost.map(|cost| cost.fees.to_string()),
            provider: &self.arguments.provider,
            model: &self.arguments.model,
            matched_provider: cost.map(|cost| &*cost.provider),
            matched_model: cost.map(|cost| &*cost.model),
            price_source: cost
                .map_or(PriceSource::Unknown, |cost| cost.source)
                .as_str(),
            price_date: cost.and_then(|cost| cost.snapshot.as_deref()),
            at: self.moment(),
            usage: &self.usage,
            reason: self.reason,
        };
        let json = serde_json::to_string(&json).map_err(|error| {
            Failure::new(Exit::Failed, format!("the answer is no JSON: {error}"))
        })?;
        output.line(json)
    }

    fn text(&self, output: &mut Output) -> Result<(), Failure> {
        let (provider, model) = (&self.arguments.provider, &self.arguments.model);
        let asked = format!("{} of {}", safe_line(model), safe_line(provider));
        let Some(cost) = &self.cost else {
            return self.unpriced(&asked, output);
        };
        let total = format!("${}", cost.total);
        let total = output.out_style.paint(Paint::Strong, &total);
        output.line(format_args!("{asked} at {}: {total}", self.moment()))?;
        let mut lines = vec![
            (
                "input",
                cost.input,
                tokens(self.usage.input_tokens, &self.input_parts()),
            ),
            (
                "output",
                cost.output,
                tokens(self.usage.output_tokens, &self.output_parts()),
            ),
        ];
        if cost.fees != ExactUsd::ZERO {
            lines.push(("fees", cost.fees, "for the request itself".to_owned()));
        }
        let amounts: Vec<_> = lines
            .iter()
            .map(|(_, amount, _)| format!("${amount}"))
            .collect();
        let width = amounts.iter().map(String::len).max().unwrap_or(0);
        for ((part, _, explained), amount) in lines.iter().zip(&amounts) {
            output.line(format_args!("  {part:<7} {amount:<width$}  {explained}"))?;
        }
        let table = match (cost.source, cost.snapshot.as_deref()) {
            (PriceSource::Provider, _) => "as the provider stated".to_owned(),
            (PriceSource::Override, date) => {
                format!("your own table of {}", date.unwrap_or("an unknown day"))
            }
            (_, date) => format!(
                "the {} table of {}",
                if self.is_refreshed {
                    "refreshed"
                } else {
                    "built-in"
                },
                date.unwrap_or("an unknown day")
            ),
        };
        let (provider, model) = (safe_line(&cost.provider), safe_line(&cost.model));
        output.line(format_args!("  price   {model} of {provider}, {table}"))
    }

    fn unpriced(&self, asked: &str, output: &mut Output) -> Result<(), Failure> {
        let why = match self.reason {
            Some("no price for this usage") => {
                "the model has a price, but not for this usage: a count is missing, or a part is larger than its whole"
            }
            Some("usage unknown") => "the usage says nothing",
            _ => "no price table has such a model, or a price for it",
        };
        output.line(format_args!("{asked} at {}: unknown", self.moment()))?;
        output.line(format_args!("  {why} (table of {})", self.date))
    }

    fn moment(&self) -> String {
        jiff::Timestamp::try_from(self.at)
            .map_or_else(|_| "an unknown time".to_owned(), |at| format!("{at:.0}"))
    }

    fn input_parts(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("read from cache", self.usage.cache_read_tokens),
            ("written to cache", self.usage.cache_write_tokens),
            ("of those for an hour", self.usage.cache_write_1h_tokens),
            ("audio", self.usage.input_audio_tokens),
        ]
    }

    fn output_parts(&self) -> [(&'static str, Option<u64>); 2] {
        [
            ("reasoning", self.usage.reasoning_tokens),
            ("audio", self.usage.output_audio_tokens),
        ]
    }
}

/// `4,096 tokens (3,072 read from cache)`.
fn tokens(all: Option<u64>, parts: &[(&str, Option<u64>)]) -> String {
    let all = match all {
        None => "tokens not given".to_owned(),
        Some(1) => "1 token".to_owned(),
        Some(count) => format!("{} tokens", crate::text::count(count)),
    };
    let parts: Vec<_> = parts
        .iter()
        .filter_map(|(name, count)| {
            let count = count.filter(|count| *count > 0)?;
            Some(format!("{} {name}", crate::text::count(count)))
        })
        .collect();
    if parts.is_empty() {
        all
    } else {
        format!("{all} ({})", parts.join(", "))
    }
}
