//! Whether a plan can be run: every mistake at once, each with its place.

mod types;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use self::types::Schemas;
use super::{
    Join, MAX_DEPTH, Plan, PlanError, Problem, Retry, Step, Work, WorkKind,
    graph::{Graph, Node, unknown},
    reference::{Reference, Template},
};

/// The most steps that a plan may have.
const MAX_STEPS: usize = 1_000_000;

/// The most tries that a step may have.
const MAX_ATTEMPTS: u32 = 1_000;

/// What a plan's steps may name, and what is known of it.
pub trait Catalog {
    /// The names that there are of a kind; `None` where any may be.
    fn names(&self, kind: WorkKind) -> Option<Vec<Arc<str>>>;

    /// The JSON schema of what one is given, where it is known.
    fn input_schema(&self, kind: WorkKind, name: &str) -> Option<Arc<Value>>;

    /// The JSON schema of what one gives, where it is known.
    fn output_schema(&self, kind: WorkKind, name: &str) -> Option<Arc<Value>>;
}

/// A catalog in which everything may be, and of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Catalog for Open {
    fn names(&self, _: WorkKind) -> Option<Vec<Arc<str>>> {
        None
    }

    fn input_schema(&self, _: WorkKind, _: &str) -> Option<Arc<Value>> {
        None
    }

    fn output_schema(&self, _: WorkKind, _: &str) -> Option<Arc<Value>> {
        None
    }
}

impl Plan {
    /// Whether it can be run with what is in the catalog.
    ///
    /// # Errors
    ///
    /// Every mistake: ids, references, conditions, edges and rings, lengths and numbers, names that are not there, and inputs that do
    /// not fit what is known of what they are for; also those of the plans inside it.
    pub fn check(&self, catalog: &dyn Catalog) -> Result<(), PlanError> {
        read(self, catalog).map(drop)
    }
}

/// Reads a plan through.
pub(super) fn read(plan: &Plan, catalog: &dyn Catalog) -> Result<Graph, PlanError> {
    read_with(plan, plan.steps.clone(), catalog)
}

/// Reads a plan through that has these steps in the place of its own.
pub(super) fn read_with(
    plan: &Plan,
    steps: Vec<Step>,
    catalog: &dyn Catalog,
) -> Result<Graph, PlanError> {
    let mut problems = Vec::new();
    let graph = Checker {
        plan,
        catalog,
        schemas: &Schemas::new(catalog),
        depth: 1,
    }
    .read(steps, &mut problems);
    if problems.is_empty() {
        Ok(graph)
    } else {
        Err(PlanError::new(problems))
    }
}

struct Checker<'a> {
    plan: &'a Plan,
    catalog: &'a dyn Catalog,
    schemas: &'a Schemas<'a>,
    depth: usize,
}

