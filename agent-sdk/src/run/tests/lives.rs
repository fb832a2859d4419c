//! What a resumed run keeps of its earlier lives, and what must be the same.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::world::{TASK, World, acting};
use crate::{
    agent::Agent,
    journal::{Record, Runs},
    model::Usage,
    operation::{
        Kind, Labels, Observer, Observers, OperationInfo, Outcome, Payload, RunContext, RunId,
        TraceContext,
    },
    run::{Limit, Limits, RunErrorKind},
    store::{MemoryStore, StoreErrorKind},
    testing::Turn,
};

#[derive(Clone, Default)]
struct Agents(Arc<Mutex<Vec<Seen>>>);

struct Seen {
    run: RunId,
    trace: TraceContext,
    links: Vec<TraceContext>,
    labels: Arc<Labels>,
}

impl Observer for Agents {
    fn started(&self, info: &OperationInfo, _: Payload<'_>) {
        if info.kind == Kind::Agent {
            self.0.lock().unwrap().push(Seen {
                run: info.run_id.clone(),
                trace: info.trace,
                links: info.links.clone(),
                labels: info.labels.clone(),
            });
        }
    }
}

fn two_turns(world: &World, name: &str) -> crate::agent::AgentBuilder {
    acting(name, world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "write", "{}")
            .usage(Usage::new(10, 1)),
        1 => Turn::new()
            .tool_call("c2", "write", "{}")
            .usage(Usage::new(20, 2)),
        _ => Turn::from("over").usage(Usage::new(40, 4)),
    })
}

#[tokio::test(start_paused = true)]
async fn s1_a_resumed_run_has_its_id_its_labels_all_its_sums_and_a_link_to_the_life_before() {
    let (world, store, agents) = (
        World::default(),
        Arc::new(MemoryStore::new()),
        Agents::default(),
    );
    let observers = Observers::none().with(agents.clone());
    let agent = two_turns(&world, "a")
        .observers(observers.clone())
        .build()
        .unwrap();
    let context = RunContext::builder()
        .run_id("r")
        .session("s")
        .user("u")
        .observers(observers);
    let run = agent
        .run("go")
        .context(&context.build())
        .store(store.clone());
    let mut reports = vec![
        run.ask_before(["write"])
            .await
            .unwrap_err()
            .report()
            .clone(),
    ];
    let runs = Runs::new(store.clone());
    for call in ["c1", "c2"] {
        runs.answer("r", call, crate::journal::Verdict::allow())
            .await
            .unwrap();
        let resumed = agent.resume("r", store.clone()).ask_before(["write"]);
        reports.push(match resumed.await {
            Ok(report) => report,
            Err(error) => error.report().clone(),
        });
    }
    let lives: Vec<_> = reports
        .iter()
        .map(|it| (it.lives, it.model_calls, it.tool_calls))
        .collect();
    assert_eq!(lives, [(1, 1, 0), (2, 2, 1), (3, 3, 2)]);
    let last = &reports[2];
    assert_eq!((last.usage, last.outcome), (Usage::new(70, 7), Outcome::Ok));
    assert!(last.cost > reports[1].cost && reports[1].cost > reports[0].cost);
    assert_eq!(last.cost.nanos(), 70 * 2_500 + 7 * 10_000);
    assert!(last.duration >= reports[1].duration, "all lives together");
    assert!(last.duration >= Duration::from_millis(2));

    let seen = std::mem::take(&mut *agents.0.lock().unwrap());
    assert_eq!(seen.len(), 3);
    for (n, life) in seen.iter().enumerate() {
        assert_eq!(life.run.as_str(), "r");
        assert_eq!(life.labels.session.as_deref(), Some("s"));
        assert_eq!(life.labels.user.as_deref(), Some("u"));
        let links: Vec<_> = life
            .links
            .iter()
            .map(|link| (link.trace_id, link.span_id))
            .collect();
        let before = n
            .checked_sub(1)
            .map(|n| (seen[n].trace.trace_id, seen[n].trace.span_id));
        assert_eq!(links, Vec::from_iter(before));
        assert_eq!(reports[n].trace_id, life.trace.trace_id);
    }
    let kept = runs.get("r").await.unwrap();
    assert_eq!(
        (kept.summary.totals.usage, &*kept.status),
        (last.usage, "ok")
    );
    let records = runs.records("r").await.unwrap();
    assert_eq!(records.last().unwrap().totals.usage, last.usage);
    assert_eq!(records.last().unwrap().totals.tool_calls, 2);
}

