//! The parameters of a plan, as a command line gives them.

use agent_sdk::plan::{ParamKind, Params, Plan};
use serde_json::Value;

use crate::{args::GivenParams, exit::Failure, output::Output, terminal::safe_line, text::counted};

/// What is given: the members of the object, and the values of the pairs in their place.
///
/// # Errors
///
/// The input is no JSON object, or the value of a parameter that is no text is no JSON.
pub(super) fn of(plan: &Plan, given: &GivenParams) -> Result<Params, Failure> {
    let mut params = Params::new();
    if let Some(input) = &given.input {
        let wrong = |why: &str| {
            Failure::usage(format!("`--input` is no JSON object: {why}"))
                .advice("Write it so: `--input '{\"topic\": \"bees\"}'`.")
        };
        let input: Value =
            serde_json::from_str(input).map_err(|error| wrong(&error.to_string()))?;
        let Value::Object(members) = input else {
            return Err(wrong("it is another kind of JSON"));
        };
        let members = members.into_iter();
        params.extend(members.map(|(name, value)| (name.into(), value)));
    }
    for pair in &given.params {
        let name = pair.key.trim();
        let param = plan.params.get(name);
        let value = read(&pair.value, param.and_then(|param| param.kind))
            .map_err(|why| Failure::usage(format!("`--param {name}`: {why}")))?;
        params.insert(name.into(), value);
    }
    Ok(params)
}

/// A value of a kind. Text is taken as it is; where anything may be, what is JSON is that, and what is not is text.
fn read(text: &str, kind: Option<ParamKind>) -> Result<Value, String> {
    let json = serde_json::from_str(text);
    match kind {
        Some(ParamKind::String) => Ok(Value::from(text)),
        Some(kind) => json.map_err(|error| {
            let kind = kind.as_str();
            format!("expected JSON of type {kind}, and this is none: {error}")
        }),
        None => Ok(json.unwrap_or_else(|_| Value::from(text))),
    }
}

/// All parameters of the plan, with every default in its place.
///
/// # Errors
///
/// One is missing, of another kind, or not the plan's; each is told on a line of its own.
pub(super) fn filled(plan: &Plan, given: &Params, output: &mut Output) -> Result<Params, Failure> {
    plan.fill(given).map_err(|error| {
        let problems = error.problems();
        for problem in problems {
            output.note(problem);
        }
        let many = counted(problems.len() as u64, "mistake");
        Failure::usage(format!(
            "the parameters do not fit plan {}: {many}",
            plan.name
        ))
        .advice("`--param NAME=VALUE` gives one.")
    })
}

/// Puts parameters in the place of references to them, in what a drawing shows: the lists that steps run over.
pub(super) fn put_in(plan: &mut Plan, params: &Params) {
    for map in plan.steps.iter_mut().filter_map(|step| step.map.as_mut()) {
        if let Value::String(over) = &map.over {
            map.over = over_of(over, params);
        }
    }
}

/// Parameters as lines of text.
pub(super) fn lines(params: &Params) -> String {
    let lines = params
        .iter()
        .map(|(name, value)| format!("  {name} = {value}"));
    let lines: Vec<_> = lines.map(|line| safe_line(&line).into_owned()).collect();
    format!("params\n{}\n", lines.join("\n"))
}

/// The list that a map runs over, where a parameter is that.
fn over_of(over: &str, params: &Params) -> Value {
    let name = over
        .strip_prefix("${params.")
        .and_then(|rest| rest.strip_suffix('}'));
    let value = name.and_then(|name| params.get(name));
    value.cloned().unwrap_or_else(|| Value::from(over))
}
