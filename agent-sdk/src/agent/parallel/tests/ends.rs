//! How several runs end: well, with failures, given up, dropped.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{super::parallel, answers, talker, width};
use crate::{
    agent::Agent,
    cost::Usd,
    model::{ChatRequest, ChatStream, Model, ModelError, ModelErrorKind, ModelInfo, Usage},
    operation::{Outcome, RunContext},
    run::RunErrorKind,
    testing::{self, ScriptedModel, TraceCapture, Turn, hanging_tool},
};

fn fails(name: &str, after: u64) -> Agent {
    let model = ScriptedModel::from_fn(move |_, _| {
        Turn::new()
            .delay(Duration::from_millis(after))
            .fail(ModelError::new(ModelErrorKind::BadRequest, "no"))
    });
    Agent::builder(name, model).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn they_take_as_long_as_the_longest_and_every_run_is_in_the_report_once_in_order() {
    let trace = TraceCapture::new();
    let agents = [answers("a", 300), answers("b", 100), answers("c", 200)];
    let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
    let report = runs.name("review").context(&trace.context()).await;
    assert_eq!(report.outcome, Outcome::Ok);
    assert_eq!(report.duration, Duration::from_millis(300));
    assert_eq!(report.work, Duration::from_millis(600));
    assert!((report.speedup() - 2.0).abs() < 1e-9);
    assert_eq!((report.usage, report.model_calls), (Usage::new(30, 15), 3));
    assert_eq!(report.cost, Usd::from_nanos(3 * 75_000));
    let names: Vec<_> = report
        .answers()
        .map(|(agent, _)| agent.to_owned())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    trace.well_formed().unwrap();
    assert_eq!(
        trace.tree(),
        "\
invoke_workflow review
  invoke_agent a
    chat gpt-4o
  invoke_agent b
    chat gpt-4o
  invoke_agent c
    chat gpt-4o
"
    );
    let workflow = trace.find("invoke_workflow review").unwrap();
    assert_eq!(workflow.totals.cost, report.cost);
    assert_eq!(workflow.trace.span_id.to_string(), *report.batch_id);
    let one = parallel(agents.iter().map(|agent| agent.run("hi"))).concurrency(width(1));
    assert_eq!(one.await.duration, Duration::from_millis(600));
    let none = parallel([]).await;
    assert_eq!((none.outcome, none.runs.len()), (Outcome::Ok, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_leaves_the_others_alone_and_every_error_is_kept() {
    let agents = [fails("a", 10), answers("b", 50), fails("c", 5)];
    let report = parallel(agents.iter().map(|agent| agent.run("hi"))).await;
    assert_eq!(report.outcome, Outcome::Error);
    assert_eq!(report.runs[1].as_ref().unwrap().text, "done");
    let errors: Vec<_> = report
        .errors()
        .map(|(index, error)| (index, error.to_string()))
        .collect();
    let said = |name: &str| format!("the run of agent `{name}` failed: the model request failed");
    assert_eq!(errors, [(0, said("a")), (2, said("c"))]);
}

#[tokio::test(start_paused = true)]
async fn with_stop_on_failure_the_others_are_cancelled_and_those_that_wait_do_not_start() {
    let trace = TraceCapture::new();
    let agents = [
        answers("a", 10),
        fails("b", 20),
        answers("c", 50),
        answers("d", 1),
    ];
    let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
    let runs = runs.stop_on_failure().concurrency(width(2));
    let report = runs.context(&trace.context()).await;
    let ends: Vec<_> = report
        .runs
        .iter()
        .map(|run| run.as_ref().err().map(crate::run::RunError::kind))
        .collect();
    let cancelled = Some(RunErrorKind::Cancelled);
    assert_eq!(
        ends,
        [None, Some(RunErrorKind::Model), cancelled, cancelled]
    );
    assert_eq!(report.outcome, Outcome::Error);
    assert_eq!(report.duration, Duration::from_millis(20));
    trace.well_formed().unwrap();
    assert!(trace.find("invoke_agent c").is_some());
    assert!(trace.find("invoke_agent d").is_none());
    let workflow = trace.find("invoke_workflow parallel").unwrap();
    assert_eq!(workflow.error.as_deref(), Some("model"));
}

#[tokio::test(start_paused = true)]
async fn all_are_cancelled_by_the_token_the_context_and_the_time_limit() {
    let agents = [answers("a", 10), answers("b", 10_000), answers("c", 10_000)];
    let runs = || parallel(agents.iter().map(|agent| agent.run("hi"))).concurrency(width(2));
    let ends = |report: &super::super::ParallelReport| -> Vec<_> {
        let ends = report.runs.iter();
        ends.map(|run| run.as_ref().err().map(crate::run::RunError::kind))
            .collect()
    };
    let token = CancellationToken::new();
    let trace = TraceCapture::new();
    let context = RunContext::builder()
        .cancellation(token.clone())
        .observers(trace.observers());
    let context = context.build();
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        token.cancel();
    };
    let (report, ()) = tokio::join!(runs().context(&context).into_future(), later);
    let cancelled = Some(RunErrorKind::Cancelled);
    assert_eq!(ends(&report), [None, cancelled, cancelled]);
    assert_eq!(report.outcome, Outcome::Cancelled);
    trace.well_formed().unwrap();

    let token = CancellationToken::new();
    token.cancel();
    let report = runs().cancellation(token).await;
    assert_eq!(ends(&report), [cancelled; 3]);

    let report = runs().timeout(Duration::from_secs(1)).await;
    let late = Some(RunErrorKind::Timeout);
    assert_eq!(ends(&report), [None, late, late]);
    assert_eq!(report.duration, Duration::from_secs(1));
}

#[test]
fn dropped_at_any_point_every_operation_ends_once_children_first() {
    let agent = |n: usize| {
        let turns = [
            Turn::from("let me see")
                .tool_call("1", "hangs", "{}")
                .chunk_words(1),
            Turn::from("sorry").delay(Duration::from_millis(5)),
        ];
        let tool = crate::tool::ToolHandle::from(hanging_tool("hangs"));
        let options = tool
            .options()
            .with_timeout(Duration::from_secs(n as u64 + 1));
        let agent = Agent::builder(format!("a{n}"), ScriptedModel::new(turns));
        agent.tool(tool.with_options(options)).build().unwrap()
    };
    for streamed in [false, true] {
        let trace = TraceCapture::new();
        let polls = testing::drop_at_every_poll(
            || {
                trace.clear();
                let agents: Vec<_> = (0..3).map(agent).collect();
                let context = trace.context();
                async move {
                    let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
                    let runs = runs.concurrency(width(2)).context(&context);
                    if !streamed {
                        runs.await;
                        return;
                    }
                    let mut stream = runs.stream();
                    while stream.next().await.is_some() {
                        tokio::task::yield_now().await;
                    }
                }
            },
            |_| {
                trace.well_formed().unwrap();
                assert_eq!(trace.open(), 0);
            },
        );
        assert!(polls.unwrap() > 3);
    }
}

/// A model whose code panics.
#[derive(Debug)]
struct Panics;

impl Model for Panics {
    fn info(&self) -> Arc<ModelInfo> {
        Arc::new(ModelInfo::new("test", "panics"))
    }

    async fn stream(&self, _: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_takes_no_other_with_it() {
    let trace = TraceCapture::new();
    let panics = Agent::builder("panics", Panics);
    let agents = [answers("a", 10), panics.build().unwrap(), answers("b", 20)];
    for streamed in [false, true] {
        trace.clear();
        let runs = parallel(agents.iter().map(|agent| agent.run("hi"))).context(&trace.context());
        let report = if streamed {
            runs.stream().report().await
        } else {
            runs.await
        };
        assert_eq!(report.answers().count(), 2);
        let (index, error) = report.errors().next().unwrap();
        assert_eq!((index, error.kind()), (1, RunErrorKind::Panic));
        assert_eq!(
            error.to_string(),
            "the run of agent `panics` failed: its code panicked"
        );
        trace.well_formed().unwrap();
        let failed = trace.find("invoke_agent panics").unwrap();
        assert_eq!(failed.error.as_deref(), Some("panic"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_at_once_are_all_there_and_wait_for_their_reader() {
    let agents: Vec<_> = (0..1_000)
        .map(|n| {
            talker(&format!("a{n}"), 10, Duration::from_millis(1))
                .build()
                .unwrap()
        })
        .collect();
    let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
    let mut stream = runs.concurrency(width(1_000)).stream();
    let mut heard = vec![0; agents.len()];
    while let Some(item) = stream.next().await {
        heard[item.index] += 1;
    }
    assert!(heard.iter().all(|events| *events == 14), "{heard:?}");
    let report = stream.report().await;
    assert_eq!(report.answers().count(), 1_000);
    assert_eq!(report.model_calls, 1_000);
    assert!(
        report.duration < Duration::from_millis(20),
        "{:?}",
        report.duration
    );
}
