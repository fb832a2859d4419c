//! A plan as lines of text.

use super::{
    Layers,
    words::{self, NAME, SENTENCE},
};
use crate::plan::{MAX_DEPTH, Plan, Step, Work};

/// The widest that ids and works are made, so that what stands behind them is under each other.
const COLUMN: usize = 24;

/// A branch of the tree: what stands before the lines of its children.
type Prefix<'a> = &'a str;

pub(super) fn draw(plan: &Plan) -> String {
    let mut drawing = Drawing::default();
    drawing.plan("plan", plan, "", 1);
    drawing.lines
}

#[derive(Default)]
struct Drawing {
    lines: String,
}

impl Drawing {
    fn line(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.lines.push_str(piece);
        }
        self.lines.truncate(self.lines.trim_end().len());
        self.lines.push('\n');
    }

    /// A plan whose first line stands where the last one was begun. Plans are in each other at most [`MAX_DEPTH`] deep.
    fn plan(&mut self, what: &str, plan: &Plan, prefix: Prefix<'_>, depth: usize) {
        let layers = Layers::of(plan);
        let mut head = format!("{what} {}: ", words::line(&plan.name, NAME));
        head.push_str(&words::size(plan, &layers));
        for setting in words::settings(plan) {
            head = format!("{head}  [{setting}]");
        }
        self.line(&[&head]);
        if let Some(text) = &plan.description {
            self.line(&[prefix, "│  ", &words::line(text, SENTENCE)]);
        }
        if !plan.params.is_empty() {
            let names = plan.params.keys();
            let names: Vec<_> = names.map(|name| words::line(name, NAME)).collect();
            self.line(&[prefix, "│  params ", &names.join(", ")]);
        }
        if depth > MAX_DEPTH {
            self.line(&[prefix, "└─ it is too deep to be drawn"]);
            return;
        }
        let more = plan.fallback.is_some();
        let last = layers.layers.len();
        for (number, layer) in layers.layers.iter().enumerate() {
            let (branch, below) = branches(prefix, number + 1 == last && !more);
            self.line(&[&branch, "layer ", &(number + 1).to_string()]);
            self.layer(plan, &layers, layer, &below, depth);
        }
        if let Some(fallback) = &plan.fallback {
            let (branch, below) = branches(prefix, true);
            self.lines.push_str(&branch);
            self.plan("fallback plan", fallback, &below, depth + 1);
        }
    }

    fn layer(
        &mut self,
        plan: &Plan,
        layers: &Layers,
        layer: &[u32],
        prefix: Prefix<'_>,
        depth: usize,
    ) {
        let step = |number: &u32| Some((*number, plan.steps.get(*number as usize)?));
        let cells = || layer.iter().filter_map(step);
        let width = |cell: &dyn Fn(&Step) -> String| {
            let widths = cells().map(|(_, step)| cell(step).chars().count());
            widths.filter(|width| *width <= COLUMN).max().unwrap_or(0)
        };
        let ids = width(&|step| words::line(&step.id, NAME));
        let works = width(&|step| words::work(&step.work));
        for (at, (number, step)) in cells().enumerate() {
            let (branch, below) = branches(prefix, at + 1 == layer.len());
            let id = words::line(&step.id, NAME);
            let mut text = format!("{id:<ids$}  {:<works$}", words::work(&step.work));
            let waits_for = layers.waits_for(number).iter();
            let waits_for = waits_for.filter_map(|other| plan.steps.get(*other as usize));
            let waits_for: Vec<_> = waits_for.map(|step| words::line(&step.id, NAME)).collect();
            if !waits_for.is_empty() {
                text.push_str("  ← ");
                text.push_str(&waits_for.join(", "));
            }
            for (mark, value) in words::marks(step) {
                text = format!("{text}  [{} {value}]", mark.as_str());
            }
            for other in &step.fallback {
                text = format!("{text}  [fallback {}]", words::work(&other.work));
            }
            self.line(&[&branch, &text]);
            self.inside(step, &below, depth);
        }
    }

    /// What stands below a step: what it is for, and the plans that may run in it.
    fn inside(&mut self, step: &Step, prefix: Prefix<'_>, depth: usize) {
        if let Some(text) = words::purpose(step) {
            self.line(&[prefix, &text]);
        }
        let own = plan_of(&step.work).map(|plan| ("plan", plan));
        let others = step
            .fallback
            .iter()
            .filter_map(|other| plan_of(&other.work));
        let others = others.map(|plan| ("fallback plan", plan));
        let plans: Vec<_> = own.into_iter().chain(others).collect();
        for (at, (what, plan)) in plans.iter().enumerate() {
            let (branch, below) = branches(prefix, at + 1 == plans.len());
            self.lines.push_str(&branch);
            self.plan(what, plan, &below, depth + 1);
        }
    }
}

/// What stands before a child, and before the lines below it.
fn branches(prefix: &str, is_last: bool) -> (String, String) {
    let (branch, below) = if is_last {
        ("└─ ", "   ")
    } else {
        ("├─ ", "│  ")
    };
    (format!("{prefix}{branch}"), format!("{prefix}{below}"))
}

/// The plan that runs in a step, where one does.
fn plan_of(work: &Work) -> Option<&Plan> {
    match work {
        Work::Plan(plan) => Some(plan),
        _ => None,
    }
}
