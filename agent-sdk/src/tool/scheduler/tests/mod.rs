//! What every call of a scheduler keeps to.

mod agents;
mod batches;
mod drops;
mod permits;
mod sharing;
mod tries;

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture, future::join_all};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    model::ToolSpec,
    testing::TraceCapture,
    tool::{Tool, ToolOptions},
};

const MS: Duration = Duration::from_millis(1);

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn spec(name: &str) -> ToolSpec {
    let schema = RawValue::from_string(r#"{"type":"object"}"#.to_owned()).unwrap();
    ToolSpec::new(name, "Does what a test says.", schema)
}

type Act =
    dyn Fn(u32, ToolContext) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync;

/// A tool that does what a function says, which is told the number of the call, from 1. Clones are one tool.
#[derive(Clone)]
struct Fake {
    name: &'static str,
    options: ToolOptions,
    act: Arc<Act>,
    calls: Arc<AtomicU32>,
    /// When each call began.
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Fake {
    fn new<F>(
        name: &'static str,
        act: impl Fn(u32, ToolContext) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ToolOutput, ToolError>> + Send + 'static,
    {
        Self {
            name,
            options: ToolOptions::default().with_effect(Effect::ReadOnly),
            act: Arc::new(move |number, context| act(number, context).boxed()),
            calls: Arc::default(),
            times: Arc::default(),
        }
    }

    /// One that takes this long and says the number of its call.
    fn taking(name: &'static str, time: Duration) -> Self {
        Self::new(name, move |number, _| async move {
            sleep(time).await;
            Ok(format!("call {number}").into())
        })
    }

    /// One that fails so many times before it answers.
    fn failing(name: &'static str, times: u32) -> Self {
        Self::new(name, move |number, _| async move {
            if number <= times {
                return Err(ToolError::failed("not now"));
            }
            Ok(format!("call {number}").into())
        })
    }

    fn effect(mut self, effect: Effect) -> Self {
        self.options.effect = effect;
        self
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// When each call began, in milliseconds after a time.
    fn times(&self, since: Instant) -> Vec<u128> {
        let times = self.times.lock().unwrap();
        times.iter().map(|it| (*it - since).as_millis()).collect()
    }

    fn handle(&self) -> ToolHandle {
        self.clone().into()
    }
}

impl Tool for Fake {
    fn spec(&self) -> ToolSpec {
        spec(self.name)
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.times.lock().unwrap().push(Instant::now());
        (self.act)(number, context).await
    }
}

fn scheduler(name: &str, policy: ToolPolicy) -> ToolScheduler {
    let builder = ToolScheduler::builder().tool(name, policy);
    builder.build().unwrap()
}

/// What a call gave, or the class of its failure.
async fn said(
    scheduler: &ToolScheduler,
    context: &RunContext,
    tool: &ToolHandle,
    arguments: &str,
) -> String {
    match scheduler.call(context, tool, arguments).await {
        Ok(output) => output.content.into_string(),
        Err(error) => error.kind().as_str().to_owned(),
    }
}

/// What so many calls at once gave, in order.
async fn all(
    scheduler: &ToolScheduler,
    context: &RunContext,
    tool: &ToolHandle,
    calls: usize,
) -> Vec<String> {
    join_all((0..calls).map(|_| said(scheduler, context, tool, "{}"))).await
}

/// Nothing is held and nobody waits.
fn at_rest(scheduler: &ToolScheduler) {
    let gate = &scheduler.0.gate;
    assert_eq!(gate.waiting(), 0);
    for pool in 0..8 {
        assert_eq!(gate.taken(pool), 0, "pool {pool}");
    }
    for (name, desk) in &scheduler.0.desks {
        assert_eq!(desk.flights.len(), 0, "{name}");
    }
    for (name, counts) in &scheduler.stats().tools {
        assert_eq!((counts.running, counts.queued), (0, 0), "{name}");
    }
}

#[test]
fn a_scheduler_whose_calls_could_never_run_is_not_made() {
    let builder = ToolScheduler::builder().pool("db", n(2));
    let take = |pool, permits| {
        let policy = ToolPolicy::new().takes(pool, n(permits));
        let error = builder.clone().tool("search", policy).build().unwrap_err();
        error.to_string()
    };
    assert_eq!(
        take("db", 3),
        "the tool `search` takes 3 permits of the pool `db`, which has 2: no call could ever run"
    );
    assert_eq!(
        take("gpu", 1),
        "the tool `search` takes 1 permits of the pool `gpu`, which there is not: add it with `pool`"
    );
}

#[test]
fn arguments_are_compared_as_json_and_what_is_none_is_not() {
    let same = |left, right| {
        key::canonical(left).is_some() && key::canonical(left) == key::canonical(right)
    };
    assert!(same(
        r#"{"b":[1, 2],"a":{"d":"x","c":null}}"#,
        r#" {"a":{"c":null,"d":"\u0078"},"b":[1,2]}"#
    ));
    assert!(!same("[1,2]", "[2,1]"));
    // More digits than a float has.
    assert!(!same("[123456789012345678901]", "[123456789012345678902]"));
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for none in ["", "{", r#"{"a":1,"a":2}"#, "{} {}", &deep] {
        assert_eq!(key::canonical(none), None, "{none}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_numbers_say_how_parallel_it_was() {
    let builder = ToolScheduler::builder().tool("slow", ToolPolicy::new().concurrency(n(2)));
    let scheduler = builder.build().unwrap();
    let slow = Fake::taking("slow", 100 * MS).handle();
    all(&scheduler, &RunContext::new(), &slow, 4).await;
    let stats = scheduler.stats();
    assert_eq!(
        (stats.work, stats.busy, stats.under_way),
        (400 * MS, 200 * MS, 200 * MS)
    );
    assert_eq!((stats.parallelism(), stats.speedup()), (2.0, 2.0));
    let slow = &stats.tools["slow"];
    assert_eq!(
        (slow.calls, slow.waited, slow.longest_wait),
        (4, 200 * MS, 100 * MS)
    );
    assert_eq!((slow.permits, slow.utilisation), (Some(2), Some(1.0)));
    sleep(200 * MS).await;
    assert_eq!(scheduler.stats().tools["slow"].utilisation, Some(0.5));
    at_rest(&scheduler);
}

#[tokio::test]
async fn tools_without_a_policy_are_counted_by_name_up_to_a_cap() {
    let scheduler = ToolScheduler::builder().build().unwrap();
    for number in 0..MAX_OTHERS + 5 {
        scheduler
            .desk(&format!("tool-{number}").into())
            .count(|counting| counting.calls += 1);
    }
    let stats = scheduler.stats();
    assert_eq!(stats.tools.len(), MAX_OTHERS + 1);
    assert_eq!(stats.tools["other"].calls, 5);
}
