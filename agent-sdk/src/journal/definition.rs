//! What an agent was made of, as far as its journal depends on it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{agent::Settings, model::OutputFormat};

/// What an agent was made of, as far as its journal depends on it: fingerprints, of which two are equal where the parts are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Definition {
    /// The agent's name.
    pub agent: Arc<str>,
    /// Of the instructions.
    pub instructions: String,
    /// Of the form of the answer.
    pub output: String,
    /// Of each tool's schema and effect, by name.
    pub tools: BTreeMap<Arc<str>, String>,
}

impl Definition {
    pub(crate) fn of(settings: &Settings) -> Self {
        let tools = settings.tools.specs().iter().map(|spec| {
            let effect = settings.tools.get(&spec.name);
            let effect = effect.map(|tool| tool.options().effect.as_str());
            let parts = [
                spec.description.as_ref(),
                spec.parameters.get(),
                effect.unwrap_or_default(),
            ];
            (spec.name.clone(), fingerprint(&parts))
        });
        Self {
            agent: settings.name.clone(),
            instructions: fingerprint(&[settings.instructions.as_deref().unwrap_or_default()]),
            output: fingerprint(&[match settings.output.format() {
                OutputFormat::JsonSchema { schema, .. } => schema.get(),
                OutputFormat::JsonObject => "json",
                OutputFormat::Text => "",
            }]),
            tools: tools.collect(),
        }
    }

    /// What is not the same in another, in words for people; nothing where both fit the same journal.
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.agent != now.agent {
            changes.push(format!(
                "the agent is `{}` and was `{}`",
                now.agent, self.agent
            ));
        }
        if self.instructions != now.instructions {
            changes.push("the instructions changed".to_owned());
        }
        if self.output != now.output {
            changes.push("the form of the answer changed".to_owned());
        }
        for (name, then) in &self.tools {
            match now.tools.get(name) {
                None => changes.push(format!("tool `{name}` is gone")),
                Some(now) if now != then => changes.push(format!("tool `{name}` changed")),
                Some(_) => {}
            }
        }
        let new = now
            .tools
            .keys()
            .filter(|name| !self.tools.contains_key(*name));
        changes.extend(new.map(|name| format!("tool `{name}` is new")));
        changes
    }
}

/// 128 bits of SHA-256 over the parts and their lengths.
fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let bytes = digest.first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(bytes))
}
