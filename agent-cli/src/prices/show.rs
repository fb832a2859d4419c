//! `agent prices show`.

use std::time::SystemTime;

use agent_sdk::{
    cost::{ModelPrices, PriceEntry},
    operation::{Clock, SystemClock},
    text::escape_json,
};
use serde_json::json;

use super::{condition, name};
use crate::{
    args::ShowPricesArguments,
    exit::Failure,
    output::Output,
    terminal::{Paint, safe_line},
};

pub(super) fn run(arguments: &ShowPricesArguments, output: &mut Output) -> Result<(), Failure> {
    let Some((provider, name)) = arguments.model.split_once('/') else {
        return Err(
            Failure::usage(format!("`{}` names no provider", arguments.model))
                .advice("Write PROVIDER/MODEL, such as `openai/gpt-5-mini`."),
        );
    };
    let Some(model) = super::book()?.model(provider, name) else {
        return Err(
            Failure::usage(format!("no price table knows {name} of {provider}")).advice(
                "`agent prices list --search TEXT` shows the models whose names have a text in them.",
            ),
        );
    };
    let at = arguments
        .at
        .map_or_else(|| SystemClock::default().now(), SystemTime::from);
    if arguments.json {
        let json = json!({
            "provider": model.provider(),
            "model": model.model(),
            "from": model.provenance(),
            "layer": model.layer().kind.as_str(),
            "holds": model.at(at),
            "prices": model.prices(),
            "variants": model.variants(),
        });
        return output.line(escape_json(&json.to_string()));
    }
    let style = output.out_style;
    let title = format!(
        "{}/{}",
        safe_line(model.provider()),
        safe_line(model.model())
    );
    output.line(format_args!(
        "{}  from {} ({})",
        style.paint(Paint::Strong, &title),
        safe_line(&model.provenance()),
        model.layer().kind.as_str()
    ))?;
    output.line("US dollars per million tokens; fees per thousand.")?;
    entries(&model, at, output)
}

fn entries(model: &ModelPrices, at: SystemTime, output: &mut Output) -> Result<(), Failure> {
    let held = model.at(at);
    for entry in model.prices() {
        let mark = if held.as_ref() == Some(&entry) {
            ", in use"
        } else {
            ""
        };
        let condition = condition(&entry);
        let condition = match &*condition {
            "" => "always",
            condition => condition,
        };
        write(&format!("{condition}{mark}"), &entry, output)?;
    }
    for entry in model.variants() {
        write(&format!("where {}", condition(&entry)), &entry, output)?;
    }
    Ok(())
}

fn write(title: &str, entry: &PriceEntry, output: &mut Output) -> Result<(), Failure> {
    output.line(format_args!("\n{}:", safe_line(title)))?;
    if entry.rates.is_empty() {
        let same = if entry.when.is_empty() {
            "unknown"
        } else {
            "as usual"
        };
        return output.line(format_args!("  {same}"));
    }
    for rate in &entry.rates {
        output.line(format_args!("  {:<18}  {}", name(rate), rate.base))?;
        for tier in &rate.tiers {
            let above = format!("above {} tokens", tier.above_input_tokens);
            output.line(format_args!("    {above:<16}  {}", tier.price))?;
        }
    }
    Ok(())
}
