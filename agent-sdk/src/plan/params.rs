//! What a plan is given by whoever runs it.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Plan, PlanError, Problem};

/// A parameter of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a parameter, which is a table")]
#[non_exhaustive]
pub struct Param {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Arc<str>>,
    /// What it must be. Default: anything.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ParamKind>,
    /// What it is where nothing is given; without one it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

impl Param {
    /// One that must be given, and may be anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what it must be.
    #[must_use]
    pub fn of(mut self, kind: ParamKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets what it is where nothing is given.
    #[must_use]
    pub fn with_default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Sets what it is for, for people.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<Arc<str>>) -> Self {
        self.description = Some(text.into());
        self
    }
}

/// What a parameter must be: JSON's own kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParamKind {
    /// Text.
    String,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl ParamKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// Whether a value is one.
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// Parameters with every default in its place.
pub type Params = BTreeMap<Arc<str>, Value>;

impl Plan {
    /// The parameters that the plan runs with, where these are given.
    ///
    /// # Errors
    ///
    /// Every one that is missing, of another kind, or not the plan's.
    pub fn fill(&self, given: &Params) -> Result<Params, PlanError> {
        let mut problems = Vec::new();
        let mut params = Params::new();
        for (name, param) in &self.params {
            let Some(value) = given.get(name).or(param.default.as_ref()) else {
                let what = param.description.as_deref().unwrap_or("it has no default");
                problems.push(Problem::new(
                    format!("params.{name}"),
                    format!("must be given: {what}"),
                ));
                continue;
            };
            if let Some(kind) = param.kind.filter(|kind| !kind.fits(value)) {
                problems.push(Problem::new(
                    format!("params.{name}"),
                    format!("must be of type {}", kind.as_str()),
                ));
            }
            params.insert(name.clone(), value.clone());
        }
        for name in given.keys().filter(|name| !self.params.contains_key(*name)) {
            let known: Vec<_> = self.params.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() {
                "has none".to_owned()
            } else {
                format!("has {}", known.join(", "))
            };
            problems.push(Problem::new(
                format!("params.{name}"),
                format!("is not a parameter of plan `{}`, which {known}", self.name),
            ));
        }
        if problems.is_empty() {
            Ok(params)
        } else {
            Err(PlanError::new(problems))
        }
    }
}
