//! A plan whose process dies at any moment goes on to the same end.

use proptest::{prelude::*, proptest, sample::Index};

use super::{
    changes::{Idea, changed, ideas},
    draft::{Sketch, sketch},
    drive::{Mark, Run, Told},
    plans,
};
use crate::plan::{Command, End, Ended, Input, Machine, Open, Params, SkipReason, StepEnd, Timer};

/// Tells a machine what another was told.
fn tell(machine: &mut Machine, (told, mark): &(Told, Mark)) {
    let fitted = match told {
        Told::Input(input) => machine.apply(input.clone()),
        Told::Change(change) => {
            let changed = machine.change(change, &Open);
            assert_eq!(changed, Ok(()), "{change:?}");
            true
        }
    };
    assert!(fitted || mark.is_in_vain, "{told:?}");
}

/// Does what it says, as far as nobody else does: what it drops ends.
fn obey(machine: &mut Machine) -> Option<End> {
    let mut end = None;
    while let Some(command) = machine.command() {
        match command {
            Command::Finish(over) => end = Some(over),
            Command::Drop { task } => {
                let ended = Ended::Cancelled;
                machine.apply(Input::Ended { task, ended });
            }
            _ => {}
        }
    }
    end
}

fn ends(machine: &Machine) -> Vec<Option<StepEnd>> {
    let steps = 0..=machine.steps().map(|step| step.number).max().unwrap();
    steps.map(|number| machine.end(number).cloned()).collect()
}

/// What a journal keeps: of the waits for another try, nothing.
fn journal(run: &Run, with_waits: bool) -> Vec<(Told, Mark)> {
    let is_wait = |told: &Told| matches!(told, Told::Input(Input::Timer(Timer::Retry(_))));
    let kept = run
        .told
        .iter()
        .filter(|(told, _)| with_waits || !is_wait(told));
    kept.cloned().collect()
}

fn machine(sketch: &Sketch) -> Machine {
    Machine::new(&sketch.plan(), &Open, &Params::new(), sketch.world.seed).unwrap()
}

/// Another machine is told a part of it, goes on, and is told the rest.
fn again(sketch: &Sketch, ideas: &[Idea], cut: Index, with_waits: bool) {
    let run = changed(sketch, ideas);
    let journal = journal(&run, with_waits);
    let cut = cut.index(journal.len() + 1);
    let (before, after) = journal.split_at(cut);
    let mut other = machine(sketch);
    for told in before {
        tell(&mut other, told);
        if !told.1.is_stopping {
            let mut known = ends(&other);
            if other.is_stopping() {
                // Of what may have run when the plan stopped there is no end in the journal.
                for (known, there) in known.iter_mut().zip(&told.1.ends) {
                    if known.is_none() {
                        known.clone_from(there);
                    }
                }
            }
            assert_eq!(known, told.1.ends, "{:?}", told.0);
        }
    }
    other.go_on();
    if let Some((_, mark)) = before.last().filter(|(_, mark)| mark.is_stopping) {
        assert!(obey(&mut other).is_some());
        for (end, there) in ends(&other).into_iter().zip(&mark.ends) {
            let is_open = matches!(
                end,
                Some(
                    StepEnd::Cancelled { .. }
                        | StepEnd::Skipped {
                            because: SkipReason::Stopped,
                            ..
                        }
                )
            );
            assert!(end == *there || there.is_none() && is_open, "{end:?}");
        }
        return;
    }
    let stops = sketch.stops || sketch.stop.is_some() || sketch.timeout().is_some();
    let is_wide = sketch.width.is_none();
    if !(is_wide && (with_waits || !stops) || ideas.is_empty() && !stops) {
        return;
    }
    let mut end = obey(&mut other);
    for told in after {
        tell(&mut other, told);
        end = obey(&mut other).or(end);
    }
    assert_eq!(ends(&other), ends(&run.machine));
    assert_eq!(end, run.over.map(|(_, end)| end));
    assert_eq!(other.output(), run.machine.output());
}

proptest! {
    #![proptest_config(plans(96))]

    #[test]
    fn p5_a_plan_that_dies_at_any_moment_and_goes_on_comes_to_the_same_ends(
        sketch in sketch(prop_oneof![2 => Just(None), 1 => (1_u32..4).prop_map(Some)]),
        ideas in prop_oneof![Just(Vec::new()), ideas()],
        cut in any::<Index>(),
        with_waits in any::<bool>(),
    ) {
        again(&sketch, &ideas, cut, with_waits);
    }

    #[test]
    fn p3_a_plan_that_goes_on_after_its_process_died_keeps_its_promises(
        sketch in sketch(proptest::option::of(1_u32..4)),
        ideas in ideas(),
        cut in any::<Index>(),
    ) {
        let run = changed(&sketch, &ideas);
        let journal = journal(&run, false);
        let mut other = machine(&sketch);
        for told in &journal[..cut.index(journal.len() + 1)] {
            tell(&mut other, told);
        }
        other.go_on();
        Run::of(other, sketch.world).finish();
    }
}
