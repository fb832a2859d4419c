//! Graphs of tools, in paused time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::ToolGraph;
use crate::{
    orchestrator::{Orchestrator, PlanRunErrorKind},
    registry::Registry,
    testing::TraceCapture,
    tool::{Effect, FnTool, NoArguments, ToolContext, ToolHandle, ToolOptions},
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Wait {
    ms: u64,
    #[serde(default)]
    given: Option<Value>,
}

/// A tool that waits and says what it was given.
fn wait(name: &str) -> ToolHandle {
    let wait = FnTool::new(name, "", async |wait: Wait| {
        sleep(Duration::from_millis(wait.ms)).await;
        Ok::<_, String>(json!({"waited": wait.ms, "given": wait.given}))
    });
    wait.into()
}

fn fail() -> ToolHandle {
    FnTool::new("fail", "", async || Err::<Value, _>("it broke".to_owned())).into()
}

fn ms(time: Duration) -> u128 {
    time.as_millis()
}

#[tokio::test(start_paused = true)]
async fn calls_run_beside_each_other_as_far_as_they_depend_and_each_is_reported_once() {
    let wait = wait("wait");
    let trace = TraceCapture::new();
    let mut graph = ToolGraph::new("diamond");
    graph
        .depend("both", ["slow", "quick"])
        .register("first", wait.clone(), json!({"ms": 50}))
        .register(
            "both",
            wait.clone(),
            json!({"ms": 30, "given": "${steps.slow/waited}"}),
        )
        .register(
            "slow",
            wait.clone(),
            json!({"ms": 100, "given": "${steps.first}"}),
        )
        .register("quick", wait, json!({"ms": 20}))
        .depend("quick", ["first"]);
    let report = graph.execute().context(&trace.context()).await.unwrap();
    assert_eq!(report.output, json!({"waited": 30, "given": 100}));
    let steps = report.steps.iter();
    let steps: Vec<_> = steps
        .map(|step| {
            (
                &*step.id,
                step.end.as_str(),
                step.attempts,
                step.started.map(ms),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("first", "ok", 1, Some(0)),
            ("both", "ok", 1, Some(150)),
            ("slow", "ok", 1, Some(50)),
            ("quick", "ok", 1, Some(50)),
        ]
    );
    assert_eq!(
        (
            ms(report.work()),
            ms(report.duration),
            ms(report.critical_path)
        ),
        (200, 180, 180)
    );
    assert!((report.speedup() - 200.0 / 180.0).abs() < 1e-9);
    assert_eq!(
        trace.tree(),
        "\
invoke_workflow diamond
  step first
    execute_tool wait
  step slow
    execute_tool wait
  step quick
    execute_tool wait
  step both
    execute_tool wait
"
    );
}

#[tokio::test]
async fn p1_every_mistake_is_said_at_once_and_nothing_is_called() {
    let called = Arc::new(Mutex::new(0));
    let counts = called.clone();
    let count = FnTool::new("count", "", move || {
        *counts.lock().unwrap() += 1;
        std::future::ready(Ok::<_, String>(""))
    });
    let mut graph = ToolGraph::new("wrong");
    graph
        .register("count", count, Value::Null)
        .register("fetch", wait("wait"), json!({"ms": "soon"}))
        .register("fetch", wait("wait"), json!({"ms": 1}))
        .register("one", fail(), Value::Null)
        .register("two", fail().with_options(read_only()), "${steps.thre}")
        .register("three", wait("other"), json!({"ms": 1}))
        .depend("one", ["three"])
        .depend("three", ["two"])
        .depend("two", ["one", "fetsh"])
        .depend("thrie", ["one"])
        .depend("elsewhere", ["one"]);
    let error = graph.execute().await.unwrap_err();
    assert_eq!(error.kind(), PlanRunErrorKind::Invalid);
    assert!(error.report().is_none());
    let wrong = error.plan_error().unwrap();
    let said: Vec<_> = wrong.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "steps[2].tool: there is already a tool `wait`; give one of them another name",
            "steps[4].tool: there is already a tool `fail`; give one of them another name",
            "depend[3]: there is no step `thrie`; is `three` meant?",
            "depend[4]: there is no step `elsewhere`",
            "steps[2].id: `fetch` is the id of steps[1] already",
            "steps[4].depends_on[1]: there is no step `fetsh`; is `fetch` meant?",
            "steps[4].input: there is no step `thre`; is `three` meant?",
            "steps[1].input.ms: \"soon\" is not of type \"integer\"",
            "steps[3]: these wait for each other: one → two → three → one",
        ]
    );
    assert_eq!(&graph.plan().unwrap_err(), wrong);
    assert_eq!(*called.lock().unwrap(), 0);
}

fn read_only() -> ToolOptions {
    ToolOptions::default().with_effect(Effect::ReadOnly)
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_a_failed_call_is_skipped_and_the_others_are_made() {
    let mut graph = ToolGraph::new("half");
    graph
        .register("bad", fail(), Value::Null)
        .register("after", wait("wait"), json!({"ms": 10}))
        .depend("after", ["bad"])
        .register("other", wait("still"), json!({"ms": 10}));
    let error = graph.execute().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "plan `half` failed: step `bad` failed (try 1: tool_error: it broke)"
    );
    let report = error.report().unwrap();
    let ends = report
        .steps
        .iter()
        .map(|step| (&*step.id, step.end.as_str()));
    assert_eq!(
        ends.collect::<Vec<_>>(),
        [("bad", "failed"), ("after", "skipped"), ("other", "ok")]
    );
    assert_eq!(ms(report.critical_path), 10);
}

#[tokio::test]
async fn a_graph_runs_with_what_its_orchestrator_has_and_again() {
    let state = FnTool::new("state", "", async |context: ToolContext, _: NoArguments| {
        Ok::<_, String>(context.state::<String>().map(|text| (*text).clone()))
    });
    let orchestrator = Orchestrator::new(Registry::new()).state(Arc::new("shared".to_owned()));
    let mut graph = ToolGraph::new("state");
    graph
        .orchestrator(orchestrator)
        .register("it", state, Value::Null);
    for _ in 0..2 {
        let report = graph.execute().await.unwrap();
        assert_eq!(report.output, "shared");
    }
    graph.register("second", wait("wait"), json!({"ms": 0}));
    assert_eq!(graph.plan().unwrap().steps.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_graph_runs_beside_what_is_around_and_stops_with_it() {
    let mut graph = ToolGraph::new("long");
    graph.register("long", wait("wait"), json!({"ms": 60_000}));
    let trace = TraceCapture::new();
    let context = trace.context();
    let stop = async {
        sleep(Duration::from_millis(5)).await;
        context.cancellation().cancel();
    };
    let (ended, ()) = tokio::join!(async { graph.execute().context(&context).await }, stop);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), PlanRunErrorKind::Cancelled);
    assert_eq!(error.report().unwrap().steps[0].end.as_str(), "cancelled");
    trace.well_formed().unwrap();
}
