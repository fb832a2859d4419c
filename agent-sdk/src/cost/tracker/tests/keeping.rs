//! Lines in a store.

use std::sync::Arc;

use super::*;
use crate::{
    store::{LogKind, MemoryStore, NewLog, Query, Store, StoreErrorKind},
    testing::FaultyStore,
};

/// Requests on three days, watched by a tracker too.
fn three_days(keeper: &CostKeeper) -> CostTracker {
    let tracker = CostTracker::new();
    for (number, time) in [
        "2026-10-31T23:59:59Z",
        "2026-11-01T00:00:01Z",
        "2026-11-01T12:00:00Z",
        "2026-11-05T12:00:00Z",
    ]
    .into_iter()
    .enumerate()
    {
        let observers = tracker.observers().with(keeper.clone());
        let context = run(&tracker, time, time)
            .observers(observers)
            .user("ada")
            .tag("n", number.to_string())
            .build();
        let agent = trace_agent(&context, "a").begin();
        paid(
            agent.context(),
            "openai:gpt-x",
            10_u64.pow(u32::try_from(number).unwrap()),
        );
        unpriced(agent.context(), "acme:mystery", Usage::unknown());
        agent.end(Outcome::Ok, Payload::None);
    }
    tracker
}

async fn all(store: &Arc<dyn Store>) -> Vec<KeptCost> {
    let mut pages = CostLines::new(store.clone()).read(None, None);
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        all.extend(page);
    }
    all
}

async fn days(store: &Arc<dyn Store>) -> Vec<String> {
    let heads = store.list(Query::of(LogKind::Cost)).await.unwrap();
    let mut days: Vec<_> = heads.iter().map(|head| head.log.id().to_owned()).collect();
    days.sort();
    days
}

