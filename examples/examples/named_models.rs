//! Models by name, `provider:model`: what a catalogue knows, what a name leads to, and what is said where it leads nowhere.
//!
//! Nothing is asked here, and no variable is read: the keys are looked up in a function in place of the environment. By default
//! `"anthropic:claude-sonnet-4-5".parse::<ModelHandle>()`, or the name alone given to `Agent::builder`, looks in the environment.

use agent_sdk::model::{Catalog, ModelError, ModelHandle};

/// The variables of this example.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "OPENAI_API_KEY" | "ACME_API_KEY" => "secret",
        "AZURE_OPENAI_API_KEY" => "another secret",
        _ => return None,
    };
    Some(value.to_owned())
}

fn tell(name: &str, model: Result<ModelHandle, ModelError>) {
    match model {
        Ok(model) => {
            let info = model.info();
            let server = info.server_address.as_deref().unwrap_or("no server");
            println!(
                "{name}\n  is {} of {}, at {server}",
                info.model, info.provider
            );
        }
        Err(error) => println!("{name}\n  {error}"),
    }
}

fn main() -> Result<(), ModelError> {
    // Providers of your own are data too.
    let catalog = Catalog::embedded().with_json(
        r#"[{"name": "acme", "api": "openai.chat", "provider": "acme", "base_url": "https://llm.acme.example/v1",
             "key_variables": ["ACME_API_KEY"], "quirks": ["max_tokens"]}]"#,
    )?;
    let names: Vec<_> = catalog
        .presets()
        .iter()
        .map(|preset| &*preset.name)
        .collect();
    println!("{} providers: {}.\n", names.len(), names.join(", "));

    let build = |name: &str| catalog.named(name)?.variables(variable).build();
    for name in [
        "openai:gpt-5-mini",
        "openai-responses:gpt-5-mini",
        "acme:acme-large",
        "ollama:qwen3:8b",
        // No key for this one, and no address for the next.
        "anthropic:claude-sonnet-4-5",
        "azure:our-deployment",
        "no-such-provider:x",
        "gpt-5-mini",
    ] {
        tell(name, build(name));
    }

    // A server that speaks the Chat Completions API needs no preset, only an address; on this machine it needs no key.
    let local = catalog.named_at("mine:tiny", "http://localhost:9000/v1")?;
    tell(
        "mine:tiny at http://localhost:9000/v1",
        local.variables(variable).build(),
    );

    let claude = catalog
        .named("anthropic:claude-sonnet-4-5")?
        .variables(variable);
    println!(
        "\nIs there a key for Claude? {}",
        if claude.has_key() { "Yes." } else { "No." }
    );
    Ok(())
}
