//! `agent prices list`.

use std::time::SystemTime;

use agent_sdk::{
    cost::{ModelPrices, PriceEntry, RateKind},
    operation::{Clock, SystemClock},
    text::escape_json,
};
use serde_json::{Value, json};

use crate::{
    args::ListPricesArguments,
    columns::{Align, Columns},
    exit::Failure,
    output::Output,
    screen,
    terminal::safe_line,
};

pub(super) fn run(arguments: &ListPricesArguments, output: &mut Output) -> Result<(), Failure> {
    let mut models = super::book()?.models();
    let provider = arguments.provider.as_deref().map(str::to_lowercase);
    let search = arguments.search.as_deref().map(str::to_lowercase);
    models.retain(|model| {
        let is_of = |name: &String| model.provider() == name;
        let has = |text: &String| model.model().to_lowercase().contains(&**text);
        provider.as_ref().is_none_or(is_of) && search.as_ref().is_none_or(has)
    });
    let now = SystemClock::default().now();
    if arguments.json {
        for model in &models {
            output.line(escape_json(&json(model, now).to_string()))?;
        }
        return Ok(());
    }
    if models.is_empty() {
        output.note("no such models; `agent prices list` lists all");
        return Ok(());
    }
    let mut table = Columns::new([
        ("provider", Align::Left),
        ("model", Align::Left),
        ("input", Align::Right),
        ("cache read", Align::Right),
        ("output", Align::Right),
        ("from", Align::Left),
    ]);
    for model in &models {
        let entry = model.at(now);
        let rate = |kind| rate(entry.as_ref(), kind);
        table.row([
            safe_line(model.provider()).into_owned(),
            safe_line(model.model()).into_owned(),
            rate(RateKind::Input),
            rate(RateKind::CacheRead),
            rate(RateKind::Output),
            safe_line(&model.provenance()).into_owned(),
        ]);
    }
    output.write(table.draw(output.out_style, screen::width(), |_| None))
}

/// A rate, with a mark where it depends on the size of the input.
fn rate(entry: Option<&PriceEntry>, kind: RateKind) -> String {
    let Some(rate) = entry.and_then(|entry| entry.rate(kind)) else {
        return String::new();
    };
    let mark = if rate.tiers.is_empty() { "" } else { "+" };
    format!("{}{mark}", rate.base)
}

fn json(model: &ModelPrices, now: SystemTime) -> Value {
    json!({
        "provider": model.provider(),
        "model": model.model(),
        "from": model.provenance(),
        "layer": model.layer().kind.as_str(),
        "price": model.at(now),
    })
}
