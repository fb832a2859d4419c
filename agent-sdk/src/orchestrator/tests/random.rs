//! Random plans through the whole orchestrator, in paused time: what comes of them is what the plan's oracle says, also where they
//! are changed while they run, and where their future is dropped and another life goes on.
//!
//! A moment of the oracle's is a hundred times as long here, so that none is shorter than the timers' millisecond.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::{collection::vec, option, prelude::*, proptest};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    journal::{Question, QuestionKind, Record, Runs, Verdict},
    operation::RunContext,
    orchestrator::{Orchestrator, PlanHandle, PlanOutcome, PlanReport, PlanRequest, PlanRunError},
    plan::{
        Change, End, Ended, Input, Plan, SkipReason, Step, Task,
        tests::oracle::{
            changes::{Idea, ideas},
            draft::{Sketch, sketch},
            drive::{Event, Run, Wish},
            ends::{causes, kind, output},
            expect::{Kind, fates},
            plans,
            world::{SECOND, World},
        },
    },
    registry::Registry,
    testing::FaultyStore,
    tool::{ToolError, ToolErrorKind},
};

const SCALE: u32 = 100;
/// A millisecond here.
const GRAIN: u64 = 10_000;
/// When a plan that was paused goes on, if it did not before.
const AT_LAST: u64 = 7 * SECOND;

fn long(time: u64) -> Duration {
    Duration::from_nanos(time) * SCALE
}

/// The kinds of errors that stand for the oracle's classes.
fn kinds(class: &str) -> [ToolErrorKind; 2] {
    match class {
        "broken" => [ToolErrorKind::Failed, ToolErrorKind::InvalidArguments],
        _ => [ToolErrorKind::Timeout, ToolErrorKind::RateLimited],
    }
}

/// The oracle's class of a failure.
fn class(seen: &str) -> &str {
    let is_of = |class: &str| kinds(class).iter().any(|kind| kind.as_str() == seen);
    ["broken", "refused"]
        .into_iter()
        .find(|class| is_of(class))
        .unwrap_or(seen)
}

/// A step, with what it says of times and of errors as they are here.
fn adapt(step: &mut Step) {
    step.timeout = step.timeout.map(|time| time * SCALE);
    step.retry.backoff *= SCALE;
    step.retry.max_backoff = Duration::from_hours(1);
    let classes = std::mem::take(&mut step.retry.on);
    let classes = classes.iter().flat_map(|class| kinds(class));
    step.retry.on = classes.map(|kind| kind.as_str().into()).collect();
}

fn adapted(sketch: &Sketch) -> Plan {
    let mut plan = sketch.plan();
    plan.timeout = plan.timeout.map(|time| time * SCALE);
    plan.steps.iter_mut().for_each(adapt);
    plan
}

/// What the functions of a plan know and did.
#[derive(Clone)]
struct Ground {
    world: World,
    /// The numbers of the steps.
    numbers: Arc<Mutex<BTreeMap<String, u32>>>,
    /// What must not be done again.
    over: Arc<Mutex<BTreeSet<Task>>>,
    /// What was done again all the same: a panic would end in the step.
    again: Arc<Mutex<Option<Task>>>,
}

impl Ground {
    fn of(sketch: &Sketch) -> Self {
        let numbers = (0..sketch.steps.len()).zip(0..);
        let numbers = numbers.map(|(step, number)| (format!("s{step}"), number));
        Self {
            world: sketch.world,
            numbers: Arc::new(Mutex::new(numbers.collect())),
            over: Arc::default(),
            again: Arc::default(),
        }
    }

    /// The task at a path, such as `s3.1~2@2+1`.
    fn task(&self, path: &str) -> Task {
        let (id, rest) = match path.find(['.', '~', '@', '+']) {
            Some(end) => path.split_at(end),
            None => (path, ""),
        };
        let mut task = Task {
            step: self.numbers.lock().unwrap()[id],
            round: 0,
            item: None,
            choice: 0,
            attempt: 1,
        };
        let number = |mark: char| {
            let after = rest.split(mark).nth(1)?;
            let end = after.split(['~', '@', '+']).next();
            end.map(|number| number.parse::<u32>().unwrap())
        };
        task.item = number('.');
        task.choice = number('~').unwrap_or(0);
        task.attempt = number('@').unwrap_or(1);
        task.round = number('+').unwrap_or(0);
        task
    }

