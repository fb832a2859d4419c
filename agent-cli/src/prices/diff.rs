//! `agent prices diff`: what another price table would change.

use std::collections::BTreeMap;

use agent_sdk::{
    cost::{ModelPrices, PriceBook, PriceEntry, PriceTable},
    text::escape_json,
};
use serde::Serialize;

use super::{condition, failure, name};
use crate::{
    args::DiffPricesArguments,
    exit::{Exit, Failure},
    output::Output,
    terminal::safe_line,
    text::counted,
};

/// What one table has and another has not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Differences {
    /// Models that only the new one has.
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<Changed>,
    /// Models that only the old one has.
    pub(super) removed: Vec<String>,
}

/// A model with other prices.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Changed {
    pub(super) model: String,
    pub(super) rates: Vec<ChangedRate>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ChangedRate {
    rate: String,
    old: Option<String>,
    new: Option<String>,
}

pub(super) fn run(arguments: &DiffPricesArguments, output: &mut Output) -> Result<(), Failure> {
    let new = match &arguments.file {
        Some(file) => PriceTable::from_file(file)
            .map_err(|error| failure(&error))?
            .models(),
        None => PriceBook::embedded().models(),
    };
    let differences = Differences::new(&super::book()?.models(), &new);
    if arguments.json {
        let json = serde_json::to_string(&differences).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("the differences are no JSON: {error}"),
            )
        })?;
        return output.line(escape_json(&json));
    }
    for model in &differences.added {
        output.line(format_args!("+ {}", safe_line(model)))?;
    }
    for Changed { model, rates } in &differences.changed {
        output.line(format_args!("~ {}", safe_line(model)))?;
        for ChangedRate { rate, old, new } in rates {
            let price = |price: &Option<String>| price.clone().unwrap_or_else(|| "none".to_owned());
            output.line(format_args!(
                "    {}: {} -> {}",
                safe_line(rate),
                price(old),
                price(new)
            ))?;
        }
    }
    if arguments.all {
        for model in &differences.removed {
            output.line(format_args!("- {}", safe_line(model)))?;
        }
    }
    output.line(differences.summary())
}

impl Differences {
    pub(super) fn new(old: &[ModelPrices], new: &[ModelPrices]) -> Self {
        let by_name = |models: &[ModelPrices]| -> BTreeMap<String, BTreeMap<String, String>> {
            let mut named = BTreeMap::new();
            for model in models {
                // Of several with one id the first is the one that is found first.
                named
                    .entry(format!("{}/{}", model.provider(), model.model()))
                    .or_insert_with(|| rates(model));
            }
            named
        };
        let (old, new) = (by_name(old), by_name(new));
        let mut differences = Self::default();
        for (model, rates) in &new {
            match old.get(model) {
                None => differences.added.push(model.clone()),
                Some(before) if before != rates => differences.changed.push(Changed {
                    model: model.clone(),
                    rates: changed(before, rates),
                }),
                Some(_) => {}
            }
        }
        differences.removed = old
            .into_keys()
            .filter(|model| !new.contains_key(model))
            .collect();
        differences
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} added, {} changed; {} not in it, which keep their prices",
            counted(self.added.len() as u64, "model"),
            self.changed.len(),
            self.removed.len()
        )
    }
}

fn changed(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<ChangedRate> {
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| ChangedRate {
            rate: name.clone(),
            old: old.get(name).cloned(),
            new: new.get(name).cloned(),
        })
        .collect()
}

/// Every rate of a model, by what it is for and when it holds.
fn rates(model: &ModelPrices) -> BTreeMap<String, String> {
    let mut rates = BTreeMap::new();
    for entry in model.prices().iter().chain(&model.variants()) {
        for (key, price) in entry_rates(entry) {
            rates.insert(key, price);
        }
    }
    rates
}

fn entry_rates(entry: &PriceEntry) -> Vec<(String, String)> {
    let condition = match condition(entry) {
        condition if condition.is_empty() => condition,
        condition => format!(" ({condition})"),
    };
    let mut rates = Vec::new();
    for rate in &entry.rates {
        let name = name(rate);
        rates.push((format!("{name}{condition}"), rate.base.clone()));
        for tier in &rate.tiers {
            let above = tier.above_input_tokens;
            rates.push((
                format!("{name} above {above}{condition}"),
                tier.price.clone(),
            ));
        }
    }
    rates
}
