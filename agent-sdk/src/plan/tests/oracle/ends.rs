//! What comes of a plan without changes, as wide as there is to do: exactly what the oracle says.

use proptest::{prelude::*, proptest};
use serde_json::{Map, Value};

use super::{
    draft::{Sketch, sketch},
    drive::{Event, Run},
    expect::{Cause, Fates, Kind, fates},
    plans,
};
use crate::plan::{Input, StepEnd};

fn run(sketch: &Sketch) -> Run {
    let mut run = Run::new(&sketch.plan(), sketch.world);
    if let Some(at) = sketch.stop() {
        run.at(at, Event::Input(Input::Stop));
    }
    run.finish();
    run
}

pub(crate) fn kind(end: &StepEnd) -> Kind {
    match end.clone() {
        StepEnd::Ok {
            output, fallback, ..
        } => Kind::Ok { output, fallback },
        StepEnd::Failed { .. } => Kind::Failed,
        StepEnd::TimedOut { .. } => Kind::TimedOut,
        StepEnd::Cancelled { .. } => Kind::Cancelled,
        StepEnd::Skipped {
            because,
            is_harmless,
        } => Kind::Skipped {
            because,
            is_harmless,
        },
    }
}

pub(crate) fn causes(end: &StepEnd) -> Vec<Cause> {
    let causes = end.causes().iter();
    let causes = causes.map(|fault| {
        (
            fault.item,
            fault.choice,
            fault.attempt,
            fault.class.to_string(),
        )
    });
    causes.collect()
}

pub(crate) fn output(sketch: &Sketch, fates: &Fates) -> Value {
    let gave = |step: usize| match &fates.steps[step].kind {
        Kind::Ok { output, .. } => Some(output.clone()),
        _ => None,
    };
    if sketch.says_output {
        return serde_json::json!({ "first": gave(0) });
    }
    match fates.last.as_slice() {
        [one] => gave(*one).unwrap_or_default(),
        many => {
            let given = many.iter();
            let given = given.filter_map(|step| Some((format!("s{step}"), gave(*step)?)));
            Value::Object(given.collect::<Map<_, _>>())
        }
    }
}

proptest! {
    #![proptest_config(plans(128))]

    #[test]
    fn p5_every_step_of_a_random_plan_ends_as_the_oracle_says(sketch in sketch(Just(None))) {
        let (fates, run) = (fates(&sketch), run(&sketch));
        prop_assert_eq!(run.machine.steps().count(), fates.steps.len());
        for (step, fate) in run.machine.steps().zip(&fates.steps) {
            let end = step.end.unwrap();
            let at = run.ended[&step.number];
            prop_assert_eq!((kind(end), at), (fate.kind.clone(), fate.at), "{}", step.step.id);
        }
        prop_assert_eq!(run.over, Some((fates.at, fates.end)));
        prop_assert_eq!(run.machine.output(), Ok(output(&sketch, &fates)));
    }

    #[test]
    fn p3_every_step_of_a_random_plan_is_tried_as_often_as_the_oracle_says(
        sketch in sketch(Just(None))
    ) {
        let (fates, run) = (fates(&sketch), run(&sketch));
        for (step, fate) in run.machine.steps().zip(&fates.steps) {
            prop_assert_eq!(step.attempts, fate.attempts, "{}", step.step.id);
        }
    }

    #[test]
    fn p6_every_step_of_a_random_plan_has_all_its_causes_in_order(sketch in sketch(Just(None))) {
        let (fates, run) = (fates(&sketch), run(&sketch));
        for (step, fate) in run.machine.steps().zip(&fates.steps) {
            prop_assert_eq!(causes(step.end.unwrap()), fate.causes(), "{}", step.step.id);
        }
    }

    #[test]
    fn a_random_plan_that_runs_one_step_at_a_time_comes_to_the_same_where_nothing_depends_on_time(
        sketch in sketch(Just(Some(1)))
    ) {
        let narrow = sketch.timeless();
        let wide = Sketch { width: None, ..narrow.clone() };
        let (narrow, wide) = (run(&narrow), run(&wide));
        let ends = |run: &Run| -> Vec<&str> {
            run.machine.steps().map(|step| step.end.unwrap().as_str()).collect()
        };
        prop_assert_eq!(ends(&narrow), ends(&wide));
        prop_assert_eq!(narrow.machine.output(), wide.machine.output());
        let ((late, narrow), (early, wide)) = (narrow.over.unwrap(), wide.over.unwrap());
        prop_assert_eq!(narrow, wide);
        prop_assert!(late >= early);
    }
}
