//! Which model is asked, where, and with which key.
//!
//! A key belongs to the provider that gave it: `OPENAI_API_KEY` goes to a provider called `openai` and to nobody else.

use std::path::Path;

use agent_sdk::model::{
    CassetteError, Catalog, ModelHandle, NamedModel, Recorder, Replay, is_loopback,
};

use crate::{args::ModelName, exit::Failure, text};

/// A model that can be asked.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The model.
    pub(crate) model: ModelHandle,
    /// The variable that holds its key, or would.
    pub(crate) key: String,
    /// The address, where it is not the provider's own.
    pub(crate) base_url: Option<String>,
    /// What to warn of.
    pub(crate) warning: Option<String>,
}

/// Whether exchanges are recorded, or come from a recording.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tape {
    #[default]
    None,
    Record(Recorder),
    Replay(Replay),
}

impl Tape {
    /// Opens the file that is named, if one is.
    ///
    /// # Errors
    ///
    /// It cannot be read or written, or is no recording.
    pub(crate) fn open(record: Option<&Path>, replay: Option<&Path>) -> Result<Self, Failure> {
        let failed = |flag: &str, error: CassetteError| {
            Failure::usage(format!("`{flag}`: {error}")).because(&error)
        };
        match (record, replay) {
            (Some(path), _) => Recorder::open(path)
                .map(Self::Record)
                .map_err(|error| failed("--record", error)),
            (None, Some(path)) => Replay::open(path)
                .map(Self::Replay)
                .map_err(|error| failed("--replay", error)),
            (None, None) => Ok(Self::None),
        }
    }

    /// What to tell the user once the run is over.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self {
            Self::None => {}
            Self::Record(recorder) => {
                let path = recorder.path().display();
                let written = text::counted(recorder.written(), "exchange");
                remarks.push(format!("recorded: {written} in `{path}`"));
                if recorder.failed() > 0 {
                    let lost = text::counted(recorder.failed(), "exchange");
                    remarks.push(format!("warning: {lost} could not be written to `{path}`"));
                }
            }
            Self::Replay(replay) => {
                for line in replay.damaged_lines() {
                    remarks.push(format!(
                        "warning: line {line} of the recording was cut off, and is left out"
                    ));
                }
                let unserved = replay.unserved() as u64;
                if unserved > 0 {
                    let unserved = text::counted(unserved, "recorded exchange");
                    remarks.push(format!("note: {unserved} not asked for"));
                }
            }
        }
        remarks
    }
}

/// The model that is named: by the argument, or by the variable.
///
/// # Errors
///
/// None is.
pub(crate) fn name(
    model: Option<&ModelName>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ModelName, Failure> {
    match model {
        Some(model) => Ok(model.clone()),
        None => by_variable(variable("AGENT_MODEL")),
    }
}

/// Makes a client for a model.
///
/// # Errors
///
/// No key, a provider whose address is not known, or an address that is none.
pub(crate) fn choose(
    name: &ModelName,
    base_url: Option<&str>,
    streaming: bool,
    tape: &Tape,
    variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Result<Chosen, Failure> {
    let catalog = Catalog::embedded();
    let named = match base_url {
        Some(base_url) => catalog.named_at(&name.to_string(), base_url),
        None => catalog.named(&name.to_string()),
    };
    let named = named.map_err(|error| {
        Failure::usage(error.message())
            .advice("For another provider, pass `--base-url URL` of its OpenAI-compatible API.")
    })?;
    let by_variable = named.preset().base_url_variable.as_deref();
    let by_variable = by_variable.and_then(&variable);
    let is_own = base_url.is_none() && by_variable.is_none_or(|url| url.trim().is_empty());
    let named = named.variables(variable).streaming(streaming);
    let named = match tape.clone() {
        Tape::None => named,
        Tape::Record(recorder) => named.recorder(recorder),
        Tape::Replay(replay) => named.replay(replay),
    };
    make(named, base_url.is_some(), is_own)
}

fn make(named: NamedModel, is_given: bool, is_own: bool) -> Result<Chosen, Failure> {
    let preset = named.preset();
    let key = preset.key_variables.join(" or ");
    let place = match &preset.base_url_variable {
        _ if is_given => "`--base-url`".to_owned(),
        Some(variable) => variable.clone(),
        None => preset.name.clone(),
    };
    let (has_key, address) = (named.has_key(), named.address());
    let model = named.build().map_err(|error| {
        let failure = Failure::usage(format!("{place}: {}", error.message()));
        if has_key {
            return failure;
        }
        Failure::usage(error.message().to_owned()).advice(format!(
            "Set {key}. Only a server on this machine (`--base-url http://localhost:PORT/v1`) may need none."
        ))
    })?;
    let is_here = is_loopback(model.info().server_address.as_deref().unwrap_or(""));
    let address = address.ok();
    let is_plain = address
        .as_deref()
        .is_some_and(|url| url.trim_start().starts_with("http:"));
    let warning = (has_key && is_plain && !is_here)
        .then(|| format!("warning: {place} is not https, so others on the way can read the key."));
    Ok(Chosen {
        model,
        key,
        base_url: address.filter(|_| !is_own),
        warning,
    })
}

/// That an agent needs a model.
pub(crate) fn none_is_named() -> Failure {
    Failure::usage("no model is named").advice(
        "Pass `--model PROVIDER:NAME` or set AGENT_MODEL, for example to `openai:gpt-5-mini`. \
         `agent demo` needs no model.",
    )
}

fn by_variable(variable: Option<String>) -> Result<ModelName, Failure> {
    let Some(text) = variable.filter(|text| !text.trim().is_empty()) else {
        return Err(none_is_named());
    };
    text.parse()
        .map_err(|error| Failure::usage(format!("AGENT_MODEL is `{text}`: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-canary-0123456789abcdef");

    fn choice(
        model: &str,
        base_url: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Chosen, String> {
        let model = (!model.is_empty()).then(|| model.parse().unwrap());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: HashMap<String, String> = variables.iter().map(owned).collect();
        let variable = move |name: &str| variables.get(name).cloned();
        name(model.as_ref(), &variable)
            .and_then(|name| choose(&name, base_url, true, &Tape::None, variable))
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
        let chosen = choice("", None, &variables).unwrap();
        assert_eq!(
            chosen.base_url.as_deref(),
            Some("http://localhost:1/v1"),
            "a run that goes on asks the same server"
        );
    }

    #[test]
    fn a_key_in_the_clear_is_warned_of() {
        let chosen = choice("openai:m", Some("http://x.example/v1"), &[KEY]).unwrap();
        assert!(chosen.warning.unwrap().contains("not https"));
        let here = choice("openai:m", Some("http://localhost/v1"), &[KEY]).unwrap();
        assert_eq!(here.warning, None);
    }
}
