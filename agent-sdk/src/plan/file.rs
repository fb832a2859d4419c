//! Plans as TOML and as JSON.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor, value},
};
use serde_json::{Value, value::RawValue};

use super::{
    AgentConfig, Alternative, FailurePolicy, Join, Map, Param, Plan, PlanError, Problem, Retry,
    Step, Work, step::is_default, time,
};
use crate::registry::nearest;

/// The version of a plan's form.
pub const VERSION: u32 = 1;

/// How deep plans may be inside each other.
pub(crate) const MAX_DEPTH: usize = 8;

/// A step as it is written.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a step, which is a table")]
pub(super) struct RawStep {
    /// Its name in the plan: letters, digits, `_` and `-`, at most 64.
    id: Arc<str>,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Box<Plan>>,
    /// What an agent is to do, or which of the things a tool or a function can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Arc<str>>,
    /// What is different about the agent in this step.
    #[serde(default, skip_serializing_if = "AgentConfig::is_empty")]
    config: AgentConfig,
    /// What it is given; `${steps.ID}`, `${steps.ID/pointer}`, `${params.NAME}` and in a map `${item}` are references.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    input: Value,
    /// The steps that it waits for, beside those that it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Arc<str>>,
    /// How many of the steps that it waits for must have succeeded. Default: all.
    #[serde(default, skip_serializing_if = "is_default")]
    join: Join,
    /// A CEL expression; where it is false, the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Arc<str>>,
    /// What a person is asked before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<Arc<str>>,
    /// Runs it once for each element of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    map: Option<Map>,
    /// What happens after a failure.
    #[serde(default, skip_serializing_if = "is_default")]
    retry: Retry,
    /// The longest that it may take, all tries and waits included.
    #[serde(
        default,
        with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    timeout: Option<Duration>,
    /// What runs in its place when all its tries have failed: one alternative, or a list of them.
    #[serde(default, skip_serializing_if = "Many::is_none")]
    fallback: Many,
    /// Of steps that could begin at the same time, those with a higher one begin first.
    #[serde(default, skip_serializing_if = "is_default")]
    priority: i32,
}

/// An alternative as it is written.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an alternative, which is a table")]
pub(super) struct RawAlternative {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Box<Plan>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "AgentConfig::is_empty")]
    config: AgentConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
}

/// One, or a list.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(untagged)]
enum Many {
    List(Vec<Alternative>),
    One(Box<Alternative>),
}

impl Default for Many {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// By hand, so that it is said what is wrong in an alternative, and where.
impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = Many;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an alternative or a list of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Many, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list)).map(Many::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Many, A::Error> {
                Deserialize::deserialize(value::MapAccessDeserializer::new(one)).map(Many::One)
            }
        }
        from.deserialize_any(OneOrList)
    }
}

impl Many {
    fn is_none(&self) -> bool {
        matches!(self, Self::List(list) if list.is_empty())
    }
}

/// The keys of a [`Work`], as far as they are there.
struct Keys {
    agent: Option<Arc<str>>,
    tool: Option<Arc<str>>,
    function: Option<Arc<str>>,
    plan: Option<Box<Plan>>,
    action: Option<Arc<str>>,
    config: AgentConfig,
}

impl Keys {
    fn read(self) -> Result<Work, String> {
        let Self {
            agent,
            tool,
            function,
            plan,
            action,
            config,
        } = self;
        let is_configured = !config.is_empty();
        let work = match (agent, tool, function, plan) {
            (Some(name), None, None, None) => {
                return Ok(Work::Agent {
                    name,
                    action,
                    config,
                });
            }
            (None, Some(name), None, None) => Work::Tool { name, action },
            (None, None, Some(name), None) => Work::Function { name, action },
            (None, None, None, Some(plan)) if action.is_none() => Work::Plan(plan),
            (None, None, None, Some(_)) => {
                return Err(
                    "`action` is for agents, tools and functions, and this is a plan".to_owned(),
                );
            }
            (None, None, None, None) => {
                return Err(
                    "it does nothing: give one of `agent`, `tool`, `function` and `plan`"
                        .to_owned(),
                );
            }
            _ => {
                return Err(
                    "it has more than one of `agent`, `tool`, `function` and `plan`".to_owned(),
                );
            }
        };
        if is_configured {
            return Err(format!(
                "`config` is for agents, and this is a {}",
                work.kind().as_str()
            ));
        }
        Ok(work)
    }