    async fn work(self, context: RunContext) -> Result<Value, ToolError> {
        let task = self.task(&context.within().unwrap().path);
        if self.over.lock().unwrap().contains(&task) {
            *self.again.lock().unwrap() = Some(task);
        }
        let (time, ended) = self.world.does(task);
        let told = async {
            context.cancellation().cancelled().await;
            match self.world.obeys(task) {
                Some(grace) => tokio::time::sleep(long(grace)).await,
                None => std::future::pending().await,
            }
        };
        let cancelled = || ToolError::new(ToolErrorKind::Cancelled, "it was told to stop");
        tokio::select! {
            biased;
            () = tokio::time::sleep(long(time)) => match ended {
                Ended::Ok { output } => Ok(output),
                Ended::Failed { fault } => {
                    let [passing, lasting] = kinds(&fault.class);
                    let kind = if fault.may_pass { passing } else { lasting };
                    Err(ToolError::new(kind, fault.message.to_string()))
                }
                Ended::Cancelled => Err(cancelled()),
            },
            () = told => Err(cancelled()),
        }
    }

    fn orchestrator(&self) -> Orchestrator {
        let registry = Registry::new();
        for name in ["work", "other"] {
            let ground = self.clone();
            let work = move |context: RunContext, _: Value| ground.clone().work(context);
            registry.function(name, work).unwrap();
        }
        Orchestrator::new(registry).grace(Duration::from_hours(100_000))
    }

    /// Somebody who decides as the oracle says, and has everything done again that is in doubt.
    fn asked(&self, run: PlanRequest) -> PlanRequest {
        let ground = self.clone();
        run.approver(move |question: Question| {
            let ground = ground.clone();
            async move {
                if question.kind == QuestionKind::InDoubt {
                    return Verdict::allow();
                }
                let step = ground.task(&question.path).step;
                let (time, is_allowed) = ground.world.decides(step.into());
                tokio::time::sleep(long(time)).await;
                if is_allowed {
                    Verdict::allow()
                } else {
                    Verdict::deny("")
                }
            }
        })
    }

    /// Makes changes when their moments come.
    async fn change(&self, handle: PlanHandle, ideas: &[Idea]) {
        let began = Instant::now();
        let mut ideas: Vec<_> = ideas.iter().collect();
        ideas.sort_by_key(|idea| idea.at(self.world));
        for idea in ideas {
            tokio::time::sleep_until(began + long(idea.at(self.world))).await;
            let Ok(plan) = handle.plan().await else {
                return;
            };
            let Some(mut change) = idea.change(&plan) else {
                continue;
            };
            if let Change::Add { step } | Change::Modify { step } = &mut change {
                adapt(step);
            }
            let mut before = None;
            if let Change::Add { step } = &change {
                // It may begin before anybody hears that it was added.
                let id = step.id.to_string();
                let mut numbers = self.numbers.lock().unwrap();
                let next = numbers.values().max().map_or(0, |last| last + 1);
                before = Some((id.clone(), numbers.insert(id, next)));
            }
            if handle.change(change).await.is_err()
                && let Some((id, number)) = before
            {
                let mut numbers = self.numbers.lock().unwrap();
                match number {
                    Some(number) => numbers.insert(id, number),
                    None => numbers.remove(&id),
                };
            }
        }
        tokio::time::sleep_until(began + long(AT_LAST)).await;
        // It may be over.
        let _ = handle.resume().await;
    }
}

/// Goes on with a plan that is still paused.
#[derive(Debug)]
struct GoOn;

impl Wish for GoOn {
    fn change(&self, _: &Plan) -> Option<Change> {
        Some(Change::Resume)
    }
}

