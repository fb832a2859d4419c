//! What the steps of a plan need, those of the plans inside it and of its fallbacks included.

use agent_sdk::plan::{Plan, Step, Work};

/// Whether a step asks a person.
pub(super) fn asks_person(plan: &Plan) -> bool {
    any_step(plan, |step| step.approval.is_some())
}

/// Whether an agent runs in a step, which asks a model.
pub(super) fn asks_model(plan: &Plan) -> bool {
    any_step(plan, |step| {
        works(step).any(|work| matches!(work, Work::Agent { .. }))
    })
}

fn any_step(plan: &Plan, is_it: impl Fn(&Step) -> bool) -> bool {
    let mut open = vec![plan];
    while let Some(plan) = open.pop() {
        for step in &plan.steps {
            if is_it(step) {
                return true;
            }
            open.extend(works(step).filter_map(|work| match work {
                Work::Plan(plan) => Some(&**plan),
                _ => None,
            }));
        }
        open.extend(plan.fallback.as_deref());
    }
    false
}

/// What may run in a step.
fn works(step: &Step) -> impl Iterator<Item = &Work> {
    let others = step.fallback.iter().map(|other| &other.work);
    std::iter::once(&step.work).chain(others)
}
