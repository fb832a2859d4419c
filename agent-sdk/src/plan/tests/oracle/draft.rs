//! Plans to try: what a step waits for comes before it.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use proptest::{collection::vec, option, prelude::*, sample::Index};
use serde_json::{Value, json};

use super::world::World;
use crate::plan::{FailurePolicy, Join, Map, Plan, Retry, Step, StepBuilder, Work};

/// A plan, as the oracle reads it.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    pub(crate) world: World,
    pub(crate) steps: Vec<Draft>,
    pub(crate) width: Option<u32>,
    pub(crate) stops: bool,
    /// About how many half seconds it may take.
    pub(crate) time: Option<u8>,
    /// After about how many half seconds it is stopped.
    pub(crate) stop: Option<u8>,
    pub(crate) says_output: bool,
}

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    after: Vec<Index>,
    uses: Vec<(Index, Part)>,
    join: u8,
    when: Option<(Index, When)>,
    map: Option<Over>,
    pub(crate) window: Option<u32>,
    pub(crate) attempts: u32,
    /// The first wait, in quarters of a second, which are exact in a double.
    pub(crate) wait: u8,
    pub(crate) doubles: bool,
    pub(crate) only: Option<bool>,
    fallback: Vec<Option<(Index, Part)>>,
    pub(crate) time: Option<u8>,
    pub(crate) priority: i32,
    pub(crate) asks: bool,
}

/// A part of what a step gave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Whole,
    Text,
    N,
    List,
    First,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Ok,
    NotOk,
    Large,
}

#[derive(Clone, Debug)]
enum Over {
    /// A list of so many, and whether its elements have a member `n`, which is asked for.
    List(Vec<bool>),
    Step(Index, Part),
}

impl Part {
    fn written(self, step: usize) -> String {
        match self {
            Self::Whole => format!("${{steps.s{step}}}"),
            Self::Text => format!("<${{steps.s{step}}}>"),
            Self::N => format!("${{steps.s{step}/n}}"),
            Self::List => format!("${{steps.s{step}/list}}"),
            Self::First => format!("${{steps.s{step}/0}}"),
        }
    }

    /// The part, where it is there.
    pub(crate) fn of(self, whole: &Value) -> Option<&Value> {
        match self {
            Self::Whole | Self::Text => Some(whole),
            Self::N => whole.get("n"),
            Self::List => whole.get("list"),
            Self::First => whole.get(0),
        }
    }
}

/// The step of those before this one.
fn earlier(number: usize, index: Index) -> Option<usize> {
    (number > 0).then(|| index.index(number))
}

impl Draft {
    pub(crate) fn after(&self, number: usize) -> Vec<usize> {
        let all = self.after.iter();
        all.filter_map(|index| earlier(number, *index)).collect()
    }

    pub(crate) fn uses(&self, number: usize) -> Vec<(usize, Part)> {
        let all = self.uses.iter();
        all.filter_map(|(index, part)| Some((earlier(number, *index)?, *part)))
            .collect()
    }

    pub(crate) fn when(&self, number: usize) -> Option<(usize, When)> {
        let (index, when) = self.when?;
        Some((earlier(number, index)?, when))
    }

    /// What its fallbacks are given: `None` is what the step is given.
    pub(crate) fn fallback(&self, number: usize) -> Vec<Option<(usize, Part)>> {
        let own = |own: &Option<(Index, Part)>| {
            let (index, part) = (*own)?;
            Some((earlier(number, index)?, part))
        };
        self.fallback.iter().map(own).collect()
    }

    /// The list that it runs over, or the step that gives it.
    pub(crate) fn over(&self, number: usize) -> Option<Result<Vec<Value>, (usize, Part)>> {
        Some(match self.map.as_ref()? {
            Over::List(list) => Ok(list.iter().map(|n| element(*n)).collect()),
            Over::Step(index, part) => match earlier(number, *index) {
                Some(step) => Err((step, *part)),
                None => Ok(vec![element(true)]),
            },
        })
    }

    /// Whether it asks for a part of its elements, which some of them do not have.
    pub(crate) fn is_picky(&self) -> bool {
        matches!(&self.map, Some(Over::List(_)))
    }

