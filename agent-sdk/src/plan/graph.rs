//! A plan with its edges: who waits for whom, by number.

use std::{collections::HashMap, sync::Arc};

use super::{
    Alternative, Plan, Problem, Step,
    condition::Condition,
    reference::{Reference, Template},
};

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
    pub(super) fn templates(&self) -> impl Iterator<Item = (String, &Template)> {
        let others = self.others.iter().enumerate();
        let others = others.filter_map(|(number, other)| {
            Some((format!("fallback[{number}].input"), other.as_ref()?))
        });
        let over = self.over.iter().map(|over| ("map.over".to_owned(), over));
        std::iter::once(("input".to_owned(), &self.input))
            .chain(others)
            .chain(over)
    }

    /// The ids of the steps that it waits for, with the places that say so; a step may be there more than once.
    pub(super) fn names(&self) -> Vec<(String, Arc<str>)> {
        let said = self.step.depends_on.iter().enumerate();
        let said = said.map(|(number, id)| (format!("depends_on[{number}]"), id.clone()));
        let mut names: Vec<_> = said.collect();
        for (place, template) in self.templates() {
            for reference in template.references() {
                if let Reference::Step { id, .. } = reference {
                    names.push((place.clone(), id.clone()));
                }
            }
        }
        if let Some(when) = &self.when {
            names.extend(when.steps().map(|id| ("when".to_owned(), id.clone())));
        }
        names
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
    /// Reads a plan through, and notes what is wrong with its own form: ids, references and edges.
    pub(super) fn read(plan: &Plan, problems: &mut Vec<Problem>) -> Self {
        let mut graph = Self::default();
        for (number, step) in plan.steps.iter().enumerate() {
            let mut wrong = Wrong::new();
            let node = Node::read(Arc::new(step.clone()), &mut wrong);
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
        if !plan.output.is_null() {
            graph.output = Some(Template::parse(&plan.output, "output", &mut wrong));
        }
        problems.extend(wrong.into_iter().map(|(at, why)| Problem::new(at, why)));
        graph.connect(problems);
        graph
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
                match self.numbers.get(&id) {
                    Some(other) => waits_for.push(*other),
                    None => problems.push(Problem::new(
                        format!("steps[{number}].{place}"),
                        unknown("step", &id, self.numbers.keys().map(|id| &**id)),
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
    match nearest(name, known) {
        Some(other) => format!("there is no {what} `{name}`; is `{other}` meant?"),
        None => format!("there is no {what} `{name}`"),
    }
}

/// The name that was perhaps meant by one that is not there.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|other| (distance(name, other), other)).min();
    let (far, other) = near?;
    let long = name.chars().count();
    (far <= 2.max(long / 3) && far <= long / 2).then_some(other)
}

/// How many letters must be changed, put in or left out to come from one name to another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (number, letter) in from.chars().take(64).enumerate() {
        let mut above = number;
        let mut left = number + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let here = (*cell + 1)
                .min(left + 1)
                .min(above + usize::from(letter != *other));
            above = *cell;
            *cell = here;
            left = here;
        }
    }
    row.last().copied().unwrap_or_default()
}
