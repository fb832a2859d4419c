use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use super::*;
use crate::{
    cost::{PriceBook, PriceTable, Usd},
    model::Usage,
};

/// Writes down what it is told, a line each.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Log {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        self.0
            .lock()
            .unwrap()
            .push(format!("+{} {}", operation.kind.as_str(), operation.name));
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let line = format!(
            "-{} {} {} {:?}",
            record.info.kind.as_str(),
            record.info.name,
            record.outcome.as_str(),
            record.duration
        );
        self.0.lock().unwrap().push(line);
    }
}

fn watched() -> (Arc<Log>, RunContext) {
    let log = Arc::new(Log::default());
    let observers = Observers::none().with_shared(log.clone());
    (
        log,
        RunContext::builder()
            .observers(observers)
            .clock(FixedClock::at(1_800_000_000))
            .build(),
    )
}

#[tokio::test(start_paused = true)]
async fn ending_an_operation_ends_what_is_open_inside_it_first() {
    let (log, context) = watched();
    let agent = context.start(Kind::Agent, "a").begin();
    let tool = agent.context().start(Kind::Tool, "t").begin();
    let inner = tool.context().start(Kind::Chat, "m").begin();
    tokio::time::advance(Duration::from_millis(5)).await;
    agent.end(Outcome::Ok, Payload::None);
    inner.end(Outcome::Ok, Payload::None);
    drop(tool);
    assert_eq!(
        log.lines(),
        [
            "+agent a",
            "+tool t",
            "+chat m",
            "-chat m cancelled 5ms",
            "-tool t cancelled 5ms",
            "-agent a ok 5ms"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_operation_is_cancelled_and_a_panicking_one_has_failed() {
    let (log, context) = watched();
    drop(context.start(Kind::Tool, "dropped").begin());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _operation = context.start(Kind::Tool, "panics").begin();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(
        log.lines(),
        [
            "+tool dropped",
            "-tool dropped cancelled 0ns",
            "+tool panics",
            "-tool panics error 0ns"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_of_an_ended_operation_hangs_under_the_nearest_open_one() {
    let (_, context) = watched();
    let agent = context.start(Kind::Agent, "a").begin();
    let tool = agent.context().start(Kind::Tool, "t").begin();
    let late = tool.context().clone();
    tool.end(Outcome::Ok, Payload::None);
    let child = late.start(Kind::Chat, "m").begin();
    assert_eq!(child.info().parent, Some(agent.info().id));
    drop((child, agent));
    let orphan = late.start(Kind::Chat, "m").begin();
    assert_eq!(orphan.info().parent, None);
    assert_eq!(orphan.info().links.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_tier_that_answered_decides_the_price() {
    let cost = |tier: Option<&str>| {
        let (_, context) = watched();
        let agent = context.start(Kind::Agent, "a").begin();
        let chat = trace_chat(agent.context(), "openai", "gpt-6.1-terra").begin();
        chat.handle().record_usage(Usage::new(1_000, 0));
        chat.handle()
            .record(|facts| facts.service_tier = tier.map(Into::into));
        chat.end(Outcome::Ok, Payload::None);
        agent.report(Outcome::Ok, Payload::None).cost
    };
    let usual = Usd::from_nanos(1_000_000);
    assert_eq!(
        [cost(None), cost(Some("default")), cost(Some("odd"))],
        [usual; 3]
    );
    assert_eq!(cost(Some("flex")), Usd::from_nanos(500_000));
    assert_eq!(cost(Some("priority")), Usd::from_nanos(2_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_request_has_the_prices_that_were_in_place_when_it_began() {
    let book = PriceBook::embedded();
    let context = RunContext::builder().prices(book.clone()).build();
    let ask = |meanwhile: &dyn Fn()| {
        let agent = context.start(Kind::Agent, "a").begin();
        let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
        meanwhile();
        chat.handle().record_usage(Usage::new(1_000, 0));
        chat.end(Outcome::Ok, Payload::None);
        agent.report(Outcome::Ok, Payload::None).cost
    };
    let refresh = || {
        let table = r#"{"date":"2099-01-01","providers":[{"id":"openai","models":[
            {"id":"gpt-4o","match":{"exact":"gpt-4o"},"prices":[{"input":"9","output":"9"}]}]}]}"#;
        book.refresh(PriceTable::from_json(table).unwrap()).unwrap();
    };
    assert_eq!(ask(&refresh), Usd::from_nanos(2_500_000));
    assert_eq!(ask(&|| ()), Usd::from_nanos(9_000_000));
}

#[tokio::test(start_paused = true)]
async fn totals_roll_up_and_own_calls_stop_at_the_next_agent() {
    let (_, context) = watched();
    let outer = context.start(Kind::Agent, "outer").begin();
    let tool = outer.context().start(Kind::Tool, "inner").begin();
    let inner = tool.context().start(Kind::Agent, "inner").begin();
    for parent in [outer.context(), inner.context()] {
        let chat = trace_chat(parent, "openai", "gpt-4o").begin();
        chat.handle().record_usage(Usage::new(1_000, 500));
        chat.end(Outcome::Ok, Payload::None);
    }
    trace_chat(inner.context(), "nobody", "knows")
        .begin()
        .end(Outcome::Ok, Payload::None);
    let inner = inner.report(Outcome::Ok, Payload::None);
    assert_eq!(
        (inner.model_calls, inner.unpriced_calls, inner.tool_calls),
        (2, 1, 0)
    );
    assert_eq!(inner.cost, Usd::from_nanos(7_500_000));
    tool.end(Outcome::Ok, Payload::None);
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    struct Keep(Arc<Mutex<Option<Totals>>>);
    impl Observer for Keep {
        fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
            *self.0.lock().unwrap() = Some(*record.totals);
        }
    }
    context.subscribe(Arc::new(Keep(keep)));
    outer.end(Outcome::Ok, Payload::None);
    let totals = seen.lock().unwrap().unwrap();
    assert_eq!((totals.model_calls, totals.own_model_calls), (3, 1));
    assert_eq!((totals.tool_calls, totals.own_tool_calls), (1, 1));
    assert_eq!(totals.usage, Usage::new(2_000, 1_000));
    assert_eq!(totals.cost, Usd::from_nanos(15_000_000));
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_or_uses_the_run_changes_nothing() {
    #[derive(Default)]
    struct Bad(Mutex<Option<RunContext>>, Mutex<Option<OperationHandle>>);
    impl Observer for Bad {
        fn interests(&self) -> Interests {
            Interests::OPERATIONS | Interests::EVENTS
        }

        fn started(&self, _: &OperationInfo, _: Payload<'_>) {
            if let Some(context) = &*self.0.lock().unwrap() {
                drop(context.start(Kind::Tool, "from inside").begin());
                context.subscribe(Arc::new(Log::default()));
            }
        }

        fn ended(&self, _: &OperationRecord<'_>, _: Payload<'_>) {
            if let Some(handle) = &*self.1.lock().unwrap() {
                handle.record_usage(Usage::new(1, 1));
            }
            panic!("on purpose");
        }
    }
    let (log, context) = watched();
    let bad = Arc::new(Bad::default());
    context.subscribe(bad.clone());
    *bad.0.lock().unwrap() = Some(context.clone());
    let tool = context.start(Kind::Tool, "t").begin();
    *bad.1.lock().unwrap() = Some(tool.handle());
    tool.end(Outcome::Ok, Payload::None);
    assert_eq!(log.lines(), ["+tool t", "-tool t ok 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn foreign_code_is_traced_with_its_usage_and_its_failure() {
    let (log, context) = watched();
    let (result, report) = trace_agent(&context, "theirs")
        .tag("team", "search")
        .run_reported(async |agent| {
            assert_eq!(agent.info().labels.tags.len(), 1);
            let words = stream::iter(["a", "b"]);
            let words = trace_chat(agent.context(), "openai", "gpt-4o-mini").stream(words);
            words.handle().record_usage(Usage::new(1_000, 50));
            assert_eq!(words.collect::<Vec<_>>().await, ["a", "b"]);
            trace_tool(agent.context(), "search")
                .run(async |tool| {
                    tool.fail("not_found", "no such page");
                    Err::<(), _>("no such page")
                })
                .await
        })
        .await;
    assert_eq!(result, Err("no such page"));
    assert_eq!(report.cost, Usd::from_nanos(180_000));
    assert_eq!(report.outcome, Outcome::Error);
    assert_eq!(
        log.lines(),
        [
            "+agent theirs",
            "+chat gpt-4o-mini",
            "-chat gpt-4o-mini ok 0ns",
            "+tool search",
            "-tool search error 0ns",
            "-agent theirs error 0ns"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn events_have_the_wire_s_names_and_numbers_without_gaps() {
    struct Lines(Mutex<Vec<serde_json::Value>>);
    impl Observer for Lines {
        fn interests(&self) -> Interests {
            Interests::EVENTS
        }

        fn event(&self, event: &Arc<Event>) {
            self.0
                .lock()
                .unwrap()
                .push(serde_json::to_value(&**event).unwrap());
        }
    }
    let (_, context) = watched();
    let lines = Arc::new(Lines(Mutex::default()));
    context.subscribe(lines.clone());
    let agent = trace_agent(&context, "a").begin();
    let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
    chat.text("hel");
    chat.reasoning("hm");
    chat.end(Outcome::Ok, Payload::None);
    let tool = trace_tool(agent.context(), "t").call_id("c1").begin();
    tool.end(Outcome::Ok, Payload::Result("42"));
    agent.end(Outcome::Ok, Payload::Answer("two words"));
    let lines = lines.0.lock().unwrap();
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "run_started",
            "agent_initialized",
            "chat_started",
            "text_chunk",
            "reasoning_chunk",
            "chat_completed",
            "tool_use",
            "tool_result",
            "agent_completed",
            "run_report"
        ]
    );
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], n + 1);
        assert_eq!(line["time"], "2027-01-15T08:00:00.000000Z");
    }
    assert_eq!(lines[7]["output"], "42");
    assert_eq!(lines[7]["call_id"], "c1");
    assert_eq!(lines[9]["words"], 2);
    assert_eq!(lines[9]["text"], "two words");
}

#[test]
fn ends_on_many_threads_keep_their_order_in_time() {
    for _ in 0..200 {
        let trace = crate::testing::TraceCapture::new();
        let agent = trace.context().start(Kind::Agent, "a").begin();
        let tools: Vec<_> = (0..8)
            .map(|_| agent.context().start(Kind::Tool, "t").begin())
            .collect();
        std::thread::scope(|scope| {
            for tool in tools {
                scope.spawn(move || tool.end(Outcome::Ok, Payload::None));
            }
            scope.spawn(move || agent.end(Outcome::Ok, Payload::None));
        });
        trace.well_formed().unwrap();
    }
}

fn chats(trace: &crate::testing::TraceCapture) -> Vec<crate::testing::CapturedOperation> {
    let operations = trace.operations().into_iter();
    operations.filter(|op| op.kind == Kind::Chat).collect()
}

#[tokio::test]
async fn a_request_inside_its_like_is_no_operation_of_its_own() {
    let trace = crate::testing::TraceCapture::new();
    let context = trace.context();
    let (answer, report) = trace_agent(&context, "a")
        .run_reported(async |agent| {
            trace_chat(agent.context(), "gateway", "any")
                .run(async |outer| {
                    let inner = trace_chat(outer.context(), "openai", "gpt-4o-mini").begin();
                    assert_eq!(inner.info().trace, outer.info().trace);
                    let sent = inner.context().start(Kind::Attempt, "").begin();
                    sent.end(Outcome::Ok, Payload::None);
                    inner.record(|facts| {
                        facts.usage = Usage::new(1_000, 50);
                        facts.response_model = Some("gpt-4o-mini-2024-07-18".into());
                    });
                    inner.end(Outcome::Ok, Payload::None);
                    Ok::<_, ()>(())
                })
                .await
        })
        .await;
    assert_eq!(answer, Ok(()));
    assert_eq!(trace.tree(), "invoke_agent a\n  chat any\n    POST\n");
    let [chat] = chats(&trace).try_into().unwrap();
    assert_eq!(chat.usage.input_tokens, Some(1_000));
    // The price is that of the model inside: nobody knows one of the gateway's.
    assert_eq!(report.cost.to_string(), "0.00018");
    assert_eq!((report.model_calls, report.unpriced_calls), (1, 0));
    trace.well_formed().unwrap();
}

#[tokio::test]
async fn the_outer_request_s_word_counts_unless_more_was_used_inside() {
    let cost = |outer: Option<Usage>, inside: &[Usage]| {
        let (_, context) = watched();
        let agent = context.start(Kind::Agent, "a").begin();
        let chat = trace_chat(agent.context(), "openai", "gpt-4o-mini").begin();
        for usage in inside {
            let inner = trace_chat(chat.context(), "openai", "gpt-4o-mini").begin();
            inner.handle().record_usage(*usage);
            // A second end changes nothing.
            let again = inner.handle();
            inner.end(Outcome::Ok, Payload::None);
            again.record_usage(*usage);
        }
        if let Some(usage) = outer {
            chat.record(|facts| facts.usage = usage);
        }
        chat.end(Outcome::Ok, Payload::None);
        let report = agent.report(Outcome::Ok, Payload::None);
        (
            report.usage.input_tokens,
            report.cost.to_string(),
            report.unpriced_calls,
        )
    };
    let thousand = Usage::new(1_000, 0);
    let once = (Some(1_000), "0.00015".to_owned(), 0);
    assert_eq!(cost(Some(thousand), &[thousand]), once);
    assert_eq!(cost(None, &[thousand]), once);
    assert_eq!(cost(Some(thousand), &[]), once);
    // Three were asked, and one of them answered for all.
    let thrice = (Some(3_000), "0.00045".to_owned(), 0);
    assert_eq!(cost(Some(thousand), &[thousand; 3]), thrice);
    assert_eq!(
        cost(None, &[thousand, Usage::unknown()]),
        (Some(1_000), "0.00015".to_owned(), 1)
    );
    assert_eq!(cost(None, &[Usage::unknown()]), (None, "0".to_owned(), 1));
}

#[tokio::test]
async fn agents_and_tools_between_two_requests_keep_them_apart() {
    let trace = crate::testing::TraceCapture::new();
    let outer = trace_chat(&trace.context(), "p", "outer").begin();
    let tool = trace_tool(outer.context(), "t").begin();
    drop(trace_chat(tool.context(), "p", "inner").begin());
    let vectors = trace_embeddings(outer.context(), "p", "v").begin();
    drop((vectors, tool, outer));
    let lines = trace.tree();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    let after = trace.context();
    let ended = trace_chat(&after, "p", "ended").begin();
    let late = ended.context().clone();
    ended.end(Outcome::Ok, Payload::None);
    drop(trace_chat(&late, "p", "late").begin());
    assert!(
        trace.find("chat late").is_some(),
        "the one around it was over"
    );
}

#[tokio::test]
async fn a_failure_inside_is_told_where_nobody_else_tells_why() {
    let trace = crate::testing::TraceCapture::new();
    let outer = trace_chat(&trace.context(), "p", "m").begin();
    let inner = trace_chat(outer.context(), "p", "m").begin();
    inner.fail("rate_limited", "the model request failed: rate_limited");
    outer.end(Outcome::Error, Payload::None);
    let [chat] = chats(&trace).try_into().unwrap();
    assert_eq!(chat.error.as_deref(), Some("rate_limited"));
}

#[tokio::test]
async fn operations_of_every_kind_are_named_by_the_conventions() {
    let trace = crate::testing::TraceCapture::new();
    let context = trace.context();
    drop(trace_workflow(&context, "w").begin());
    drop(trace_step(&context, "s").step_id("1").begin());
    drop(trace_plan(&context, "a").begin());
    drop(trace_embeddings(&context, "p", "v").begin());
    drop(trace_retrieval(&context, "docs").top_k(3).begin());
    drop(
        trace_memory(&context, MemoryOperation::Search)
            .store("st")
            .begin(),
    );
    drop(context.start(Kind::Memory, "x").begin());
    let operations = trace.operations();
    let names: Vec<_> = operations.iter().map(|op| op.span_name.as_str()).collect();
    assert_eq!(
        names,
        [
            "invoke_workflow w",
            "step s",
            "plan a",
            "embeddings v",
            "retrieval docs",
            "search_memory",
            "memory"
        ]
    );
}
