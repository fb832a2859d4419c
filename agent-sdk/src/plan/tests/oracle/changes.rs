//! Plans of any width, changed while they run: what must hold whatever happens. [`drive`](super::drive) watches it.

use proptest::{collection::vec, option, prelude::*, proptest, sample::Index};

use super::{
    draft::{Sketch, sketch},
    drive::{Event, Run, Wish},
    plans,
    world::{SECOND, World},
};
use crate::plan::{Change, Input, Join, Plan, Retry, Step};

/// A change that is to be made of the plan as it stands then.
#[derive(Clone, Debug)]
pub(crate) struct Idea {
    at: u64,
    kind: u8,
    one: Index,
    other: Index,
    name: u8,
}

impl Idea {
    /// When it is to be made, in a world of such a grain.
    pub(crate) fn at(&self, world: World) -> u64 {
        world.grained(self.at)
    }
}

impl Wish for Idea {
    fn change(&self, plan: &Plan) -> Option<Change> {
        let ids: Vec<_> = plan.steps.iter().map(|step| step.id.clone()).collect();
        let (id, other) = (self.one.get(&ids).clone(), self.other.get(&ids).clone());
        let step = |id: &str| {
            let join = [Join::All, Join::Any][usize::from(self.name % 2)];
            let step = Step::function(id, "work").after([other.clone()]).join(join);
            let step = step
                .priority(i32::from(self.name) - 2)
                .retry(Retry::attempts(2).with_jitter(0.0));
            Box::new(Step::from(step.input(format!("${{steps.{other}}}"))))
        };
        Some(match self.kind {
            0 => Change::Add {
                step: step(&format!("x{}", self.name)),
            },
            1 => Change::Remove { id },
            2 => Change::Modify { step: step(&id) },
            3 => Change::Pause,
            4 => Change::Resume,
            5 => Change::Skip { id },
            6 | 7 => Change::Retry { id },
            _ => Change::Restart { id },
        })
    }
}

pub(crate) fn ideas() -> impl Strategy<Value = Vec<Idea>> {
    let idea = (
        0..6 * SECOND,
        0_u8..9,
        any::<Index>(),
        any::<Index>(),
        0_u8..5,
    );
    let idea = idea.prop_map(|(at, kind, one, other, name)| Idea {
        at,
        kind,
        one,
        other,
        name,
    });
    vec(idea, 0..10)
}

/// A plan that runs to its end, with these changes.
pub(crate) fn changed(sketch: &Sketch, ideas: &[Idea]) -> Run {
    let mut run = Run::new(&sketch.plan(), sketch.world);
    if let Some(at) = sketch.stop() {
        run.at(at, Event::Input(Input::Stop));
    }
    for idea in ideas {
        run.at(idea.at, Event::Change(Box::new(idea.clone())));
    }
    run.finish();
    run
}

proptest! {
    #![proptest_config(plans(192))]

    #[test]
    fn p3_p5_a_random_plan_that_is_changed_while_it_runs_keeps_its_promises(
        sketch in sketch(option::of(1_u32..4)),
        ideas in ideas(),
    ) {
        changed(&sketch, &ideas);
    }
}