    fn write(work: Work) -> Self {
        let mut keys = Self {
            agent: None,
            tool: None,
            function: None,
            plan: None,
            action: None,
            config: AgentConfig::default(),
        };
        match work {
            Work::Agent {
                name,
                action,
                config,
            } => (keys.agent, keys.action, keys.config) = (Some(name), action, config),
            Work::Tool { name, action } => (keys.tool, keys.action) = (Some(name), action),
            Work::Function { name, action } => (keys.function, keys.action) = (Some(name), action),
            Work::Plan(plan) => keys.plan = Some(plan),
        }
        keys
    }
}

impl TryFrom<RawStep> for Step {
    type Error = String;

    fn try_from(raw: RawStep) -> Result<Self, String> {
        let keys = Keys {
            agent: raw.agent,
            tool: raw.tool,
            function: raw.function,
            plan: raw.plan,
            action: raw.action,
            config: raw.config,
        };
        Ok(Self {
            work: keys
                .read()
                .map_err(|wrong| format!("step `{}`: {wrong}", raw.id))?,
            id: raw.id,
            description: raw.description,
            input: raw.input,
            depends_on: raw.depends_on,
            join: raw.join,
            when: raw.when,
            approval: raw.approval,
            map: raw.map,
            retry: raw.retry,
            timeout: raw.timeout,
            fallback: match raw.fallback {
                Many::One(one) => vec![*one],
                Many::List(list) => list,
            },
            priority: raw.priority,
        })
    }
}

impl From<Step> for RawStep {
    fn from(step: Step) -> Self {
        let keys = Keys::write(step.work);
        Self {
            id: step.id,
            description: step.description,
            agent: keys.agent,
            tool: keys.tool,
            function: keys.function,
            plan: keys.plan,
            action: keys.action,
            config: keys.config,
            input: step.input,
            depends_on: step.depends_on,
            join: step.join,
            when: step.when,
            approval: step.approval,
            map: step.map,
            retry: step.retry,
            timeout: step.timeout,
            fallback: Many::List(step.fallback),
            priority: step.priority,
        }
    }
}

impl TryFrom<RawAlternative> for Alternative {
    type Error = String;

    fn try_from(raw: RawAlternative) -> Result<Self, String> {
        let keys = Keys {
            agent: raw.agent,
            tool: raw.tool,
            function: raw.function,
            plan: raw.plan,
            action: raw.action,
            config: raw.config,
        };
        Ok(Self {
            work: keys.read()?,
            input: raw.input,
        })
    }
}

impl From<Alternative> for RawAlternative {
    fn from(other: Alternative) -> Self {
        let keys = Keys::write(other.work);
        Self {
            agent: keys.agent,
            tool: keys.tool,
            function: keys.function,
            plan: keys.plan,
            action: keys.action,
            config: keys.config,
            input: other.input,
        }
    }
}

/// A plan whose steps are not read yet, so that each of them can say what is wrong with it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a plan, which is a table")]
struct RawPlan {
    #[serde(default = "version")]
    version: u32,
    name: Arc<str>,
    #[serde(default)]
    description: Option<Arc<str>>,
    #[serde(default)]
    params: std::collections::BTreeMap<Arc<str>, Param>,
    #[serde(default)]
    steps: Vec<Box<RawValue>>,
    #[serde(default)]
    output: Value,
    #[serde(default, with = "time::optional")]
    timeout: Option<Duration>,
    #[serde(default = "yes")]
    parallel: bool,
    #[serde(default)]
    concurrency: Option<NonZeroU32>,
    #[serde(default)]
    on_failure: FailurePolicy,
    #[serde(default)]
    fallback: Option<Box<Plan>>,
}

