use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::two_calls;
use crate::{
    agent::Agent,
    message::{Conversation, Part},
    model::{FinishReason, ModelError, ModelErrorKind, Usage},
    operation::Outcome,
    run::{Limit, Limits, RunErrorKind},
    testing::{self, CountingTool, EventLog, ScriptedModel, TraceCapture, Turn, hanging_tool},
    tool::{FnTool, ToolContext},
};

#[tokio::test(start_paused = true)]
async fn t10_limits_name_themselves_and_the_report_says_what_was_spent() {
    let model = || {
        ScriptedModel::from_fn(|_, n| {
            Turn::new()
                .tool_call(format!("c{n}"), "look", "{}")
                .usage(Usage::new(10, 1))
        })
    };
    let agent = |limits| {
        let agent = Agent::builder("a", model())
            .tool(CountingTool::new("look"))
            .build()
            .unwrap();
        agent.run("hi").limits(limits)
    };
    let turns = Limits {
        max_turns: NonZeroU32::new(3).unwrap(),
        ..Limits::default()
    };
    let error = agent(turns).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.limit()),
        (RunErrorKind::LimitExceeded, Some(Limit::MaxTurns(3)))
    );
    assert_eq!(
        error.to_string(),
        "the run of agent `a` reached its limit max_turns = 3"
    );
    assert_eq!(
        (error.report().model_calls, error.report().outcome),
        (3, Outcome::Limit)
    );
    assert_eq!(error.report().usage, Usage::new(30, 3));

    let calls = Limits {
        max_tool_calls: 2,
        ..Limits::default()
    };
    assert_eq!(
        agent(calls).await.unwrap_err().limit(),
        Some(Limit::MaxToolCalls(2))
    );
    assert_eq!(
        agent(Limits::default()).await.unwrap_err().limit(),
        Some(Limit::MaxTurns(16))
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_or_too_slow_ends_as_such_with_its_usage() {
    let trace = TraceCapture::new();
    let agent = |name: &str| {
        let turns = two_calls("hangs");
        Agent::builder(name, ScriptedModel::new(turns))
            .tool(hanging_tool("hangs"))
            .build()
            .unwrap()
    };
    let token = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    let mut conversation = Conversation::from("hi");
    let run = agent("cancelled")
        .run_with(&mut conversation)
        .context(&trace.context())
        .cancellation(token.clone());
    let (result, ()) = tokio::join!(run.into_future(), stop);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Cancelled);
    assert_eq!(error.report().usage, Usage::new(100, 20));
    assert_eq!(
        conversation.last().unwrap().parts.len(),
        2,
        "each call has its result"
    );

    let slow = agent("slow")
        .run("hi")
        .context(&trace.context())
        .timeout(Duration::from_secs(5));
    assert_eq!(slow.await.unwrap_err().kind(), RunErrorKind::Timeout);
    trace.well_formed().unwrap();
    assert_eq!(
        trace.tree(),
        "\
invoke_agent cancelled  outcome=cancelled  error=cancelled
  chat scripted-1
  execute_tool hangs  outcome=cancelled
  execute_tool hangs  outcome=cancelled
invoke_agent slow  outcome=timeout  error=timeout
  chat scripted-1
  execute_tool hangs  outcome=cancelled
  execute_tool hangs  outcome=cancelled
"
    );
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_an_error_and_none_of_its_tools_runs() {
    let tool = CountingTool::new("look");
    for turn in [
        Turn::new()
            .text("half")
            .tool_call("c1", "look", "{")
            .finish(FinishReason::Length),
        Turn::new()
            .text("half")
            .tool_call("c1", "look", "{}")
            .cut_after(2),
    ] {
        let agent = Agent::builder("a", ScriptedModel::new([turn]))
            .tool(tool.clone())
            .build()
            .unwrap();
        let mut conversation = Conversation::from("hi");
        let error = agent
            .run_with(&mut conversation)
            .stream()
            .report()
            .await
            .unwrap_err();
        assert_eq!(error.report().text, "half");
        assert!(
            conversation
                .messages()
                .iter()
                .all(|message| message.tool_calls().next().is_none())
        );
    }
    assert_eq!(tool.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_model_s_error_keeps_its_class() {
    let error = ModelError::new(ModelErrorKind::RateLimited, "slow down").with_status(429);
    let log = EventLog::new();
    let agent = Agent::builder("a", ScriptedModel::new([Turn::new().fail(error)]))
        .observers(log.observers())
        .build()
        .unwrap();
    let error = agent.run("hi").await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Model);
    assert_eq!(error.model_error().unwrap().status(), Some(429));
    assert_eq!(error.report().error.as_deref(), Some("rate_limited"));
    let report = error.report();
    assert_eq!(
        (report.model_calls, report.unpriced_calls),
        (1, 0),
        "a refusal costs nothing"
    );
    let lost = ModelError::new(ModelErrorKind::Transport, "gone");
    let agent = Agent::builder("a", ScriptedModel::new([Turn::new().fail(lost)]))
        .build()
        .unwrap();
    let report = agent.run("hi").await.unwrap_err();
    assert_eq!(report.report().unpriced_calls, 1, "nobody knows");
}

#[test]
fn dropped_at_any_point_every_operation_ends_once_children_first_and_usage_is_kept() {
    let inner = || {
        let turns = [
            Turn::new()
                .tool_call("i1", "slow", "{}")
                .usage(Usage::new(10, 1)),
            Turn::from("inner answer")
                .chunk_words(1)
                .chunk_delay(Duration::from_millis(3)),
        ];
        Agent::builder("inner", ScriptedModel::new(turns))
            .tool(CountingTool::new("slow").taking(Duration::from_millis(5)))
            .build()
            .unwrap()
    };
    let outer = || {
        let turns = [
            Turn::new()
                .text("let me see")
                .chunk_words(1)
                .chunk_delay(Duration::from_millis(2))
                .tool_call("c1", "inner", r#"{"task": "t"}"#)
                .tool_call("c2", "slow", "{}")
                .usage(Usage::new(100, 20)),
            Turn::from("the end of it all")
                .chunk_words(1)
                .chunk_delay(Duration::from_millis(1)),
        ];
        Agent::builder("outer", ScriptedModel::new(turns))
            .tool(inner().as_tool())
            .tool(CountingTool::new("slow").taking(Duration::from_millis(7)))
            .build()
            .unwrap()
    };
    for streamed in [false, true] {
        let trace = TraceCapture::new();
        let conversation = Mutex::new(Conversation::new());
        let mut most = 0;
        let polls = testing::drop_at_every_poll(
            || async {
                trace.clear();
                let mut talk = Keep(Conversation::from("hi"), &conversation);
                let run = outer().run_with(&mut talk.0).context(&trace.context());
                if streamed {
                    run.stream().report().await.map(|_| ())
                } else {
                    run.await.map(|_| ())
                }
            },
            |n| {
                trace
                    .well_formed()
                    .unwrap_or_else(|why| panic!("dropped after {n} polls: {why}"));
                assert_eq!(trace.open(), 0);
                let talk = conversation.lock().unwrap();
                let calls: usize = talk.messages().iter().map(|m| m.tool_calls().count()).sum();
                let results: usize = talk
                    .messages()
                    .iter()
                    .flat_map(|m| &m.parts)
                    .filter(|part| matches!(part, Part::ToolResult(_)))
                    .count();
                assert_eq!(calls, results, "dropped after {n} polls");
                most = most.max(calls);
                if let Some(agent) = trace.find("invoke_agent outer")
                    && calls > 0
                {
                    assert!(
                        agent.totals.usage.input_tokens >= Some(100),
                        "usage is kept"
                    );
                }
            },
        );
        assert!(polls.unwrap() > 8, "the run waits at many points");
        assert_eq!(most, 2);
    }

    /// Hands the conversation out when the run is dropped.
    struct Keep<'a>(Conversation, &'a Mutex<Conversation>);
    impl Drop for Keep<'_> {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = std::mem::take(&mut self.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_tells_what_its_tools_have_set_going() {
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    let tool = FnTool::new(
        "starts",
        "",
        move |context: ToolContext, _: serde_json::Value| {
            *keep.lock().unwrap() = Some(context.cancellation().clone());
            std::future::pending::<Result<(), String>>()
        },
    );
    let turns = [Turn::new().tool_call("c", "starts", "{}")];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(tool)
        .build()
        .unwrap();
    let run = agent.run("hi").into_future();
    assert!(
        tokio::time::timeout(Duration::from_secs(1), run)
            .await
            .is_err()
    );
    let token: CancellationToken = seen.lock().unwrap().take().unwrap();
    assert!(token.is_cancelled());
}
