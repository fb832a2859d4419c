//! Prices of one's own: for a model in the house, for a discount, and for models that nobody has a price for.
//!
//! A book is a stack of tables, of which the first that knows a model prices it. Each cost says where its price is from.

use agent_sdk::{
    agent::Agent,
    cost::{ModelPrice, PriceBook, PriceErrorKind, PriceTable, RateKind, UnknownPrice},
    model::Usage,
    testing::{ScriptedModel, Turn},
};

/// As it would stand in the file that `AGENT_SDK_PRICES` names: what was agreed with a provider.
const AGREED: &str = r#"
date = "2026-11-01"

[[providers]]
id = "openai"

[[providers.models]]
id = "gpt-4o"
match.prefix = "gpt-4o"
prices = [{ input = "2", cache_read = "1", output = "8" }]
"#;

/// Asks a model that stands for one of that name, and says what it cost.
async fn ask(book: &PriceBook, provider: &str, model: &str) -> anyhow::Result<()> {
    let answer = Turn::from("(scripted) Yes.").usage(Usage::new(10_000, 1_000));
    let scripted = ScriptedModel::new([answer]).named(provider, model);
    let agent = Agent::builder("clerk", scripted)
        .prices(book.clone())
        .build()?;
    let report = agent.run("Is it so?").await?;
    let from = book.model(provider, model).map(|known| known.provenance());
    println!(
        "{provider}/{model}: {} USD, {}",
        report.cost,
        from.as_deref().unwrap_or("assumed")
    );
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Dearer in a long context, as many models are.
    let ours = ModelPrice::per_million("0.4", "1.6")
        .rate(RateKind::CacheRead, "0.04")
        .above(128_000, RateKind::Input, "0.8");
    let book = PriceBook::builder()
        .overrides(PriceTable::from_toml(AGREED)?)
        .model("in-house", "large", ours)
        .unknown_price(UnknownPrice::Assume(ModelPrice::per_million("10", "30")))
        .build()?;
    ask(&book, "in-house", "large").await?;
    ask(&book, "openai", "gpt-4o").await?;
    ask(&book, "anthropic", "claude-sonnet-4-5").await?;
    ask(&book, "somebody", "brand-new").await?;

    // A newer table, here from a text: `PriceTable::from_file` and `PriceTable::fetch` read others.
    let newer = r#"{"date": "2099-01-01", "providers": [{"id": "somebody", "models": [
        {"id": "brand-new", "match": {"exact": "brand-new"}, "prices": [{"input": "1", "output": "2"}]}]}]}"#;
    book.refresh(PriceTable::from_json(newer)?)?;
    ask(&book, "somebody", "brand-new").await?;

    // What is older, or no table, changes nothing.
    let older = PriceTable::from_json(r#"{"date": "2020-01-01", "providers": []}"#)?;
    if let Err(error) = book.refresh(older)
        && error.kind() == PriceErrorKind::Older
    {
        println!("{error}");
    }
    Ok(())
}