fn in_paused_time<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

fn outcome(ended: Result<PlanReport, PlanRunError>) -> PlanOutcome {
    match ended {
        Ok(report) => report.outcome,
        Err(error) => match error.report() {
            Some(report) => report.outcome.clone(),
            None => panic!("{error}: {:?}", std::error::Error::source(&error)),
        },
    }
}

fn begin(ground: &Ground, sketch: &Sketch, store: &Arc<FaultyStore>) -> PlanRequest {
    let context = RunContext::builder().run_id("r").build();
    let run = ground.orchestrator().run(&adapted(sketch));
    ground.asked(run.context(&context).store(store.clone()))
}

/// A plan that nobody disturbs but those who change or stop it, and how long it takes.
async fn whole(sketch: &Sketch, ideas: Option<&[Idea]>) -> (PlanOutcome, Duration) {
    let (ground, store) = (Ground::of(sketch), Arc::new(FaultyStore::new()));
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let mut run = begin(&ground, sketch, &store).cancellation(stop.clone());
    let handle = run.handle();
    let changing = async {
        if let Some(ideas) = ideas {
            ground.change(handle, ideas).await;
        }
    };
    let stopping = async {
        if let Some(at) = sketch.stop() {
            tokio::time::sleep(long(at)).await;
            stop.cancel();
        }
    };
    let run = async {
        let ended = run.into_future().await;
        (ended, began.elapsed())
    };
    let ((ended, took), (), ()) = tokio::join!(run, changing, stopping);
    (outcome(ended), took)
}

/// What the machine alone comes to; `None` where that depends on which of two things at the same moment is first.
fn alone(sketch: &Sketch, ideas: Option<&[Idea]>) -> Option<Run> {
    let mut run = Run::new(&sketch.plan(), sketch.world);
    if let Some(at) = sketch.stop() {
        run.at(at, Event::Input(Input::Stop));
    }
    for idea in ideas.unwrap_or_default() {
        run.at(idea.at(sketch.world), Event::Change(Box::new(idea.clone())));
    }
    if ideas.is_some() {
        run.at(AT_LAST, Event::Change(Box::new(GoOn)));
    }
    run.finish_once();
    (!run.has_ties).then_some(run)
}

fn seen(step: &crate::orchestrator::StepReport) -> Vec<(Option<u32>, u32, u32, String)> {
    let causes = causes(&step.end).into_iter();
    causes
        .map(|(item, choice, attempt, seen)| (item, choice, attempt, class(&seen).to_owned()))
        .collect()
}

/// The report says what the machine came to, of every step.
fn same_as(run: &Run, outcome: &PlanOutcome, took: Duration) -> Result<(), TestCaseError> {
    let (at, end) = run.over.unwrap();
    prop_assert_eq!((outcome.end, took), (end, long(at)));
    prop_assert_eq!(outcome.steps.len(), run.machine.steps().count());
    for (step, there) in outcome.steps.iter().zip(run.machine.steps()) {
        let end = there.end.unwrap();
        prop_assert_eq!(&step.id, &there.step.id);
        prop_assert_eq!(kind(&step.end), kind(end), "{}", step.id);
        prop_assert_eq!(seen(step), causes(end), "{}", step.id);
        prop_assert_eq!(step.attempts, there.attempts, "{}", step.id);
    }
    if outcome.end == End::Ok {
        prop_assert_eq!(Ok(outcome.output.clone()), run.machine.output());
    }
    Ok(())
}

/// The tries that are kept.
async fn kept(ground: &Ground, store: &Arc<FaultyStore>) -> BTreeSet<Task> {
    let mut kept = BTreeSet::new();
    for stored in Runs::new(store.clone()).records("r").await.unwrap() {
        if let Record::StepEnded { task, .. } = stored.record {
            let number = ground.numbers.lock().unwrap()[&*task.step];
            assert!(kept.insert(task.of(number)), "{task:?} ended twice");
        }
    }
    kept
}

