//! A plan as a Mermaid flow chart.
//!
//! Nodes have names of our own, so that no id of a plan can be a word of the language. Every text stands in quotes, and in it only
//! letters, digits and spaces stand for themselves: all the rest is written as numbers, which Mermaid shows as what they
//! stand for. So no text can end its label, be read as Markdown or HTML, or name a style.

use std::fmt::Write;

use super::{
    Layers,
    words::{self, NAME},
};
use crate::plan::{MAX_DEPTH, Plan, Step, Work};

pub(super) fn draw(plan: &Plan) -> String {
    let mut chart = Chart {
        lines: "flowchart TD\n".to_owned(),
        nodes: 0,
    };
    chart.plan(&title("plan", plan), plan, 1);
    chart.lines
}

struct Chart {
    lines: String,
    /// How many names were given to nodes.
    nodes: usize,
}

impl Chart {
    fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..depth {
            self.lines.push_str("  ");
        }
        self.lines.push_str(text);
        self.lines.push('\n');
    }

    fn name(&mut self) -> String {
        self.nodes += 1;
        format!("n{}", self.nodes)
    }

    /// A plan as a box. If it has one to fall back on, that is a box beside it.
    fn plan(&mut self, label: &[String], plan: &Plan, depth: usize) -> String {
        let first = self.group(label, plan, depth);
        let mut name = first.clone();
        let mut next = plan.fallback.as_deref();
        while let Some(plan) = next {
            let other = self.group(&title("fallback plan", plan), plan, depth);
            self.fallback(&name, &other, depth);
            name = other;
            next = plan.fallback.as_deref();
        }
        first
    }

    fn fallback(&mut self, from: &str, to: &str, depth: usize) {
        self.line(depth, &format!("{from} -.->|fallback| {to}"));
    }

    /// A box with the steps of a plan, without its fallback. Plans are in each other at most [`MAX_DEPTH`] deep.
    fn group(&mut self, label: &[String], plan: &Plan, depth: usize) -> String {
        let name = self.name();
        // Of the name of a box, a second line would lie behind what is in it.
        let label = [label.join(", ")];
        self.line(depth, &format!("subgraph {name}[{}]", quoted(&label)));
        // A box that no arrow leads into would otherwise lie across.
        self.line(depth + 1, "direction TB");
        if depth > MAX_DEPTH {
            let deeper = self.name();
            let label = quoted(&["it is too deep to be drawn".to_owned()]);
            self.line(depth + 1, &format!("{deeper}[{label}]"));
        } else {
            let names: Vec<_> = plan
                .steps
                .iter()
                .map(|step| self.step(step, depth + 1))
                .collect();
            let layers = Layers::of(plan);
            for (waits_for, name) in layers.waits_for.iter().zip(&names) {
                let others = waits_for.iter();
                for other in others.filter_map(|other| names.get(*other as usize)) {
                    self.line(depth + 1, &format!("{other} --> {name}"));
                }
            }
        }
        self.line(depth, "end");
        name
    }

    /// A step, with what runs in its place below it.
    fn step(&mut self, step: &Step, depth: usize) -> String {
        let mut label = vec![words::line(&step.id, NAME), words::work(&step.work)];
        for (mark, value) in words::marks(step) {
            label.push(format!("{} {value}", mark.as_str()));
        }
        let first = self.work(&step.work, &label, depth);
        let mut name = first.clone();
        for other in &step.fallback {
            let label = [words::work(&other.work)];
            let other = self.work(&other.work, &label, depth);
            self.fallback(&name, &other, depth);
            name = other;
        }
        first
    }

    fn work(&mut self, work: &Work, label: &[String], depth: usize) -> String {
        let (open, close) = match work {
            Work::Plan(plan) => return self.plan(label, plan, depth),
            Work::Agent { .. } => ("(", ")"),
            Work::Tool { .. } => ("[", "]"),
            Work::Function { .. } => ("[[", "]]"),
        };
        let name = self.name();
        self.line(depth, &format!("{name}{open}{}{close}", quoted(label)));
        name
    }
}

/// The label of a plan.
fn title(what: &str, plan: &Plan) -> Vec<String> {
    let name = format!("{what} {}", words::line(&plan.name, NAME));
    std::iter::once(name).chain(words::settings(plan)).collect()
}

/// Lines of a label, in quotes.
fn quoted(lines: &[String]) -> String {
    let mut label = "\"".to_owned();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            label.push_str("<br/>");
        }
        escape(line, &mut label);
    }
    label.push('"');
    label
}

fn escape(line: &str, label: &mut String) {
    let mut before = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        // Inside of a word these mean nothing to anybody.
        let is_inside = before.is_alphanumeric() && after.is_alphanumeric();
        if c.is_alphanumeric() || c == ' ' || (is_inside && matches!(c, '-' | '_' | '.')) {
            label.push(c);
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(label, "#{};", u32::from(c));
        }
        before = c;
    }
}