fn limits(turns: u32, calls: u32) -> Limits {
    Limits {
        max_turns: NonZeroU32::new(turns).unwrap(),
        max_tool_calls: calls,
        ..Limits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn s1_raised_limits_let_a_run_go_on_and_lowered_ones_say_so() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let agent = two_turns(&world, "a").build().unwrap();
    let over = agent
        .run("go")
        .store(store.clone())
        .limits(limits(2, 1))
        .await
        .unwrap_err();
    assert_eq!(over.limit(), Some(Limit::MaxToolCalls(1)));
    let id = over.report().run_id.clone();
    let over = agent
        .resume(id.clone(), store.clone())
        .limits(limits(2, 9))
        .await
        .unwrap_err();
    assert_eq!(over.limit(), Some(Limit::MaxTurns(2)));
    assert_eq!(
        (over.report().model_calls, over.report().tool_calls),
        (2, 2)
    );

    let lower = agent
        .resume(id.clone(), store.clone())
        .limits(limits(1, 9))
        .await
        .unwrap_err();
    assert_eq!(lower.kind(), RunErrorKind::Changed);
    assert!(
        lower
            .to_string()
            .contains("limits are lower than they were"),
        "{lower}"
    );

    let report = agent.resume(id, store).await.unwrap();
    assert_eq!(
        (report.text.as_str(), report.model_calls, report.tool_calls),
        ("over", 3, 2)
    );
    assert_eq!(world.take().asked.len(), 3);
}

fn nested(world: &World, outer: &str, inner: &str) -> Agent {
    let inside = two_turns(world, "inner")
        .instructions(inner)
        .build()
        .unwrap();
    let agent = acting("outer", world, |said| match said {
        0 => Turn::new().tool_call("b", "inner", TASK),
        _ => Turn::from("over"),
    });
    agent
        .instructions(outer)
        .tool(inside.as_tool())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn s1_an_agent_that_changed_is_refused_at_any_depth_until_the_changes_are_accepted() {
    for (outer, inner) in [("other", "i"), ("o", "other")] {
        let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
        let run = nested(&world, "o", "i").run("go").store(store.clone());
        let paused = run.ask_before(["write"]).await.unwrap_err();
        let id = paused.report().run_id.clone();
        let runs = Runs::new(store.clone());
        runs.answer(id.as_str(), "c1", crate::journal::Verdict::allow())
            .await
            .unwrap();
        world.take();

        let refused = nested(&world, outer, inner).resume(id.clone(), store.clone());
        let refused = refused.await.unwrap_err();
        assert_eq!(refused.kind(), RunErrorKind::Changed, "{refused:?}");
        assert_eq!(refused.changes(), ["the instructions changed"]);
        let records = runs.records(id.as_str()).await.unwrap();
        let returned = |record: &Record| matches!(record, Record::ToolReturned { .. });
        assert!(
            !records.iter().any(|it| returned(&it.record)),
            "{outer} {inner}"
        );
        assert!(world.take().asked.is_empty());

        let accepted = nested(&world, outer, inner)
            .resume(id, store)
            .accept_changes();
        assert_eq!(accepted.await.unwrap().text, "over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_resumed_in_its_own_context_only() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let agent = two_turns(&world, "a").build().unwrap();
    let report = agent.run("go").store(store.clone()).await.unwrap();
    let other = RunContext::builder().run_id("other").build();
    let refused = agent
        .resume(report.run_id.clone(), store.clone())
        .context(&other);
    let refused = refused.await.unwrap_err();
    assert_eq!(
        refused.store_error().unwrap().kind(),
        StoreErrorKind::InvalidId
    );
    let own = RunContext::builder().run_id(report.run_id.as_str()).build();
    let again = agent
        .resume(report.run_id, store)
        .context(&own)
        .await
        .unwrap();
    assert_eq!(again.text, "over");
}