impl Checker<'_> {
    fn read(&self, steps: Vec<Step>, problems: &mut Vec<Problem>) -> Graph {
        let plan = self.plan;
        if let Some(wrong) = wrong_name(&plan.name) {
            problems.push(Problem::new("name", wrong));
        }
        if steps.is_empty() {
            problems.push(Problem::new("steps", "a plan has at least one step"));
        }
        if steps.len() > MAX_STEPS {
            let many = steps.len();
            problems.push(Problem::new(
                "steps",
                format!("{many} steps are more than {MAX_STEPS}"),
            ));
            return Graph::default();
        }
        if plan.timeout.is_some_and(|time| time.is_zero()) {
            problems.push(Problem::new("timeout", "must be longer than nothing"));
        }
        for (name, param) in &plan.params {
            if let (Some(kind), Some(default)) = (param.kind, &param.default)
                && !kind.fits(default)
            {
                let wrong = format!("must be of type {}", kind.as_str());
                problems.push(Problem::new(format!("params.{name}.default"), wrong));
            }
        }
        let graph = Graph::read(steps, &plan.output, problems);
        let names = Names::of(self.catalog);
        for (number, node) in graph.nodes.iter().enumerate() {
            let at = At {
                step: Some(number),
                problems,
            };
            self.step(node, &graph, &names, at);
        }
        if let Some(output) = &graph.output {
            for reference in output.references() {
                match reference {
                    Reference::Step { id, .. } if !graph.numbers.contains_key(id) => {
                        let wrong = unknown("step", id, graph.ids());
                        problems.push(Problem::new("output", wrong));
                    }
                    Reference::Step { .. } => {}
                    other => self.reference(
                        other,
                        false,
                        &mut At {
                            step: None,
                            problems,
                        },
                        "output",
                    ),
                }
            }
        }
        if let Some(ring) = graph.ring() {
            let ids = ring.iter().chain(ring.first());
            let ids = ids.filter_map(|number| graph.nodes.get(*number as usize));
            let ids: Vec<_> = ids.map(|node| &*node.step.id).collect();
            let place = ring
                .first()
                .map_or_else(String::new, |number| format!("steps[{number}]"));
            let message = match ids.as_slice() {
                [one, _] => format!("`{one}` waits for itself"),
                all => format!("these wait for each other: {}", all.join(" → ")),
            };
            problems.push(Problem::new(place, message));
        }
        if let Some(fallback) = &plan.fallback {
            self.inner(fallback, "fallback", problems);
            for (name, param) in &fallback.params {
                if param.default.is_none() && !plan.params.contains_key(name) {
                    problems.push(Problem::new(
                        format!("fallback.params.{name}"),
                        "the plan that it stands in for has no such parameter, and it has no default",
                    ));
                }
            }
        }
        graph
    }

    fn inner(&self, plan: &Plan, place: &str, problems: &mut Vec<Problem>) {
        if self.depth >= MAX_DEPTH {
            problems.push(Problem::new(
                place,
                format!("plans are at most {MAX_DEPTH} deep inside each other"),
            ));
            return;
        }
        let mut inside = Vec::new();
        Checker {
            plan,
            catalog: self.catalog,
            schemas: self.schemas,
            depth: self.depth + 1,
        }
        .read(plan.steps.clone(), &mut inside);
        problems.extend(inside.into_iter().map(|problem| {
            let place = if problem.place.is_empty() {
                place.to_owned()
            } else {
                format!("{place}.{}", problem.place)
            };
            Problem { place, ..problem }
        }));
    }

    fn step(&self, node: &Node, graph: &Graph, names: &Names, mut at: At<'_>) {
        let step = &*node.step;
        if let Some(wrong) = wrong_id(&step.id) {
            at.say("id", wrong);
        }
        if step.timeout.is_some_and(|time| time.is_zero()) {
            at.say("timeout", "must be longer than nothing");
        }
        retry(&step.retry, &mut at);
        let known = u32::try_from(node.waits_for.len()).unwrap_or(u32::MAX);
        if let Join::Quorum(needed) = step.join
            && needed.get() > known
        {
            at.say(
                "join",
                format!("needs {needed} that succeed, and waits for {known}"),
            );
        }
        if let (Join::Any, 0) = (step.join, known) {
            at.say("join", "needs one that succeeds, and waits for none");
        }
        if let Some(map) = &step.map
            && node.over.as_ref().is_some_and(Template::is_literal)
            && !map.over.is_array()
        {
            at.say("map.over", "is neither a list nor a reference to one");
        }
        if let Some(map) = &step.map
            && let (Value::Array(list), Join::Quorum(needed)) = (&map.over, map.join)
            && list.len() < needed.get() as usize
        {
            let many = list.len();
            at.say(
                "map.join",
                format!("needs {needed} that succeed, and the list has {many}"),
            );
        }
        for (place, template) in node.templates() {
            let is_map = step.map.is_some() && place != "map.over";
            for reference in template.references() {
                self.reference(reference, is_map, &mut at, &place);
            }
        }
        if let Some(when) = &node.when {
            for name in when
                .params()
                .filter(|name| !self.plan.params.contains_key(*name))
            {
                let params = self.plan.params.keys().map(|name| &**name);
                at.say("when", unknown("parameter", name, params));
            }
        }
        self.work(&step.work, "", names, &mut at);
        types::input(
            self.schemas,
            graph,
            &step.work,
            &node.input,
            "input",
            &mut at,
        );
        let others = step.fallback.iter().zip(&node.others).enumerate();
        for (number, (other, input)) in others {
            let place = format!("fallback[{number}]");
            self.work(&other.work, &place, names, &mut at);
            let input = input.as_ref().unwrap_or(&node.input);
            types::input(
                self.schemas,
                graph,
                &other.work,
                input,
                &format!("{place}.input"),
                &mut at,
            );
        }
    }

    fn reference(&self, reference: &Reference, is_map: bool, at: &mut At<'_>, place: &str) {
        match reference {
            Reference::Param { name, .. } if !self.plan.params.contains_key(name) => {
                let params = self.plan.params.keys().map(|name| &**name);
                at.say(place, unknown("parameter", name, params));
            }
            Reference::Item { .. } | Reference::Index if !is_map => {
                at.say(
                    place,
                    format!("{reference} is for the input of a step with a `map`"),
                );
            }
            _ => {}
        }
    }

    fn work(&self, work: &Work, place: &str, names: &Names, at: &mut At<'_>) {
        if let Work::Plan(plan) = work {
            let place = match place {
                "" => at.inside("plan"),
                place => at.inside(&format!("{place}.plan")),
            };
            return self.inner(plan, &place, at.problems);
        }
        let (kind, name) = (work.kind(), work.name());
        let known = match kind {
            WorkKind::Agent => &names.agents,
            WorkKind::Tool => &names.tools,
            WorkKind::Function | WorkKind::Plan => &names.functions,
        };
        if let Some(known) = known.as_ref().filter(|known| !known.contains(name)) {
            let key = kind.as_str();
            let place = if place.is_empty() {
                key.to_owned()
            } else {
                format!("{place}.{key}")
            };
            at.say(&place, unknown(key, name, known.iter().map(|name| &**name)));
        }
    }
}

