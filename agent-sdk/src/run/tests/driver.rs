use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::two_calls;
use crate::{
    agent::Agent,
    cost::Usd,
    message::Part,
    model::Usage,
    operation::Outcome,
    testing::{
        BarrierTool, CountingTool, ScriptedModel, TraceCapture, Turn, failing_tool, hanging_tool,
        panicking_tool,
    },
    tool::{Concurrency, FnTool, ToolOptions},
};

#[tokio::test(start_paused = true)]
async fn an_answer_comes_with_its_trace_its_totals_and_its_profile() {
    let trace = TraceCapture::new();
    let model = ScriptedModel::new(two_calls("look")).named("openai", "gpt-4o");
    let tool = CountingTool::new("look").taking(Duration::from_millis(50));
    let agent = Agent::builder("triage", model)
        .tool(tool.clone())
        .build()
        .unwrap();
    let report = agent.run("hi").context(&trace.context()).await.unwrap();
    assert_eq!(report.text, "all done");
    assert_eq!(report.outcome, Outcome::Ok);
    assert_eq!(
        (report.model_calls, report.tool_calls, report.words),
        (2, 2, 2)
    );
    assert_eq!(report.usage, Usage::new(250, 30));
    assert_eq!(report.cost, Usd::from_nanos(925_000));
    assert_eq!(report.duration, Duration::from_millis(50));
    assert_eq!(tool.peak(), 2);
    trace.well_formed().unwrap();
    assert_eq!(
        trace.tree(),
        "\
invoke_agent triage
  chat gpt-4o
  execute_tool look
  execute_tool look
  chat gpt-4o
"
    );
}

#[tokio::test(start_paused = true)]
async fn t1_t2_t4_a_tool_that_fails_panics_hangs_or_does_not_exist_is_told_to_the_model() {
    let trace = TraceCapture::new();
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("c1", "fails", "{}")
            .tool_call("c2", "panics", "{}")
            .tool_call("c3", "hangs", "{}")
            .tool_call("c4", "missing", "{}")
            .tool_call("c5", "typed", r#"{"city": 7}"#),
        Turn::from("sorry"),
    ])
    .recording();
    #[derive(Deserialize, JsonSchema)]
    struct Typed {
        #[expect(dead_code, reason = "never read: the arguments do not fit")]
        city: String,
    }
    let typed = FnTool::new("typed", "", async |_: Typed| Ok::<_, String>("never"));
    let agent = Agent::builder("a", model.clone())
        .tool(failing_tool("fails", "no luck"))
        .tool(panicking_tool("panics"))
        .tool(hanging_tool("hangs"))
        .tool(typed)
        .build()
        .unwrap();
    let report = agent.run("hi").context(&trace.context()).await.unwrap();
    assert_eq!(report.text, "sorry");
    let shown = model.requests()[1].conversation.last().unwrap().clone();
    let shown: Vec<_> = shown
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => format!("{} {}", result.call_id, &*result.content),
            _ => String::new(),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "c1 tool_error: no luck",
            "c2 panic: the tool panicked",
            "c3 timeout: the tool did not answer within 120s",
            "c4 unknown_tool: there is no such tool here; use one of those that were offered",
            "c5 invalid_arguments: the arguments do not fit the schema: at `city`: invalid type: integer `7`, expected a string at line 1 column 10",
        ]
    );
    assert_eq!(
        trace.tree(),
        "\
invoke_agent a
  chat scripted-1
  execute_tool fails  error=tool_error
  execute_tool panics  error=panic
  execute_tool hangs  outcome=timeout  error=timeout
  execute_tool missing  error=unknown_tool
  execute_tool typed  error=invalid_arguments
  chat scripted-1
"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_turn_run_together_and_an_exclusive_one_alone() {
    let names = ["free", "alone", "free", "free"];
    let turn = names
        .iter()
        .enumerate()
        .fold(Turn::new(), |turn, (n, name)| {
            turn.tool_call(format!("c{n}"), *name, "{}")
        });
    let trace = TraceCapture::new();
    let free = CountingTool::new("free").taking(Duration::from_millis(10));
    let exclusive = ToolOptions::default().with_concurrency(Concurrency::Exclusive);
    let alone = CountingTool::new("alone")
        .taking(Duration::from_millis(10))
        .options(exclusive);
    let agent = Agent::builder("a", ScriptedModel::new([turn, Turn::from("ok")]))
        .tool(free.clone())
        .tool(alone)
        .build()
        .unwrap();
    agent.run("hi").context(&trace.context()).await.unwrap();
    assert_eq!(
        trace.timeline(),
        "\
invoke_agent a  0..30 ms
  chat scripted-1  0..0 ms
  execute_tool free  0..10 ms
  execute_tool alone  10..20 ms
  execute_tool free  20..30 ms
  execute_tool free  20..30 ms
  chat scripted-1  30..30 ms
"
    );
}