/// A plan whose future is dropped after each of these times, and that goes on until it is over.
async fn in_many_lives(sketch: &Sketch, lives: &[u64]) -> PlanOutcome {
    let (ground, store) = (Ground::of(sketch), Arc::new(FaultyStore::new()));
    let mut run = begin(&ground, sketch, &store);
    for life in lives {
        let time = long(sketch.world.grained(*life));
        let ended = tokio::time::timeout(time, run.into_future()).await;
        if let Ok(ended) = ended {
            return outcome(ended);
        }
        // From now on.
        *ground.over.lock().unwrap() = kept(&ground, &store).await;
        let again = ground.orchestrator().resume("r", store.clone());
        run = ground.asked(again);
    }
    let ended = run.await;
    assert_eq!(
        *ground.again.lock().unwrap(),
        None,
        "it was kept, and is done again"
    );
    outcome(ended)
}

/// Which of several failed steps is named depends on which failed first.
fn unnamed(kind: Kind) -> Kind {
    match kind {
        Kind::Skipped {
            because: SkipReason::Step(_),
            is_harmless,
        } => Kind::Skipped {
            because: SkipReason::Step("any".into()),
            is_harmless,
        },
        other => other,
    }
}

fn grained(mut sketch: Sketch) -> Sketch {
    sketch.world.grain = GRAIN;
    sketch
}

proptest! {
    #![proptest_config(plans(32))]

    #[test]
    fn p3_p5_p6_a_random_plan_comes_to_what_the_oracle_says(sketch in sketch(Just(None))) {
        let sketch = grained(sketch);
        let Some(run) = alone(&sketch, None) else { return Ok(()); };
        let (outcome, took) = in_paused_time(whole(&sketch, None));
        same_as(&run, &outcome, took)?;
        let fates = fates(&sketch);
        prop_assert_eq!((outcome.end, took), (fates.end, long(fates.at)));
        for (step, fate) in outcome.steps.iter().zip(&fates.steps) {
            prop_assert_eq!(&kind(&step.end), &fate.kind, "{}", step.id);
            prop_assert_eq!(seen(step), fate.causes(), "{}", step.id);
            prop_assert_eq!(step.attempts, fate.attempts, "{}", step.id);
        }
        if outcome.end == End::Ok {
            prop_assert_eq!(outcome.output, output(&sketch, &fates));
        }
    }

    #[test]
    fn p3_p5_a_random_plan_that_is_changed_while_it_runs_comes_to_what_its_machine_does(
        sketch in sketch(option::of(1_u32..4)),
        ideas in ideas(),
    ) {
        let sketch = grained(sketch);
        let Some(run) = alone(&sketch, Some(&ideas)) else { return Ok(()); };
        let (outcome, took) = in_paused_time(whole(&sketch, Some(&ideas)));
        same_as(&run, &outcome, took)?;
    }

    #[test]
    fn p5_a_random_plan_that_is_dropped_at_random_moments_comes_to_the_same_in_its_last_life(
        sketch in sketch(Just(None)),
        lives in vec(0..3 * SECOND, 1..4),
    ) {
        let sketch = grained(sketch).timeless();
        let outcome = in_paused_time(in_many_lives(&sketch, &lives));
        let fates = fates(&sketch);
        prop_assert_eq!(outcome.end, fates.end);
        for (number, (step, fate)) in outcome.steps.iter().zip(&fates.steps).enumerate() {
            prop_assert_eq!(unnamed(kind(&step.end)), unnamed(fate.kind.clone()), "{}", step.id);
            // Which elements of a list were begun before it was lost depends on how long they take.
            if sketch.steps[number].over(number).is_none() {
                prop_assert_eq!(seen(step), fate.causes(), "{}", step.id);
                prop_assert_eq!(step.attempts, fate.attempts, "{}", step.id);
            }
        }
        if outcome.end == End::Ok {
            prop_assert_eq!(outcome.output, output(&sketch, &fates));
        }
    }
}
