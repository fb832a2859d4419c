//! A plan with its edges: who waits for whom, by number.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use super::{
    Alternative, Problem, Step,
    condition::Condition,
    reference::{Reference, Template},
};
use crate::registry::{nearest, shown};
use serde_json::Value;

/// A step that was read through.
pub(super) struct Node {
    pub(super) step: Arc<Step>,
    /// What it is given; and what its alternatives are, where that is something else.
    pub(super) input: Template,
    pub(super) others: Vec<Option<Template>>,
    pub(super) over: Option<Template>,
    pub(super) when: Option<Condition>,
    /// The numbers of the steps that it waits for, each once, in the plan's order.
    pub(super) waits_for: Vec<u32>,
}

/// What was wrong while a step was read, with the place inside of it.
pub(super) type Wrong = Vec<(String, String)>;

impl Node {
    pub(super) fn read(step: Arc<Step>, wrong: &mut Wrong) -> Self {
        let input = Template::parse(&step.input, "input", wrong);
        let other = |(number, other): (usize, &Alternative)| {
            let input = other.input.as_ref()?;
            let place = format!("fallback[{number}].input");
            Some(Template::parse(input, &place, wrong))
        };
        let others = step.fallback.iter().enumerate().map(other).collect();
        let over = step.map.as_ref();
        let over = over.map(|map| Template::parse(&map.over, "map.over", wrong));
        let when = step.when.as_deref();
        let when = when.and_then(|when| match Condition::parse(when) {
            Ok(when) => Some(when),
            Err(why) => {
                wrong.push(("when".to_owned(), why));
                None
            }
        });
        Self {
            step,
            input,
            others,
            over,
            when,
            waits_for: Vec::new(),
        }
    }

    /// What a choice is given: the step's own work is 0.
    pub(super) fn input(&self, choice: u32) -> &Template {
        let other = usize::try_from(choice).ok();
        let other = other.and_then(|choice| self.others.get(choice.checked_sub(1)?)?.as_ref());
        other.unwrap_or(&self.input)
    }

    /// Its templates, with their places in the step.
    pub(super) fn templates(&self) -> impl Iterator<Item = (Cow<'static, str>, &Template)> {
        let others = self.others.iter().enumerate();
        let others = others.filter_map(|(number, other)| {
            let place = || format!("fallback[{number}].input").into();
            other.as_ref().map(|other| (place(), other))
        });
        let over = self.over.iter().map(|over| ("map.over".into(), over));
        std::iter::once(("input".into(), &self.input))
            .chain(others)
            .chain(over)
    }

    /// The ids of the steps that it waits for, with the places that say so; a step may be there more than once.
    pub(super) fn names(&self) -> impl Iterator<Item = (Place, &Arc<str>)> {
        let said = self.step.depends_on.iter().enumerate();
        let said = said.map(|(number, id)| (Place::DependsOn(number), id));
        let referred = self.templates().flat_map(|(place, template)| {
            let ids = template
                .references()
                .into_iter()
                .filter_map(|reference| match reference {
                    Reference::Step { id, .. } => Some(id),
                    _ => None,
                });
            ids.map(move |id| (Place::In(place.clone()), id))
        });
        let asked = self.when.iter().flat_map(Condition::steps);
        said.chain(referred)
            .chain(asked.map(|id| (Place::In("when".into()), id)))
    }
}

/// A place in a step; put together only where something is wrong there.
pub(super) enum Place {
    DependsOn(usize),
    In(Cow<'static, str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DependsOn(number) => write!(f, "depends_on[{number}]"),
            Self::In(place) => f.write_str(place),
        }
    }
}

/// A plan with its edges.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// For each step the numbers of those that wait for it.
    pub(super) waited_for_by: Vec<Vec<u32>>,
    pub(super) numbers: HashMap<Arc<str>, u32>,
    /// What the plan gives, where it says so.
    pub(super) output: Option<Template>,
}

