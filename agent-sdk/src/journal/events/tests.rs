use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    agent::Agent,
    journal::{Runs, Verdict},
    operation::{Outcome, Payload, RunContext, trace_tool},
    store::{MemoryStore, StoreErrorKind},
    testing::{CountingTool, EventLog, FaultyStore, ScriptedModel, Turn},
};

fn turns() -> [Turn; 2] {
    [
        Turn::from("let me look").tool_call("c1", "look", "{}"),
        Turn::from("done"),
    ]
}

fn agent(keeper: &EventKeeper, log: &EventLog) -> Agent {
    Agent::builder("a", ScriptedModel::new(turns()))
        .tool(CountingTool::new("look"))
        .observers(keeper.observers().with(log.clone()))
        .build()
        .unwrap()
}

/// The events that an observer saw, as they go over the wire, without the pieces of text.
fn wire(log: &EventLog) -> Vec<String> {
    let lines = log.json_lines().unwrap();
    let whole = lines.lines().filter(|line| !line.contains("_chunk\""));
    whole.map(str::to_owned).collect()
}

fn json(kept: &[StoredEvent]) -> Vec<String> {
    kept.iter()
        .map(|event| event.json.get().to_owned())
        .collect()
}

/// Publishes `count` events of a run, beside its first and its two last.
fn publish(context: &RunContext, count: usize) {
    let operation = trace_tool(context, "t").begin();
    for _ in 2..count {
        operation.context().publish(|| EventKind::ToolProgress {
            tool: "t".into(),
            call_id: None,
            fraction: None,
            message: "on it".into(),
        });
    }
    std::mem::forget(operation);
}

