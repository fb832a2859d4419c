//! What runs beside what, what is handed on, and what can be seen of it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Deeds, echo, ends, orchestrator, plan, registry, wait};
use crate::{
    agent::Agent,
    orchestrator::Orchestrator,
    plan::{AgentConfig, Map, Param, Plan, Step},
    testing::{ScriptedModel, TraceCapture, Turn},
    tool::FnTool,
};

#[tokio::test(start_paused = true)]
async fn a_plan_takes_as_long_as_its_longest_way() {
    let steps = [
        wait("a", 50),
        wait("b", 100),
        wait("c", 100).after(["a"]),
        wait("d", 50).after(["b"]),
        wait("e", 50).after(["c", "d"]),
    ];
    let began = Instant::now();
    let report = orchestrator(&Deeds::default())
        .run(&plan(steps))
        .await
        .unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(200));
    assert_eq!(report.output, 50);
    assert_eq!(report.work(), Duration::from_millis(350));
    let started = report
        .steps
        .iter()
        .map(|step| step.started.unwrap().as_millis());
    assert_eq!(started.collect::<Vec<_>>(), [0, 0, 50, 100, 150]);
}

#[tokio::test(start_paused = true)]
async fn agents_tools_functions_and_plans_hand_on_what_they_gave() {
    let deeds = Deeds::default();
    let registry = registry(&deeds);
    let model = ScriptedModel::from_fn(|request, _| {
        let asked = request.conversation.last().unwrap().text();
        let system = request.instructions.as_deref().unwrap_or("none");
        Turn::from(format!("<{system}|{asked}>"))
    });
    let writer = Agent::builder("writer", model)
        .instructions("Write.")
        .build()
        .unwrap();
    registry.agent(writer).unwrap();
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Add {
        a: i64,
        b: i64,
    }
    let add = FnTool::new("add", "Adds.", async |Add { a, b }: Add| {
        Ok::<_, String>(json!({"sum": a + b}))
    });
    registry.tool(add).unwrap();
    let inner = Plan::builder("inner")
        .param("n", Param::new())
        .step(echo("twice", json!(["${params.n}", "${params.n}"])))
        .build()
        .unwrap();
    let config = AgentConfig {
        instructions: Some("Be short.".into()),
        ..AgentConfig::default()
    };
    let steps = [
        Step::tool("sum", "add").input(json!({"a": 1, "b": "${params.b}"})),
        Step::plan("inner", inner).input(json!({"n": "${steps.sum/sum}"})),
        Step::agent("text", "writer")
            .action("Say it:")
            .input("${steps.inner}")
            .config(config),
        Step::agent("end", "writer").input(json!({"was": "${steps.text}"})),
        Step::function("each", "echo")
            .map(Map::over(json!([1, 2])))
            .input("${item}+${steps.sum/sum}"),
    ];
    let whole = Plan::builder("mixed")
        .param("b", Param::new())
        .steps(steps)
        .build()
        .unwrap();
    let trace = TraceCapture::new();
    let run = Orchestrator::new(registry)
        .run(&whole)
        .param("b", 4)
        .context(&trace.context());
    let report = run.await.unwrap();
    assert_eq!(
        report.output,
        json!({
            "end": "<Write.|{\n  \"was\": \"<Be short.|Say it:\\n\\n[\\n  5,\\n  5\\n]>\"\n}>",
            "each": ["1+5", "2+5"],
        })
    );
    assert_eq!(
        report.step("inner").unwrap().inner.as_ref().unwrap().output,
        json!([5, 5])
    );
    assert_eq!((report.run.model_calls, report.run.tool_calls), (2, 1));
    trace.well_formed().unwrap();
    assert_eq!(
        trace.tree(),
        "\
invoke_workflow mixed
  step sum
    execute_tool add
  step inner
    invoke_workflow inner
      step twice
  step each
  step each
  step text
    invoke_agent writer
      chat scripted-1
  step end
    invoke_agent writer
      chat scripted-1
"
    );
    let link = |from: &str, to: &str| {
        let (from, to) = (trace.find(from).unwrap(), trace.find(to).unwrap());
        from.links.contains(&to.trace)
    };
    assert!(link("step text", "step inner") && link("step inner", "step sum"));
    assert!(!link("step text", "step sum"));
}

#[tokio::test(start_paused = true)]
async fn so_many_run_at_once_as_the_plan_allows() {
    let deeds = Deeds::default();
    let steps = (0..6).map(|n| wait(&format!("s{n}"), 10));
    let narrow = Plan::builder("test")
        .steps(steps)
        .concurrency(2)
        .build()
        .unwrap();
    let began = Instant::now();
    orchestrator(&deeds).run(&narrow).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 30);
    let (mut running, mut most) = (0, 0);
    for deed in deeds.take() {
        running += if deed.starts_with("begin") { 1 } else { -1 };
        most = most.max(running);
    }
    assert_eq!(most, 2);
}

#[tokio::test]
async fn p2_a_chain_of_100_000_steps_overflows_nothing() {
    let steps = (0..100_000).map(|n| {
        let step = echo(&format!("s{n}"), json!(n));
        if n == 0 {
            step
        } else {
            step.after([format!("s{}", n - 1)])
        }
    });
    let report = orchestrator(&Deeds::default())
        .run(&plan(steps))
        .await
        .unwrap();
    assert_eq!(report.output, 99_999);
    assert_eq!(ends(&report).as_object().unwrap().len(), 100_000);
}