#[tokio::test]
async fn what_was_kept_is_what_the_tracker_has_and_reports_are_the_same() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keeper = CostKeeper::new(store.clone());
    let tracker = three_days(&keeper);
    assert_eq!(keeper.waiting(), 8);
    keeper.flush().await.unwrap();
    assert_eq!((keeper.waiting(), keeper.folded()), (0, 0));
    assert_eq!(
        days(&store).await,
        ["2026-10-31", "2026-11-01", "2026-11-05"]
    );
    let lines = tracker.lines();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| KeptCost::Line(CostLine::clone(line)))
        .collect();
    assert_eq!(all(&store).await, lines);

    let kept = CostLines::new(store);
    let time = |time: &str| time.parse().unwrap();
    for query in [
        by(["model"]),
        by(["day", "tag:n"]),
        by(["user"])
            .since(time("2026-11-01T00:00:00Z"))
            .until(time("2026-11-01T12:00:00Z")),
        by(["user"]).since(time("2026-11-02T00:00:00Z")),
        by(["user"]).until(time("2026-11-01T00:00:00Z")),
        by(["agent"]).only(Dimension::Provider, "acme"),
    ] {
        assert_eq!(
            kept.report(&query).await.unwrap(),
            tracker.report(&query),
            "{query:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_waits_and_ends_the_task() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keeper = CostKeeper::new(store.clone());
    let writing = tokio::spawn(keeper.clone().run());
    tokio::task::yield_now().await;
    three_days(&keeper);
    keeper.close().await.unwrap();
    writing.await.unwrap();
    assert_eq!((all(&store).await.len(), keeper.waiting()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_store_refused_is_written_later_and_once() {
    let faulty = FaultyStore::new();
    faulty.take_room();
    let store: Arc<dyn Store> = Arc::new(faulty.clone());
    let keeper = CostKeeper::new(store.clone());
    let tracker = three_days(&keeper);
    let error = keeper.flush().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(keeper.waiting(), 8);
    let writing = tokio::spawn(keeper.clone().run());
    tokio::task::yield_now().await;
    faulty.make_room();
    // The task tries again by itself.
    while keeper.waiting() > 0 {
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
    }
    keeper.close().await.unwrap();
    writing.await.unwrap();
    let report = CostLines::new(store)
        .report(&by(["run", "model"]))
        .await
        .unwrap();
    assert_eq!(report, tracker.report(&by(["run", "model"])));
}

#[tokio::test]
async fn what_does_not_fit_the_queue_is_kept_as_sums_and_no_total_lacks_it() {
    for (lines, bytes) in [(3, usize::MAX), (usize::MAX, 700), (0, 0)] {
        let faulty = FaultyStore::new();
        let store: Arc<dyn Store> = Arc::new(faulty.clone());
        let keeper = CostKeeper::with_capacity(store.clone(), lines, bytes);
        let tracker = three_days(&keeper);
        assert!(keeper.folded() >= 5, "{}", keeper.folded());
        // Sums that are refused wait, too.
        faulty.take_room();
        keeper.flush().await.unwrap_err();
        faulty.make_room();
        keeper.flush().await.unwrap();
        assert_eq!(keeper.waiting(), 0);
        let kept = CostLines::new(store);
        for names in [["model"], ["day"], ["agent"], ["user"]] {
            let (kept, whole) = (
                kept.report(&by(names)).await.unwrap(),
                tracker.report(&by(names)),
            );
            assert_eq!(
                (&kept.rows, kept.total),
                (&whole.rows, whole.total),
                "{names:?}"
            );
            assert_eq!(kept.folded, keeper.folded());
        }
    }
}

#[tokio::test]
async fn keepers_of_several_processes_write_to_one_day() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keepers: Vec<_> = (0..4).map(|_| CostKeeper::new(store.clone())).collect();
    for keeper in &keepers {
        three_days(keeper);
    }
    let flushes = keepers.iter().map(CostKeeper::flush);
    for flushed in futures_util::future::join_all(flushes).await {
        flushed.unwrap();
    }
    let report = CostLines::new(store).report(&by(["model"])).await.unwrap();
    assert_eq!(
        (report.total.amount.nanos(), report.total.unpriced),
        (4 * 1_111, 16)
    );
}

#[tokio::test]
async fn pages_are_bounded_and_what_is_no_line_is_an_error_that_names_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keeper = CostKeeper::new(store.clone());
    let context = run(&CostTracker::new(), "r", "2026-11-20T12:00:00Z")
        .observers(keeper.observers())
        .build();
    for _ in 0..2_500 {
        paid(&context, "p:m", 1);
    }
    keeper.flush().await.unwrap();
    let mut pages = CostLines::new(store.clone()).read(None, None);
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        sizes.push(page.len());
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);

    let other = crate::store::LogId::new(LogKind::Cost, "not-a-day").unwrap();
    store.create(NewLog::new(other)).await.unwrap();
    let broken = crate::store::LogId::new(LogKind::Cost, "2026-11-21").unwrap();
    let entry = crate::store::NewEntry::new("", r#"{"type":"line"}"#);
    store
        .create(NewLog::new(broken).entry(entry))
        .await
        .unwrap();
    let lines = CostLines::new(store);
    let error = lines.report(&by(["model"])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .contains("cost 2026-11-21 is damaged at version 1"),
        "{error}"
    );
    // The days beside it can be read.
    let until = by(["model"]).until("2026-11-20T23:00:00Z".parse().unwrap());
    assert_eq!(lines.report(&until).await.unwrap().total.requests, 2_500);
}

#[test]
fn what_was_written_once_is_read_for_ever() {
    let line = r#"{"type":"line","time":"2026-11-20T12:00:00Z","run_id":"r","operation":3,"kind":"chat","provider":"p","model":"m","agents":["a"],"usage":{"input_tokens":5},"cost_usd":"0.000000001","price_source":"table","price_snapshot":"2026-11-20","outcome":"ok","attempt":2}"#;
    let folded = r#"{"type":"folded","first":"2026-11-20T12:00:00Z","last":"2026-11-20T13:00:00Z","group":{"provider":"p","model":null,"agents":[],"user":"ada"},"sums":{"requests":2,"charges":1,"unpriced":1,"estimated":0,"usage":{},"cost_usd":"18446744073.709551615"}}"#;
    for written in [line, folded] {
        let kept: KeptCost = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), written);
    }
    let newer = line.replacen('{', r#"{"field_of_tomorrow":[1],"#, 1);
    let read = |text: &str| serde_json::from_str::<KeptCost>(text).unwrap();
    assert_eq!(read(&newer), read(line));
}
