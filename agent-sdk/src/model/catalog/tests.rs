use super::*;
use crate::model::ModelErrorKind;

fn with(name: &str, variables: &'static [(&str, &str)]) -> Result<ModelHandle, String> {
    let named = Catalog::embedded().named(name);
    let named = named.map_err(|error| error.message().to_owned())?;
    let built = named.variables(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    built.build().map_err(|error| {
        assert_eq!(error.kind(), ModelErrorKind::Configuration);
        error.message().to_owned()
    })
}

#[test]
fn the_embedded_presets_are_read_and_each_can_be_built() {
    let presets: Vec<Preset> = serde_json::from_str(include_str!("presets.json")).unwrap();
    assert_eq!(presets.len(), Catalog::embedded().presets().len());
    let can_be_built = |preset: &&Preset| cfg!(feature = "bedrock") || preset.name != "bedrock";
    for preset in presets.iter().filter(can_be_built) {
        let named = Catalog::embedded()
            .named(&format!("{}:some-model:7b", preset.name))
            .unwrap();
        let model = named.variables(|name| match name {
            // A key or a place for whatever asks for one, but no other address.
            name if name.contains("_URL") || name == "OLLAMA_HOST" => None,
            name if name.ends_with("ENDPOINT") => Some("https://place.example/".to_owned()),
            _ => Some("word".to_owned()),
        });
        let model = model.build().unwrap();
        assert_eq!(&*model.info().provider, preset.provider);
        assert_eq!(&*model.info().model, "some-model:7b");
        assert!(model.info().server_port.is_some(), "{}", preset.name);
    }
}

#[test]
fn a_missing_key_names_its_variable_and_a_key_goes_to_its_own_provider() {
    for preset in Catalog::embedded().presets() {
        let name = format!("{}:m", preset.name);
        let places = &[
            ("AZURE_OPENAI_ENDPOINT", "https://x.example"),
            ("GOOGLE_CLOUD_PROJECT", "p"),
            ("GOOGLE_CLOUD_LOCATION", "global"),
        ];
        let built = with(&name, places);
        if preset.key_optional {
            // Bedrock signs its requests, and needs what it signs with.
            assert!(built.is_ok() || preset.name == "bedrock", "{built:?}");
            continue;
        }
        let message = built.unwrap_err();
        for variable in &preset.key_variables {
            assert!(message.contains(variable.as_str()), "{message}");
        }
    }
    let foreign = with("groq:m", &[("OPENAI_API_KEY", "secret")]).unwrap_err();
    assert!(foreign.contains("GROQ_API_KEY is not set"), "{foreign}");
    assert!(!foreign.contains("secret"));
}

#[test]
fn ollama_s_address_is_read_as_the_server_reads_it() {
    let model = with("ollama:qwen3:8b", &[("OLLAMA_HOST", "0.0.0.0:1234")]).unwrap();
    let info = model.info();
    assert_eq!(info.server_address.as_deref(), Some("127.0.0.1"));
    assert_eq!((&*info.model, info.server_port), ("qwen3:8b", Some(1234)));
}

#[test]
fn an_address_comes_from_its_variable_and_may_need_others() {
    let here = with("openai:m", &[("OPENAI_BASE_URL", "http://localhost:1/v1")]).unwrap();
    assert_eq!(here.info().server_port, Some(1));
    let azure = [
        ("AZURE_OPENAI_ENDPOINT", "https://place.example/"),
        ("AZURE_OPENAI_API_KEY", "k"),
    ];
    let azure = with("azure:gpt-5", Box::leak(Box::new(azure))).unwrap();
    assert_eq!(
        azure.info().server_address.as_deref(),
        Some("place.example")
    );
    let nowhere = with("azure:gpt-5", &[("AZURE_OPENAI_API_KEY", "k")]).unwrap_err();
    assert!(
        nowhere.contains("AZURE_OPENAI_ENDPOINT is not set"),
        "{nowhere}"
    );
}

#[test]
fn a_preset_may_speak_the_responses_api() {
    let model = with("openai-responses:gpt-5", &[("OPENAI_API_KEY", "k")]).unwrap();
    let info = model.info();
    assert_eq!((&*info.provider, &*info.model), ("openai", "gpt-5"));
}

#[test]
fn a_name_without_a_known_provider_says_what_to_write() {
    for (name, said) in [
        ("gpt-5", "`provider:model`"),
        ("openai:", "`provider:model`"),
        (":m", "`provider:model`"),
        ("qwen3:8b", "openai, "),
    ] {
        let message = with(name, &[]).unwrap_err();
        assert!(message.contains(said), "{name}: {message}");
    }
}

#[test]
fn presets_of_the_user_s_replace_those_of_the_same_name() {
    let mine = r#"[{"name": "groq", "api": "openai.chat", "provider": "groq", "base_url": "http://localhost:9"}]"#;
    let catalog = Catalog::embedded().with_json(mine).unwrap();
    assert_eq!(catalog.presets().len(), Catalog::embedded().presets().len());
    assert_eq!(
        catalog.preset("groq").unwrap().base_url,
        "http://localhost:9"
    );
    let wrong = Catalog::embedded()
        .with_json(r#"[{"nam": "x"}]"#)
        .unwrap_err();
    assert!(wrong.message().contains("line 1"), "{wrong}");
}

#[test]
fn the_price_table_knows_the_providers_by_the_names_that_are_recorded() {
    use crate::{
        cost::{PriceBook, PriceRequest},
        model::Usage,
    };
    for (provider, model) in [
        ("openai", "gpt-4o-mini"),
        ("openai-responses", "gpt-5"),
        ("azure", "gpt-4o-mini"),
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
        ("xai", "grok-3"),
        ("openrouter", "anthropic/claude-3-haiku"),
        ("together", "Qwen/Qwen3.5-9B"),
        ("fireworks", "accounts/fireworks/models/deepseek-v3p2"),
        ("cerebras", "gpt-oss-120b"),
        ("perplexity", "sonar"),
        ("moonshot", "kimi-k2"),
        ("github", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-flash"),
        ("vertex", "gemini-2.5-flash"),
    ] {
        let catalog = Catalog::embedded();
        let preset = catalog.preset(provider).unwrap();
        let request = PriceRequest::new(&preset.provider, model, std::time::SystemTime::UNIX_EPOCH);
        let cost = PriceBook::embedded().price(&request, &Usage::new(10, 10));
        assert!(cost.is_some(), "{provider}: {model}");
    }
}

#[test]
fn bedrock_signs_where_it_has_no_key_and_says_where_it_is_not_built_in() {
    let catalog = Catalog::embedded();
    let named = || catalog.named("bedrock:amazon.nova-lite-v1:0").unwrap();
    let model = named().variables(|name| (!name.contains("_URL")).then(|| "word".to_owned()));
    let region = named().variables(|name| (name == "AWS_REGION").then(|| "r".to_owned()));
    let failure = region.build().unwrap_err();
    if cfg!(feature = "bedrock") {
        let address = model.build().unwrap().info().server_address.clone();
        assert_eq!(
            address.as_deref(),
            Some("bedrock-runtime.word.amazonaws.com")
        );
        assert!(failure.message().contains("AWS_ACCESS_KEY_ID"), "{failure}");
    } else {
        assert!(failure.message().contains("feature `bedrock`"), "{failure}");
    }
}