/// The names that a catalog has.
struct Names {
    agents: Option<BTreeSet<Arc<str>>>,
    tools: Option<BTreeSet<Arc<str>>>,
    functions: Option<BTreeSet<Arc<str>>>,
}

impl Names {
    fn of(catalog: &dyn Catalog) -> Self {
        let of = |kind| Some(catalog.names(kind)?.into_iter().collect());
        Self {
            agents: of(WorkKind::Agent),
            tools: of(WorkKind::Tool),
            functions: of(WorkKind::Function),
        }
    }
}

/// A step, or the plan itself, to say what is wrong in it. Places are put together only where something is.
pub(super) struct At<'a> {
    step: Option<usize>,
    problems: &'a mut Vec<Problem>,
}

impl At<'_> {
    fn inside(&self, place: &str) -> String {
        match (self.step, place) {
            (Some(number), "") => format!("steps[{number}]"),
            (Some(number), place) => format!("steps[{number}].{place}"),
            (None, place) => place.to_owned(),
        }
    }

    fn say(&mut self, place: &str, message: impl Into<String>) {
        let place = self.inside(place);
        self.problems.push(Problem::new(place, message));
    }
}

fn retry(retry: &Retry, at: &mut At<'_>) {
    if retry.attempts.get() > MAX_ATTEMPTS {
        at.say("retry.attempts", format!("at most {MAX_ATTEMPTS}"));
    }
    if !(0.0..=1.0).contains(&retry.jitter) {
        at.say("retry.jitter", "must be from 0 to 1");
    }
    if !(retry.factor >= 1.0 && retry.factor.is_finite()) {
        at.say("retry.factor", "must be 1 or more");
    }
    if retry.timeout.is_some_and(|time| time.is_zero()) {
        at.say("retry.timeout", "must be longer than nothing");
    }
}

/// What is wrong with a step's id.
fn wrong_id(id: &str) -> Option<&'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let is_good = (1..=64).contains(&id.len()) && id.bytes().all(letter);
    (!is_good).then_some("must be 1 to 64 letters, digits, `_` and `-`")
}

/// What is wrong with a plan's name.
fn wrong_name(name: &str) -> Option<&'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte);
    let is_good = (1..=64).contains(&name.len()) && name.bytes().all(letter) && name.trim() == name;
    (!is_good).then_some("must be 1 to 64 letters, digits, `_`, `-`, `.` and spaces")
}
