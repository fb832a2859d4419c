//! Tables over one another, prices in code, and what becomes of unknown models.

use super::at;
use crate::cost::{
    LayerKind, ModelPrice, OutputRoom, PriceBook, PriceErrorKind, PriceRequest, PriceSource,
    PriceTable, RateKind, UnknownPrice, UsageBound, Usd,
};
use crate::model::Usage;

/// A table of a day in which `gpt-4o` of `openai` costs so much each way, per million tokens.
pub(super) fn table(date: &str, price: &str) -> PriceTable {
    let text = format!(
        r#"{{"date":"{date}","providers":[{{"id":"openai","models":[
            {{"id":"gpt-4o","match":{{"exact":"gpt-4o"}},"prices":[{{"input":"{price}","output":"{price}"}}]}}]}}]}}"#
    );
    PriceTable::from_json(&text).unwrap()
}

/// What a million tokens of input of a model cost, and where that is from.
pub(super) fn million(book: &PriceBook, provider: &str, model: &str) -> Option<(String, String)> {
    let request = PriceRequest::new(provider, model, at("2026-11-20T12:00:00Z"));
    let cost = book.price(&request, &Usage::new(1_000_000, 0))?;
    Some((cost.total.to_string(), cost.provenance().into_owned()))
}

fn of(price: &str, provenance: &str) -> (String, String) {
    (price.to_owned(), provenance.to_owned())
}

#[test]
fn the_first_layer_that_knows_a_model_prices_it() {
    let book = PriceBook::builder()
        .overrides(table("2026-01-01", "7"))
        .overrides(table("2026-01-02", "8"))
        .build()
        .unwrap();
    assert_eq!(
        million(&book, "openai", "gpt-4o"),
        Some(of("8", "override"))
    );
    assert_eq!(
        million(&book, "openai", "gpt-4.1"),
        Some(of("2", "table@2026-11-20"))
    );
    book.refresh(table("2026-12-01", "9")).unwrap();
    assert_eq!(
        million(&book, "openai", "gpt-4o"),
        Some(of("8", "override"))
    );
    assert_eq!(book.date().as_deref(), Some("2026-12-01"));

    let plain = PriceBook::embedded();
    assert_eq!(
        million(&plain, "openai", "gpt-4o"),
        Some(of("2.5", "table@2026-11-20"))
    );
    plain.refresh(table("2026-12-01", "9")).unwrap();
    assert_eq!(
        million(&plain, "openai", "gpt-4o"),
        Some(of("9", "table@2026-12-01"))
    );
    // Another book does not hear of it.
    assert_eq!(
        million(&PriceBook::embedded(), "openai", "gpt-4o"),
        Some(of("2.5", "table@2026-11-20"))
    );
    let kinds: Vec<_> = book.layers().iter().map(|layer| layer.kind).collect();
    assert_eq!(
        kinds,
        [
            LayerKind::Override,
            LayerKind::Override,
            LayerKind::Refreshed,
            LayerKind::Embedded
        ]
    );
}

#[test]
fn a_table_of_its_own_stands_alone() {
    let text = r#"{"date":"2026-11-20","providers":[]}"#;
    let book = PriceBook::from_json(text).unwrap();
    assert_eq!(million(&book, "openai", "gpt-4o"), None);
    assert_eq!(book.layers().len(), 1);
}

#[test]
fn a_price_in_code_is_over_every_table() {
    let price = ModelPrice::per_million("3", "6")
        .rate(RateKind::CacheRead, "0.3")
        .above(100, RateKind::Input, "4")
        .above(200, RateKind::Input, "5");
    let book = PriceBook::builder()
        .model("OpenAI", "GPT-4o", price)
        .model("openai", "mine", ModelPrice::per_million("1", "1"))
        .model("openai", "mine", ModelPrice::per_million("2", "2"))
        .overrides(table("2026-01-01", "7"))
        .build()
        .unwrap();
    assert_eq!(
        million(&book, "openai", "gpt-4o"),
        Some(of("5", "override"))
    );
    assert_eq!(million(&book, "openai", "mine"), Some(of("2", "override")));
    assert_eq!(
        million(&book, "openai", "gpt-4.1"),
        Some(of("2", "table@2026-11-20"))
    );
    let request = PriceRequest::new("openai", "gpt-4o", at("2026-11-20T12:00:00Z"));
    let total = |input, read| {
        let usage = Usage::new(input, 0).with_cache_read(read);
        book.price(&request, &usage).unwrap().total.nanos()
    };
    assert_eq!([total(100, 0), total(101, 0)], [300_000, 404_000]);
    assert_eq!([total(201, 0), total(100, 10)], [1_005_000, 273_000]);
}