    /// What it waits for.
    pub(crate) fn waits_for(&self, number: usize) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = self.after(number).into_iter().collect();
        all.extend(self.uses(number).into_iter().map(|(step, _)| step));
        all.extend(self.when(number).map(|(step, _)| step));
        all.extend(self.fallback(number).into_iter().flatten().map(|own| own.0));
        if let Some(Err((step, _))) = self.over(number) {
            all.insert(step);
        }
        all
    }

    pub(crate) fn join(&self, number: usize) -> Join {
        match (self.join, self.waits_for(number).len()) {
            (6, 1..) => Join::Any,
            (7 | 8, all @ 1..) => {
                let needed = 1 + usize::from(self.wait) % all;
                Join::Quorum(
                    u32::try_from(needed)
                        .ok()
                        .and_then(NonZeroU32::new)
                        .unwrap(),
                )
            }
            _ => Join::All,
        }
    }

    pub(crate) fn map_join(&self, number: usize) -> Join {
        // A literal list that is too short is a mistake in the plan.
        let long = match self.over(number) {
            Some(Ok(list)) => u32::try_from(list.len()).unwrap(),
            _ => 3,
        };
        match self.priority.rem_euclid(3) {
            1 => Join::Any,
            2 => NonZeroU32::new(long.min(2)).map_or(Join::All, Join::Quorum),
            _ => Join::All,
        }
    }

    pub(crate) fn build(&self, world: World, number: usize) -> Step {
        let mut input: Vec<_> = self
            .uses(number)
            .iter()
            .map(|(step, part)| part.written(*step))
            .collect();
        if self.is_picky() {
            input.push("${item/n}".to_owned());
        }
        let ids = self
            .after(number)
            .into_iter()
            .map(|step| format!("s{step}"));
        let mut retry = Retry::attempts(self.attempts)
            .with_jitter(0.0)
            .with_backoff(Duration::from_millis(250) * self.wait.into());
        retry.factor = if self.doubles { 2.0 } else { 1.0 };
        if let Some(only) = self.only {
            retry = retry.with_classes([["broken", "refused"][usize::from(only)]]);
        }
        let mut step: StepBuilder = Step::function(format!("s{number}"), "work")
            .after(ids)
            .input(json!(input))
            .join(self.join(number))
            .retry(retry)
            .priority(self.priority);
        for own in self.fallback(number) {
            step = match own {
                Some((other, part)) => {
                    step.fallback_with(Work::function("other"), part.written(other))
                }
                None => step.fallback(Work::function("other")),
            };
        }
        if let Some(over) = self.over(number) {
            let over = over.map_or_else(|(step, part)| json!(part.written(step)), Value::from);
            let concurrency = self.window.and_then(NonZeroU32::new);
            let join = self.map_join(number);
            step = step.map(Map {
                over,
                concurrency,
                join,
            });
        }
        if let Some((other, when)) = self.when(number) {
            step = step.when(match when {
                When::Ok => format!("status.s{other} == 'ok'"),
                When::NotOk => format!("status.s{other} != 'ok'"),
                When::Large => format!("steps.s{other}.n >= 50"),
            });
        }
        if let Some(time) = world.time_of(number, self) {
            step = step.timeout(Duration::from_nanos(time));
        }
        if self.asks {
            step = step.approval("may it?");
        }
        step.into()
    }
}

fn element(has_n: bool) -> Value {
    if has_n { json!({"n": 1}) } else { json!({}) }
}

impl Sketch {
    pub(crate) fn plan(&self) -> Plan {
        let steps = self.steps.iter().enumerate();
        let mut plan = Plan::builder("random")
            .steps(steps.map(|(number, draft)| draft.build(self.world, number)));
        plan = match self.width {
            Some(1) => plan.sequential(),
            Some(width) => plan.concurrency(width),
            None => plan.concurrency(u32::MAX),
        };
        if self.stops {
            plan = plan.on_failure(FailurePolicy::Stop);
        }
        if let Some(time) = self.timeout() {
            plan = plan.timeout(Duration::from_nanos(time));
        }
        if self.says_output {
            plan = plan.output(json!({"first": "${steps.s0}"}));
        }
        plan.build().unwrap()
    }

    /// The same without what depends on which of two steps ends first.
    pub(crate) fn timeless(mut self) -> Self {
        (self.stops, self.time, self.stop) = (false, None, None);
        for draft in &mut self.steps {
            (draft.join, draft.when, draft.time) = (0, None, None);
        }
        self
    }

    pub(crate) fn timeout(&self) -> Option<u64> {
        let about = u64::from(self.time?) * super::world::SECOND / 2;
        Some(self.world.moment("plan", about))
    }

    /// When it is told to stop.
    pub(crate) fn stop(&self) -> Option<u64> {
        let about = u64::from(self.stop?) * super::world::SECOND / 2;
        Some(self.world.moment("stop", about))
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        12 => Just(Part::Whole),
        4 => Just(Part::Text),
        2 => Just(Part::N),
        1 => Just(Part::List),
        1 => Just(Part::First),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let when = prop_oneof![Just(When::Ok), Just(When::NotOk), Just(When::Large)];
    let over = prop_oneof![
        3 => vec(prop::bool::weighted(0.95), 0..6).prop_map(Over::List),
        1 => (any::<Index>(), Just(Part::List)).prop_map(|(index, part)| Over::Step(index, part)),
        1 => (any::<Index>(), Just(Part::Whole)).prop_map(|(index, part)| Over::Step(index, part)),
    ];
    let edges = (
        vec(any::<Index>(), 0..3),
        vec((any::<Index>(), part()), 0..3),
        0_u8..9,
        option::weighted(0.15, (any::<Index>(), when)),
        option::weighted(0.3, over),
        option::weighted(0.5, 1_u32..3),
    );
    let tries = (
        1_u32..4,
        0_u8..4,
        any::<bool>(),
        option::weighted(0.3, any::<bool>()),
        vec(option::weighted(0.3, (any::<Index>(), part())), 0..3),
    );
    let rest = (
        option::weighted(0.2, 1_u8..6),
        -2_i32..3,
        prop::bool::weighted(0.1),
    );
    (edges, tries, rest).prop_map(|(edges, tries, rest)| {
        let (after, uses, join, when, map, window) = edges;
        let (attempts, wait, doubles, only, fallback) = tries;
        let (time, priority, asks) = rest;
        Draft {
            after,
            uses,
            join,
            when,
            map,
            window,
            attempts,
            wait,
            doubles,
            only,
            fallback,
            time,
            priority,
            asks,
        }
    })
}

/// Random plans of 1 to 14 steps, as wide as there is to do or as one of these.
pub(crate) fn sketch(width: impl Strategy<Value = Option<u32>>) -> impl Strategy<Value = Sketch> {
    (
        (any::<u64>(), prop_oneof![Just(0_u64), 10..70_u64]),
        vec(draft(), 1..15),
        width,
        prop::bool::weighted(0.3),
        option::weighted(0.15, 1_u8..20),
        option::weighted(0.15, 1_u8..16),
        any::<bool>(),
    )
        .prop_map(
            |((seed, failing), steps, width, stops, time, stop, says_output)| Sketch {
                world: World {
                    seed,
                    failing,
                    grain: 1,
                },
                steps,
                width,
                stops,
                time,
                stop,
                says_output,
            },
        )
}