pub(super) fn version() -> u32 {
    VERSION
}

pub(super) fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what `serde` calls it with"
)]
pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

/// The longest file that is read.
const MAX_BYTES: usize = 16 << 20;

impl Plan {
    /// Reads a plan that is written as TOML; `docs/plan-format.md` says what can stand in it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, each step's mistake with its place. Whether what it names exists is said by
    /// [`check`](Self::check).
    pub fn from_toml(text: &str) -> Result<Self, PlanError> {
        in_size(text)?;
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            PlanError::of(Problem::new("", error.to_string().trim().to_owned()))
        })?;
        let json = serde_json::to_string(&table)
            .map_err(|error| PlanError::of(Problem::new("", error.to_string())))?;
        Self::from_json(&json)
    }

    /// Reads a plan that is written as JSON.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as [`from_toml`](Self::from_toml) says.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        in_size(text)?;
        let raw: RawPlan = read(text, "").map_err(PlanError::of)?;
        if raw.version > VERSION {
            return Err(PlanError::of(Problem::new(
                "version",
                format!(
                    "this plan is of version {}, and this library knows up to {VERSION}: use a newer one",
                    raw.version
                ),
            )));
        }
        let mut problems = Vec::new();
        let mut steps = Vec::with_capacity(raw.steps.len());
        for (number, step) in raw.steps.iter().enumerate() {
            match read::<Step>(step.get(), &format!("steps[{number}]")) {
                Ok(step) => steps.push(step),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(PlanError::new(problems));
        }
        Ok(Self {
            version: raw.version,
            name: raw.name,
            description: raw.description,
            params: raw.params,
            steps,
            output: raw.output,
            timeout: raw.timeout,
            parallel: raw.parallel,
            concurrency: raw.concurrency,
            on_failure: raw.on_failure,
            fallback: raw.fallback,
        })
    }

    /// The plan as TOML. What it reads back to is the same plan.
    ///
    /// # Errors
    ///
    /// An input with a `null` in it: TOML has none, JSON has.
    pub fn to_toml(&self) -> Result<String, PlanError> {
        toml::to_string_pretty(self).map_err(|error| {
            let why = format!("TOML cannot say it, so write it as JSON: {error}");
            PlanError::of(Problem::new("", why))
        })
    }

    /// The JSON schema of plans that are written as JSON; TOML has the same keys.
    pub fn json_schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

fn in_size(text: &str) -> Result<(), PlanError> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let long = text.len();
    Err(PlanError::of(Problem::new(
        "",
        format!("the plan is {long} bytes long, and the longest that is read is {MAX_BYTES}"),
    )))
}

/// Reads a part of a plan; what is wrong is said with its place.
pub(super) fn read<T: DeserializeOwned>(json: &str, place: &str) -> Result<T, Problem> {
    let mut from = serde_json::Deserializer::from_str(json);
    let read = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let inside = error.path().to_string();
        let place = match (place, inside.as_str()) {
            (place, "." | "?") => place.to_owned(),
            ("", inside) => inside.to_owned(),
            (place, inside) => format!("{place}.{inside}"),
        };
        let text = error.into_inner().to_string();
        // Lines and columns are those of the JSON that a TOML file became.
        let words = text.split(" at line ").next().unwrap_or(&text);
        Problem::new(place, meant(words))
    })?;
    from.end()
        .map_err(|error| Problem::new(place, error.to_string()))?;
    Ok(read)
}

/// What is wrong in a file; of a key or a word that is not known, with the one that was perhaps meant.
fn meant(words: &str) -> String {
    let unknown = words
        .strip_prefix("unknown field `")
        .or_else(|| words.strip_prefix("unknown variant `"));
    let near = unknown.and_then(|rest| {
        let (name, known) = rest.split_once('`')?;
        let near = nearest(name, known.split('`').skip(1).step_by(2));
        near.first().copied()
    });
    match near {
        Some(near) => format!("{words}; is `{near}` meant?"),
        None => words.to_owned(),
    }
}