#[test]
fn b6_a_price_in_code_that_is_none_is_refused_with_the_name_of_its_model() {
    for price in [
        "",
        "-1",
        "NaN",
        "inf",
        "1e9",
        "1,5",
        "0.0000000000000000001",
    ] {
        let build = |price| {
            PriceBook::builder()
                .model("in-house", "large", price)
                .build()
                .unwrap_err()
        };
        let error = build(ModelPrice::per_million(price, "1"));
        assert_eq!(error.kind(), PriceErrorKind::Invalid, "{price}");
        assert_eq!(error.place(), "in-house/large.input", "{price}");
        let tier = ModelPrice::per_million("1", "1").above(5, RateKind::Output, price);
        assert!(build(tier).place().starts_with("in-house/large"), "{price}");
        let assumed = UnknownPrice::Assume(ModelPrice::per_million("1", price));
        assert!(PriceBook::builder().unknown_price(assumed).build().is_err());
    }
}

#[test]
fn toml_says_the_same_as_json() {
    let book = PriceBook::builder()
        .overrides(
            PriceTable::from_toml(
                r#"
            date = "2026-11-20"
            [[providers]]
            id = "p"
            [[providers.models]]
            id = "m"
            match = { any = [{ exact = "m" }, { prefix = "m-" }] }
            [[providers.models.prices]]
            input = { base = "1", tiers = [{ above_input_tokens = 10, price = "2" }] }
            output = 3
            [[providers.models.variants]]
            when = { service_tier = "flex" }
            output = "1.5"
            "#,
            )
            .unwrap(),
        )
        .build()
        .unwrap();
    let request = PriceRequest::new("p", "m-1", at("2026-11-20T12:00:00Z"));
    let cost = book.price(&request, &Usage::new(11, 1)).unwrap();
    assert_eq!(cost.total, Usd::from_nanos(25_000));
    let flex = request.with_context("service_tier", "flex");
    assert_eq!(
        book.price(&flex, &Usage::new(0, 1)).unwrap().total,
        Usd::from_nanos(1500)
    );
}

#[test]
fn broken_toml_says_where() {
    let place = |text: &str| PriceTable::from_toml(text).unwrap_err().place().to_owned();
    assert_eq!(
        place("date = \"2026-11-20\"\n\nproviders = {{}\n"),
        "line 3"
    );
    let float = "date = \"x\"\nproviders = [{ id = \"p\", models = [{ id = \"m\", match = { exact = \"m\" }, prices = [{ input = 0.5 }] }] }]";
    assert_eq!(place(float), "providers[0].models[0].prices[0].input");
    for price in ["nan", "inf", "-1", "-inf", "\"NaN\"", "1979-05-27"] {
        let text = float.replace("0.5", price);
        let place = place(&text);
        let rate = "providers[0].models[0].prices[0].input";
        assert!(place.starts_with(rate), "{price}: {place}");
    }
}