#[tokio::test(start_paused = true)]
async fn all_events_but_pieces_of_text_are_kept_in_order_as_on_the_wire_and_read_by_number() {
    let store = Arc::new(MemoryStore::new());
    let (keeper, log) = (EventKeeper::new(store.clone()), EventLog::new());
    let agent = agent(&keeper, &log);
    let mut stream = agent.run("hi").store(store.clone()).stream();
    while futures_util::StreamExt::next(&mut stream).await.is_some() {}
    let run = log.events()[0].run_id.clone();
    assert_eq!(keeper.waiting(), wire(&log).len());
    keeper.flush().await.unwrap();
    assert_eq!((keeper.waiting(), keeper.missed()), (0, 0));

    let runs = Runs::new(store);
    let all = runs.events(run.as_str(), 0, usize::MAX).await.unwrap();
    assert_eq!(json(&all), wire(&log));
    assert!(
        log.types().contains(&"text_chunk".to_owned()),
        "they have numbers, too"
    );
    let last = all.last().unwrap().seq;
    for after in 0..=last + 1 {
        let rest = runs.events(run.as_str(), after, usize::MAX).await.unwrap();
        let wanted: Vec<_> = all
            .iter()
            .filter(|event| event.seq > after)
            .map(|event| event.seq)
            .collect();
        assert_eq!(
            rest.iter().map(|event| event.seq).collect::<Vec<_>>(),
            wanted,
            "after {after}"
        );
    }
    let two = runs.events(run.as_str(), 1, 2).await.unwrap();
    assert_eq!(json(&two), json(&all)[1..3]);

    let export = runs.export(run.as_str()).await.unwrap();
    let events: Vec<serde_json::Value> = json(&all)
        .iter()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(export["events"], serde_json::Value::from(events));
    let missing = runs.events("nobody", 0, 9).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_a_resumed_run_go_on_without_a_gap() {
    let store = Arc::new(MemoryStore::new());
    let (keeper, log) = (EventKeeper::new(store.clone()), EventLog::new());
    let agent = agent(&keeper, &log);
    let run = agent.run("hi").store(store.clone()).ask_before(["look"]);
    let run = run.await.unwrap_err().report().run_id.clone();
    let runs = Runs::new(store.clone());
    runs.answer(run.as_str(), "c1", Verdict::allow())
        .await
        .unwrap();
    // What the first life said is not written yet, and its numbers are known all the same.
    agent.resume(run.clone(), store.clone()).await.unwrap();
    keeper.flush().await.unwrap();
    let numbers: Vec<u64> = log.events().iter().map(|event| event.seq).collect();
    let count = u64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    let kept = runs.events(run.as_str(), 0, usize::MAX).await.unwrap();
    assert_eq!(json(&kept), wire(&log));
}

#[tokio::test(start_paused = true)]
async fn s1_after_a_killed_life_the_numbers_go_on_behind_what_was_kept() {
    let store = Arc::new(MemoryStore::new());
    let (keeper, log) = (EventKeeper::new(store.clone()), EventLog::new());
    let context = RunContext::builder()
        .observers(keeper.observers().with(log.clone()))
        .build();
    let run = context.run_id().clone();
    let hangs = Agent::builder("a", ScriptedModel::new([Turn::new().hang()]))
        .build()
        .unwrap();
    tokio::select! {
        biased;
        () = tokio::time::sleep(Duration::from_millis(5)) => {}
        _ = hangs.run("hi").context(&context).store(store.clone()) => panic!("it hangs"),
    }
    keeper.flush().await.unwrap();
    let last = log.events().last().unwrap().seq;
    let goes_on = Agent::builder("a", ScriptedModel::new(["done"]))
        .observers(log.observers())
        .build()
        .unwrap();
    goes_on.resume(run, store).await.unwrap();
    let first = log
        .events()
        .into_iter()
        .find(|event| event.seq > last)
        .unwrap();
    assert_eq!(first.seq, last + 1);
    assert!(matches!(first.kind, EventKind::RunStarted { .. }));
}

#[tokio::test]
async fn what_does_not_fit_is_counted_exactly_where_it_is_missing() {
    let store = Arc::new(MemoryStore::new());
    let keeper = EventKeeper::with_capacity(store.clone(), 10, usize::MAX);
    let (one, two) = (
        RunContext::builder()
            .run_id("one")
            .observers(keeper.observers())
            .build(),
        RunContext::builder()
            .run_id("two")
            .observers(keeper.observers())
            .build(),
    );
    publish(&one, 8);
    publish(&two, 5);
    publish(&one, 4);
    assert_eq!((keeper.waiting(), keeper.missed()), (10, 3 + 4));
    keeper.flush().await.unwrap();
    publish(&one, 2);
    keeper.flush().await.unwrap();
    let runs = Runs::new(store);
    let gaps = |kept: &[StoredEvent]| -> Vec<(u64, Option<u64>)> {
        kept.iter().map(|event| (event.seq, event.missed)).collect()
    };
    let kept = runs.events("one", 8, 9).await.unwrap();
    assert_eq!(gaps(&kept)[0], (8 + 4, Some(4)));
    assert_eq!(kept[1].seq, 13, "and then it goes on");
    let kept = runs.events("two", 0, 9).await.unwrap();
    assert_eq!(gaps(&kept), [(1, None), (2, None), (5, Some(3))]);
    let gap: serde_json::Value = serde_json::from_str(kept[2].json.get()).unwrap();
    assert_eq!(
        (&gap["type"], &gap["missed"], &gap["run_id"]),
        (&"gap".into(), &3.into(), &"two".into())
    );

    let small = EventKeeper::with_capacity(Arc::new(MemoryStore::new()), usize::MAX, 10);
    publish(
        &RunContext::builder().observers(small.observers()).build(),
        3,
    );
    assert_eq!(
        (small.waiting(), small.missed()),
        (0, 3),
        "bytes count, too"
    );
}

#[tokio::test(start_paused = true)]
async fn s3_a_store_that_fails_does_not_disturb_the_run_and_gets_the_events_once_it_works() {
    let store = Arc::new(FaultyStore::new());
    store.take_room();
    let (keeper, log) = (EventKeeper::new(store.clone()), EventLog::new());
    let writing = tokio::spawn(keeper.clone().run());
    let report = agent(&keeper, &log).run("hi").await.unwrap();
    assert_eq!(
        (report.outcome, report.text.as_str()),
        (Outcome::Ok, "done")
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let error = keeper.flush().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!((keeper.waiting(), keeper.missed()), (log.events().len(), 0));
    store.make_room();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(keeper.waiting(), 0, "it was tried again");
    writing.abort();
    let kept = Runs::new(store)
        .events(report.run_id.as_str(), 0, 99)
        .await
        .unwrap();
    assert_eq!(json(&kept), wire(&log));
}

#[tokio::test]
async fn a_run_whose_id_no_store_takes_stands_in_the_way_of_no_other() {
    let store = Arc::new(MemoryStore::new());
    let keeper = EventKeeper::new(store.clone());
    for id in ["../etc", "good"] {
        let context = RunContext::builder()
            .run_id(id)
            .observers(keeper.observers())
            .build();
        trace_tool(&context, "t")
            .begin()
            .end(Outcome::Ok, Payload::None);
    }
    let error = keeper.flush().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::InvalidId);
    assert_eq!((keeper.waiting(), keeper.missed()), (0, 4));
    assert_eq!(
        Runs::new(store).events("good", 0, 9).await.unwrap().len(),
        4
    );
}
