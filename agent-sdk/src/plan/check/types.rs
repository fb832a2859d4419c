//! Whether what a step is given fits what is known of what it is for.

use std::{cell::RefCell, collections::HashMap, ptr, rc::Rc, sync::Arc};

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{At, Catalog, Graph, Work, WorkKind, unknown};
use crate::{
    plan::reference::{Reference, Template},
    schema,
};

/// What is known of what steps are for. Each is asked for once, and what checks against it is made once.
pub(super) struct Schemas<'a> {
    catalog: &'a dyn Catalog,
    inputs: RefCell<Inputs>,
    /// By the address of the part that they check against: `inputs` has all of these as long as this is there.
    validators: RefCell<HashMap<usize, Option<Rc<Validator>>>>,
}

/// By what they are for.
type Inputs = HashMap<(WorkKind, Arc<str>), Option<Arc<Value>>>;

impl<'a> Schemas<'a> {
    pub(super) fn new(catalog: &'a dyn Catalog) -> Self {
        Self {
            catalog,
            inputs: RefCell::default(),
            validators: RefCell::default(),
        }
    }

    fn input(&self, work: &Work) -> Option<Arc<Value>> {
        let (kind, name) = (work.kind(), work.name());
        let mut inputs = self.inputs.borrow_mut();
        let known = inputs.entry((kind, name.clone()));
        let read = || self.catalog.input_schema(kind, name);
        known.or_insert_with(read).clone()
    }

    /// What checks against a part of the schema of this work's input.
    fn validator(&self, part: &Value, work: &Work) -> Option<Rc<Validator>> {
        let mut validators = self.validators.borrow_mut();
        let known = validators.entry(ptr::from_ref(part).addr());
        let build = || schema::validator(part, work.name()).map(Rc::new);
        known.or_insert_with(build).clone()
    }
}

/// Compares an input with the schema of what it is for.
pub(super) fn input(
    schemas: &Schemas<'_>,
    graph: &Graph,
    work: &Work,
    template: &Template,
    place: &str,
    at: &mut At<'_>,
) {
    let checker = Types {
        schemas,
        graph,
        work,
    };
    if let Work::Plan(plan) = work {
        return params(plan, template, place, at);
    }
    for reference in template.references() {
        checker.pointer(reference, place, at);
    }
    let Some(schema) = schemas.input(work) else {
        return;
    };
    // What it is to do is a member of what it is given.
    let action = match work {
        Work::Tool { action, .. } | Work::Function { action, .. } => action.as_deref(),
        _ => None,
    };
    let action = action.map(|action| ("action".to_owned(), Value::from(action)));
    let whole;
    let template = match template {
        Template::Literal(Value::Null) if matches!(work, Work::Agent { .. }) => return,
        Template::Literal(Value::Null) => {
            whole = Template::Literal(Value::Object(action.into_iter().collect()));
            &whole
        }
        Template::Literal(Value::Object(object)) if action.is_some() => {
            let mut object = object.clone();
            object.extend(action);
            whole = Template::Literal(Value::Object(object));
            &whole
        }
        Template::Object(parts) => {
            let action = action.map(|(key, value)| (key, Template::Literal(value)));
            whole = Template::Object(parts.iter().cloned().chain(action).collect());
            &whole
        }
        other => other,
    };
    checker.fits(&schema, template, place, at);
}

/// A plan's parameters, which are its step's input.
fn params(plan: &crate::plan::Plan, template: &Template, place: &str, at: &mut At<'_>) {
    let keys: Vec<&str> = match template {
        Template::Literal(Value::Null) => Vec::new(),
        Template::Literal(Value::Object(object)) => object.keys().map(String::as_str).collect(),
        Template::Object(object) => object.iter().map(|(key, _)| key.as_str()).collect(),
        Template::Whole(_) => return,
        _ => {
            at.say(place, "the input of a plan is an object of its parameters");
            return;
        }
    };
    for key in &keys {
        if !plan.params.contains_key(*key) {
            let known = plan.params.keys().map(|name| &**name);
            at.say(&format!("{place}.{key}"), unknown("parameter", key, known));
        }
    }
    for (name, param) in &plan.params {
        if param.default.is_none() && !keys.contains(&&**name) {
            at.say(
                place,
                format!("plan `{}` needs parameter `{name}`", plan.name),
            );
        }
    }
}

struct Types<'a> {
    schemas: &'a Schemas<'a>,
    graph: &'a Graph,
    /// What the input is for.
    work: &'a Work,
}

