//! Which model is asked, where, and with which key.
//!
//! A key belongs to the provider that gave it: `OPENAI_API_KEY` goes to a provider called `openai` and to nobody else.

use agent_sdk::model::{ModelHandle, is_loopback, provider::OpenAi};

use crate::{args::ModelName, exit::Failure};

/// A model that can be asked.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The model.
    pub(crate) model: ModelHandle,
    /// The variable that holds its key, or would.
    pub(crate) key: String,
    /// What to warn of.
    pub(crate) warning: Option<String>,
}

/// Chooses a model by the arguments and the variables.
///
/// # Errors
///
/// No model, no key, a provider whose address is not known, or an address that is none.
pub(crate) fn choose(
    model: Option<&ModelName>,
    base_url: Option<&str>,
    streaming: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Chosen, Failure> {
    let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let ModelName { provider, name } = match model {
        Some(model) => model.clone(),
        None => by_variable(variable("AGENT_MODEL"))?,
    };
    let is_openai = provider == "openai";
    let (place, base_url) = match base_url {
        Some(url) => ("`--base-url`", Some(url.to_owned())),
        None if is_openai => ("OPENAI_BASE_URL", variable("OPENAI_BASE_URL")),
        None => {
            return Err(Failure::usage(format!(
                "the address of the provider `{provider}` is not known; only `openai` needs none"
            ))
            .advice("Pass `--base-url URL` of its OpenAI-compatible API."));
        }
    };
    let key = key_variable(&provider);
    let builder = || {
        let builder = OpenAi::builder(name.clone())
            .provider(provider.clone())
            .streaming(streaming);
        match &base_url {
            Some(url) => builder.base_url(url),
            None => builder,
        }
    };
    let secret = variable(&key);
    let built = match (&secret, &base_url) {
        (Some(secret), _) => builder().api_key(secret.clone()).build(),
        (None, Some(_)) => builder().without_key().build(),
        (None, None) => return Err(no_key(&key, &provider)),
    };
    let model: ModelHandle = built
        .map_err(|error| Failure::usage(format!("{place}: {}", error.message())))?
        .into();
    let is_here = is_loopback(model.info().server_address.as_deref().unwrap_or(""));
    if secret.is_none() && !is_here {
        return Err(no_key(&key, &provider));
    }
    let is_plain = base_url.is_some_and(|url| url.trim_start().starts_with("http:"));
    let warning = (secret.is_some() && is_plain && !is_here)
        .then(|| format!("warning: {place} is not https, so others on the way can read the key."));
    Ok(Chosen {
        model,
        key,
        warning,
    })
}

fn by_variable(variable: Option<String>) -> Result<ModelName, Failure> {
    let Some(text) = variable else {
        return Err(Failure::usage("no model is named").advice(
            "Pass `--model PROVIDER:NAME` or set AGENT_MODEL, for example to `openai:gpt-5-mini`. \
             `agent demo` needs no model.",
        ));
    };
    text.parse()
        .map_err(|error| Failure::usage(format!("AGENT_MODEL is `{text}`: {error}")))
}

fn no_key(key: &str, provider: &str) -> Failure {
    Failure::usage(format!(
        "no key for the provider `{provider}`: {key} is not set"
    ))
    .advice(format!(
        "Set {key}. Only a server on this machine (`--base-url http://localhost:PORT/v1`) may need none."
    ))
}

/// The variable that holds a provider's key: `OPENAI_API_KEY` for `openai`.
fn key_variable(provider: &str) -> String {
    let name = provider.chars().map(|c| match c.to_ascii_uppercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '_',
    });
    name.chain("_API_KEY".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-canary-0123456789abcdef");

    fn choice(
        model: &str,
        base_url: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Chosen, String> {
        let model = (!model.is_empty()).then(|| model.parse().unwrap());
        choose(model.as_ref(), base_url, true, |name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        })
        .map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_key_goes_to_its_own_provider_only() {
        let foreign = choice("acme:m", Some("https://acme.example/v1"), &[KEY]).unwrap_err();
        assert!(foreign.contains("ACME_API_KEY is not set"), "{foreign}");
        assert!(!foreign.contains("canary"), "{foreign}");
        let own = [("ACME_AI_API_KEY", "secret")];
        let chosen = choice("acme.ai:m", Some("https://acme.example/v1"), &own).unwrap();
        assert_eq!(&*chosen.model.info().provider, "acme.ai");
        assert_eq!(chosen.key, "ACME_AI_API_KEY");
        assert_eq!(chosen.warning, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (model, base_url, variables, said) in [
            ("", None, &[][..], "AGENT_MODEL"),
            ("", None, &[("AGENT_MODEL", "gpt")], "AGENT_MODEL is `gpt`"),
            ("openai:gpt-5-mini", None, &[], "OPENAI_API_KEY is not set"),
            ("openai:m", None, &[("OPENAI_API_KEY", " ")], "is not set"),
            ("openai:m", Some("https://x.example"), &[], "OPENAI_API_KEY"),
            ("acme:m", None, &[KEY], "`--base-url URL`"),
            ("openai:m", Some("nowhere"), &[KEY], "`--base-url`: "),
            (
                "openai:m",
                None,
                &[KEY, ("OPENAI_BASE_URL", "ftp://x")],
                "OPENAI_BASE_URL: ",
            ),
        ] {
            let failure = choice(model, base_url, variables).unwrap_err();
            assert!(failure.contains(said), "{model}: {failure}");
        }
    }

    #[test]
    fn a_server_on_this_machine_needs_no_key() {
        for url in [
            "http://localhost:1/v1",
            "http://127.0.0.1:1",
            "http://[::1]:1/v1",
        ] {
            let chosen = choice("ollama:qwen3:4b", Some(url), &[]).unwrap();
            assert_eq!(&*chosen.model.info().model, "qwen3:4b");
        }
        let variables = [
            ("AGENT_MODEL", "openai:m"),
            ("OPENAI_BASE_URL", "http://localhost:1/v1"),
        ];
        assert!(choice("", None, &variables).is_ok());
    }

    #[test]
    fn a_key_in_the_clear_is_warned_of() {
        let chosen = choice("openai:m", Some("http://x.example/v1"), &[KEY]).unwrap();
        assert!(chosen.warning.unwrap().contains("not https"));
        let here = choice("openai:m", Some("http://localhost/v1"), &[KEY]).unwrap();
        assert_eq!(here.warning, None);
    }
}