impl Graph {
    /// Reads a plan's steps and its output through, and notes what is wrong with their own form: ids, references and edges.
    pub(super) fn read(steps: Vec<Step>, output: &Value, problems: &mut Vec<Problem>) -> Self {
        let mut graph = Self {
            nodes: Vec::with_capacity(steps.len()),
            numbers: HashMap::with_capacity(steps.len()),
            ..Self::default()
        };
        for (number, step) in steps.into_iter().enumerate() {
            let mut wrong = Wrong::new();
            let step = Arc::new(step);
            let node = Node::read(step.clone(), &mut wrong);
            let place = |inside: &str| format!("steps[{number}].{inside}");
            problems.extend(
                wrong
                    .into_iter()
                    .map(|(at, why)| Problem::new(place(&at), why)),
            );
            let index = u32::try_from(number).unwrap_or(u32::MAX);
            if let Some(first) = graph.numbers.get(&step.id) {
                problems.push(Problem::new(
                    place("id"),
                    format!("`{}` is the id of steps[{first}] already", step.id),
                ));
            } else {
                graph.numbers.insert(step.id.clone(), index);
            }
            graph.nodes.push(node);
        }
        let mut wrong = Wrong::new();
        if !output.is_null() {
            graph.output = Some(Template::parse(output, "output", &mut wrong));
        }
        problems.extend(wrong.into_iter().map(|(at, why)| Problem::new(at, why)));
        graph.connect(problems);
        graph
    }

    /// The ids of its steps, in the plan's order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| &*node.step.id)
    }

    /// Resolves the ids that steps wait for.
    fn connect(&mut self, problems: &mut Vec<Problem>) {
        self.waited_for_by = vec![Vec::new(); self.nodes.len()];
        for number in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(number) else {
                continue;
            };
            let mut waits_for = Vec::new();
            for (place, id) in node.names() {
                match self.numbers.get(id) {
                    Some(other) => waits_for.push(*other),
                    None => problems.push(Problem::new(
                        format!("steps[{number}].{place}"),
                        unknown("step", id, self.ids()),
                    )),
                }
            }
            waits_for.sort_unstable();
            waits_for.dedup();
            for other in &waits_for {
                if let Some(list) = self.waited_for_by.get_mut(*other as usize) {
                    list.push(u32::try_from(number).unwrap_or(u32::MAX));
                }
            }
            if let Some(node) = self.nodes.get_mut(number) {
                node.waits_for = waits_for;
            }
        }
    }

    /// A ring of steps that wait for each other, by number, if there is one.
    pub(super) fn ring(&self) -> Option<Vec<u32>> {
        let mut open: Vec<usize> = self.nodes.iter().map(|node| node.waits_for.len()).collect();
        let free = open.iter().enumerate().filter(|(_, open)| **open == 0);
        let mut free: Vec<usize> = free.map(|(number, _)| number).collect();
        let mut left = self.nodes.len();
        while let Some(number) = free.pop() {
            left -= 1;
            for other in self.waited_for_by.get(number).into_iter().flatten() {
                let other = *other as usize;
                if let Some(count) = open.get_mut(other) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(other);
                    }
                }
            }
        }
        if left == 0 {
            return None;
        }
        // Every step that is left waits for one that is left: going back long enough leads into a ring.
        let mut at = open.iter().position(|open| *open > 0)?;
        let mut seen = vec![usize::MAX; self.nodes.len()];
        let mut path = Vec::new();
        loop {
            match seen.get_mut(at)? {
                first @ &mut usize::MAX => *first = path.len(),
                first => {
                    let mut ring = path.split_off(*first);
                    ring.reverse();
                    // The same ring is the same path, wherever it was entered.
                    let first = ring.iter().enumerate().min_by_key(|(_, number)| **number);
                    let first = first.map_or(0, |(at, _)| at);
                    ring.rotate_left(first);
                    return Some(ring);
                }
            }
            path.push(u32::try_from(at).ok()?);
            let back = self.nodes.get(at)?.waits_for.iter();
            at = back
                .map(|other| *other as usize)
                .find(|other| open.get(*other).is_some_and(|open| *open > 0))?;
        }
    }
}

/// A name that is not there, with the one that was perhaps meant.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(name, known);
    let name = shown(name);
    match near.first() {
        Some(other) => format!("there is no {what} `{name}`; is `{}` meant?", shown(other)),
        None => format!("there is no {what} `{name}`"),
    }
}