impl Types<'_> {
    /// The schema of what a step gives, where it is known, and whether it gives a list of such.
    fn gives(&self, id: &str) -> Option<(Arc<Value>, bool)> {
        let number = *self.graph.numbers.get(id)?;
        let step = &self.graph.nodes.get(number as usize)?.step;
        if !step.fallback.is_empty() {
            return None;
        }
        let one = self
            .schemas
            .catalog
            .output_schema(step.work.kind(), step.work.name())?;
        Some((one, step.map.is_some()))
    }

    /// The types that a reference can be of, where they are known; says so where it can refer to nothing.
    fn pointer(&self, reference: &Reference, place: &str, at: &mut At<'_>) -> Option<Vec<String>> {
        let Reference::Step { id, pointer } = reference else {
            return None;
        };
        let (given, mut is_list) = self.gives(id)?;
        let mut schema = &*given;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let is_number = part.parse::<usize>().is_ok();
            if is_list {
                if !is_number {
                    return None;
                }
                is_list = false;
                continue;
            }
            if let Some(items) = schema.get("items").filter(|_| is_number) {
                schema = items;
                continue;
            }
            let properties = schema.get("properties")?.as_object()?;
            let Some(inside) = properties.get(&part) else {
                // Others may be there, unless the schema says that there are none.
                let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
                let is_titled = schema.get("required").is_some();
                if is_closed || is_titled {
                    let names: Vec<_> = properties.keys().map(|key| format!("`{key}`")).collect();
                    at.say(
                        place,
                        format!(
                            "{reference}: step `{id}` gives no `{part}`; it gives {}",
                            names.join(", ")
                        ),
                    );
                }
                return None;
            };
            schema = inside;
        }
        if is_list {
            return Some(vec!["array".to_owned()]);
        }
        Some(kinds(schema)?.into_iter().map(str::to_owned).collect())
    }

    fn fits(&self, schema: &Value, template: &Template, place: &str, at: &mut At<'_>) {
        match template {
            Template::Literal(value) => {
                let Some(validator) = self.schemas.validator(schema, self.work) else {
                    return;
                };
                for error in validator.iter_errors(value).take(8) {
                    let inside = error.instance_path().to_string().replace('/', ".");
                    at.say(&format!("{place}{inside}"), error.to_string());
                }
            }
            Template::Whole(reference) => {
                let mut quiet = Vec::new();
                let mut nobody = At {
                    step: None,
                    problems: &mut quiet,
                };
                if let (Some(given), Some(wanted)) =
                    (self.pointer(reference, place, &mut nobody), kinds(schema))
                    && !given
                        .iter()
                        .any(|given| wanted.iter().any(|wanted| is_one(given, wanted)))
                {
                    at.say(
                        place,
                        format!(
                            "{reference} is of type {}, and type {} is needed",
                            given.join(" or "),
                            wanted.join(" or ")
                        ),
                    );
                }
            }
            Template::Text(_) => {
                if let Some(wanted) = kinds(schema).filter(|wanted| !wanted.contains(&"string")) {
                    at.say(
                        place,
                        format!(
                            "this becomes text, and type {} is needed",
                            wanted.join(" or ")
                        ),
                    );
                }
            }
            Template::List(parts) => {
                if let Some(wanted) = kinds(schema).filter(|wanted| !wanted.contains(&"array")) {
                    at.say(
                        place,
                        format!("this is a list, and type {} is needed", wanted.join(" or ")),
                    );
                }
                if let Some(items) = schema.get("items") {
                    for (number, part) in parts.iter().enumerate() {
                        self.fits(items, part, &format!("{place}[{number}]"), at);
                    }
                }
            }
            Template::Object(parts) => self.object(schema, parts, place, at),
        }
    }

    fn object(&self, schema: &Value, parts: &[(String, Template)], place: &str, at: &mut At<'_>) {
        if let Some(wanted) = kinds(schema).filter(|wanted| !wanted.contains(&"object")) {
            at.say(
                place,
                format!(
                    "this is an object, and type {} is needed",
                    wanted.join(" or ")
                ),
            );
            return;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, part) in parts {
            let place = format!("{place}.{key}");
            match properties.and_then(|properties| properties.get(key)) {
                Some(schema) => self.fits(schema, part, &place, at),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    let known = properties
                        .into_iter()
                        .flat_map(Map::keys)
                        .map(String::as_str);
                    at.say(&place, unknown("member", key, known));
                }
                None => {}
            }
        }
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = name.as_str().unwrap_or_default();
            if !parts.iter().any(|(key, _)| key == name) {
                at.say(place, format!("`{name}` is missing"));
            }
        }
    }
}

/// The types that a schema allows, where it says so right away.
fn kinds(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => Some(many.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn is_one(given: &str, wanted: &str) -> bool {
    given == wanted || (given == "integer" && wanted == "number")
}