#[test]
fn files_are_read_by_their_names_and_errors_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let json = file("prices.json", r#"{"date": "2026-11-20", "providers": []}"#);
    let toml = file("prices.toml", "date = \"2026-11-20\"\nproviders = []");
    assert_eq!(PriceTable::from_file(json).unwrap().date(), "2026-11-20");
    assert_eq!(PriceTable::from_file(toml).unwrap().date(), "2026-11-20");
    let broken = PriceTable::from_file(file("broken.json", r#"{"date": 5}"#)).unwrap_err();
    assert_eq!(
        (broken.kind(), broken.place()),
        (PriceErrorKind::Invalid, "date")
    );
    assert!(broken.to_string().contains("broken.json"), "{broken}");
    let none = PriceTable::from_file(folder.path().join("none.json")).unwrap_err();
    assert_eq!(none.kind(), PriceErrorKind::Unreadable);
    assert!(none.to_string().contains("none.json"), "{none}");
    let large = file("large.json", &" ".repeat((16 << 20) + 1));
    let large = PriceTable::from_file(large).unwrap_err();
    assert_eq!(large.kind(), PriceErrorKind::TooLarge);
    let path = folder.path().join("bytes.json");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(
        PriceTable::from_file(path).unwrap_err().kind(),
        PriceErrorKind::Invalid
    );
}

#[test]
fn b3_an_assumed_price_is_for_models_without_any_and_says_so() {
    let assume = UnknownPrice::Assume(ModelPrice::per_million("10", "20"));
    let book = PriceBook::builder().unknown_price(assume).build().unwrap();
    assert_eq!(million(&book, "home", "llama"), Some(of("10", "assumed")));
    let request = PriceRequest::new("home", "llama", at("2026-11-20T12:00:00Z"));
    let cost = book.price(&request, &Usage::new(0, 1)).unwrap();
    assert!(cost.is_assumed());
    assert_eq!(cost.source, PriceSource::Assumed);
    assert_eq!((&*cost.provider, &*cost.model), ("home", "llama"));
    let most = UsageBound::new(1, 1);
    assert_eq!(
        book.upper_bound(&request, &most),
        Some(Usd::from_nanos(30_000))
    );
    // A known model keeps its price, and where its usage cannot be billed that is unknown, not assumed.
    assert_eq!(
        million(&book, "openai", "gpt-4o"),
        Some(of("2.5", "table@2026-11-20"))
    );
    let known = PriceRequest::new("openai", "gpt-4o", at("2026-11-20T12:00:00Z"));
    let usage = Usage::new(10, 0).with_cache_read(11);
    assert_eq!(book.price(&known, &usage), None);
}

#[test]
fn b3_what_becomes_of_unknown_prices_is_told_to_whoever_admits_requests() {
    assert!(PriceBook::embedded().unknown_price().is_none());
    let deny = PriceBook::builder()
        .unknown_price(UnknownPrice::Deny)
        .build()
        .unwrap();
    assert!(matches!(deny.unknown_price(), Some(UnknownPrice::Deny)));
    let request = PriceRequest::new("home", "llama", at("2026-11-20T12:00:00Z"));
    let most = UsageBound::new(1, 1);
    assert_eq!(
        deny.output_within(&request, &most, Usd::MAX),
        OutputRoom::Unpriced
    );
}

#[test]
fn what_is_listed_says_which_layer_and_what_it_costs() {
    let book = PriceBook::builder()
        .overrides(table("2026-01-01", "7"))
        .build()
        .unwrap();
    assert_eq!(book.models().len(), 875);
    let ours = book.model("OPENAI", "gpt-4o").unwrap();
    assert_eq!((ours.provider(), ours.model()), ("openai", "gpt-4o"));
    assert_eq!(ours.provenance(), "override");
    let input = ours.prices()[0].rate(RateKind::Input).unwrap().clone();
    assert_eq!(input.base, "7");
    let theirs = book.model("google", "gemini-2.5-pro").unwrap();
    let now = theirs.at(at("2026-11-20T12:00:00Z")).unwrap();
    let input = now.rate(RateKind::Input).unwrap();
    assert_eq!((&*input.base, input.tiers.len()), ("1.25", 1));
    assert_eq!(theirs.provenance(), "table@2026-11-20");
}

#[test]
fn a_table_that_is_written_and_read_again_is_the_same() {
    let embedded = PriceTable::from_json(include_str!("../prices.json")).unwrap();
    let written = embedded.to_json();
    let again = PriceTable::from_json(&written).unwrap();
    assert_eq!(again.to_json(), written);
    let (before, after) = (embedded.models(), again.models());
    assert_eq!(before.len(), 875);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.model(), after.model());
        assert_eq!(before.prices(), after.prices());
        assert_eq!(before.variants(), after.variants());
    }
}