#[tokio::test(start_paused = true)]
async fn sixteen_calls_run_at_once_and_no_more() {
    let turn = (0..40).fold(Turn::new(), |turn, n| {
        turn.tool_call(format!("c{n}"), "t", "{}")
    });
    let tool = CountingTool::new("t").taking(Duration::from_millis(1));
    let agent = Agent::builder("a", ScriptedModel::new([turn, Turn::from("ok")]))
        .tool(tool.clone())
        .build()
        .unwrap();
    agent.run("hi").await.unwrap();
    assert_eq!((tool.calls(), tool.peak()), (40, 16));
}

#[tokio::test(start_paused = true)]
async fn a_sub_agent_hangs_under_its_call_and_its_cost_counts() {
    let trace = TraceCapture::new();
    let inner = ScriptedModel::new([Turn::from("found").usage(Usage::new(1_000, 500))])
        .named("openai", "gpt-4o");
    let inner = Agent::builder("searcher", inner)
        .description("Searches.")
        .build()
        .unwrap();
    let outer = ScriptedModel::new([
        Turn::new().tool_call("c1", "searcher", r#"{"task": "look"}"#),
        Turn::from("done"),
    ]);
    let outer = Agent::builder("boss", outer)
        .tool(inner.as_tool())
        .build()
        .unwrap();
    let report = outer.run("hi").context(&trace.context()).await.unwrap();
    assert_eq!(report.cost, Usd::from_nanos(7_500_000));
    assert_eq!((report.model_calls, report.unpriced_calls), (3, 2));
    assert_eq!(
        trace.tree(),
        "\
invoke_agent boss
  chat scripted-1
  execute_tool searcher
    invoke_agent searcher
      chat gpt-4o
  chat scripted-1
"
    );
}

#[tokio::test(start_paused = true)]
async fn agents_inside_each_other_stop_at_four() {
    let trace = TraceCapture::new();
    let mut agent = Agent::builder("a5", ScriptedModel::new([Turn::from("deep")]))
        .build()
        .unwrap();
    for n in (1..5).rev() {
        let turns = [
            Turn::new().tool_call("c", format!("a{}", n + 1), r#"{"task": "t"}"#),
            Turn::from("ok"),
        ];
        agent = Agent::builder(format!("a{n}"), ScriptedModel::new(turns))
            .tool(agent.as_tool())
            .build()
            .unwrap();
    }
    agent.run("hi").context(&trace.context()).await.unwrap();
    let refused = trace.find("invoke_agent a5").unwrap();
    assert_eq!(refused.outcome, Some(Outcome::Limit));
}

#[tokio::test(start_paused = true)]
async fn all_calls_of_a_turn_are_inside_at_once() {
    let turn = (0..8).fold(Turn::new(), |turn, n| {
        turn.tool_call(format!("c{n}"), "meet", "{}")
    });
    let barrier = BarrierTool::new("meet", 8);
    let agent = Agent::builder("a", ScriptedModel::new([turn, Turn::from("ok")]))
        .tool(barrier)
        .build()
        .unwrap();
    assert_eq!(agent.run("hi").await.unwrap().tool_calls, 8);
}
