//! The form of an agent's answer.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{model::OutputFormat, run::Machine, schema, tool::schema_of};

/// The form of an agent's answer, and what checks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    format: OutputFormat,
    validator: Option<Arc<jsonschema::Validator>>,
}

impl Output {
    /// JSON that fits a type's schema.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let schema = schema_of::<T>();
        let value = serde_json::from_str(schema.get()).unwrap_or_default();
        let name = T::schema_name();
        // A derived schema that no validator understands is still told to the model; the type itself then checks.
        let validator = schema::validator(&value, &name).map(Arc::new);
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .take(64)
            .collect();
        let format = OutputFormat::JsonSchema {
            name: name.into(),
            schema,
            strict: false,
        };
        Self { format, validator }
    }

    pub(crate) fn format(&self) -> &OutputFormat {
        &self.format
    }

    pub(crate) fn is_json(&self) -> bool {
        !matches!(self.format, OutputFormat::Text)
    }

    /// Checks the answer of a machine that has one; `Err` says to the model what is wrong.
    pub(crate) fn check(&self, machine: &Machine) -> Result<(), String> {
        let Some(validator) = &self.validator else {
            return Ok(());
        };
        let text = machine
            .conversation()
            .last()
            .map(super::super::message::Message::text)
            .unwrap_or_default();
        let value = Self::read(&text)?;
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .take(5)
            .map(|error| format!("at `{}`: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("; "))
        }
    }

    /// Reads an answer, with or without the code fence that some models put around JSON.
    pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        serde_json::from_str(unfenced(text))
            .map_err(|error| format!("the answer is not JSON of the schema: {error}"))
    }
}

/// An answer without the code fence that some models put around JSON.
pub(crate) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let fenced = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"));
    let json = fenced.and_then(|text| text.strip_suffix("```"));
    json.map_or(text, str::trim)
}
