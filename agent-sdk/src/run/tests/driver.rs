use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::Agent,
    cost::Usd,
    journal::{MemoryJournal, Record},
    message::{Conversation, Message, Part, Role},
    model::{FinishReason, ModelError, ModelErrorKind, ToolChoice, Usage},
    operation::Outcome,
    run::{Limit, Limits, Machine, RunErrorKind},
    testing::{
        self, BarrierTool, CountingTool, EventLog, ScriptedModel, TraceCapture, Turn, failing_tool,
        hanging_tool, panicking_tool,
    },
    tool::{Concurrency, FnTool, ToolContext, ToolOptions},
};

/// Two calls, then an answer.
fn two_calls(name: &str) -> [Turn; 2] {
    [
        Turn::new()
            .tool_call("c1", name, "{}")
            .tool_call("c2", name, "{}")
            .usage(Usage::new(100, 20)),
        Turn::from("all done").usage(Usage::new(150, 10)),
    ]
}

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
async fn a_tool_that_fails_panics_hangs_or_does_not_exist_is_told_to_the_model() {
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
async fn a_stream_shows_the_run_as_it_happens_and_loses_nothing() {
    let text = "one two three four ".repeat(100);
    let turns = [
        Turn::new().text("thinking").tool_call("c1", "look", "{}"),
        Turn::from(text.as_str()).chunk_words(1),
    ];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(CountingTool::new("look"))
        .build()
        .unwrap();
    let mut stream = agent.stream("hi");
    let (mut types, mut written) = (Vec::new(), String::new());
    while let Some(event) = stream.next().await {
        let json = serde_json::to_value(&*event).unwrap();
        assert_eq!(json["seq"], types.len() + 1);
        types.push(json["type"].as_str().unwrap().to_owned());
        if types.last().unwrap() == "text_chunk" {
            written.push_str(json["content"].as_str().unwrap());
        }
    }
    assert_eq!(written, format!("thinking{text}"));
    types.dedup();
    assert_eq!(
        types,
        [
            "run_started",
            "agent_initialized",
            "chat_started",
            "text_chunk",
            "chat_completed",
            "tool_use",
            "tool_result",
            "chat_started",
            "text_chunk",
            "chat_completed",
            "agent_completed",
            "run_report"
        ]
    );
    assert_eq!(stream.report().await.unwrap().words, 400);
}

#[tokio::test(start_paused = true)]
async fn callbacks_hear_of_tools_before_they_run() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (uses, all) = (heard.clone(), heard.clone());
    let turns = [
        Turn::new().tool_call("c1", "look", r#"{"q":1}"#),
        Turn::from("ok"),
    ];
    let tool = FnTool::new(
        "look",
        "",
        async |context: ToolContext, _: serde_json::Value| {
            context.progress(Some(0.5), "half");
            Ok::<_, String>("seen")
        },
    );
    Agent::builder("a", ScriptedModel::new(turns))
        .tool(tool)
        .build()
        .unwrap()
        .run("hi")
        .on_tool_use(move |tool, input| uses.lock().unwrap().push(format!("{tool} {input}")))
        .on_progress(move |event| {
            let json = serde_json::to_value(event).unwrap();
            if json["type"] == "tool_progress" {
                all.lock()
                    .unwrap()
                    .push(format!("{} {}", json["message"], json["fraction"]));
            }
        })
        .await
        .unwrap();
    assert_eq!(*heard.lock().unwrap(), [r#"look {"q":1}"#, r#""half" 0.5"#]);
}

#[tokio::test(start_paused = true)]
async fn limits_name_themselves_and_the_report_says_what_was_spent() {
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
}

#[tokio::test(start_paused = true)]
async fn a_typed_answer_is_validated_and_sent_back_once() {
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Verdict {
        #[schemars(range(min = 1, max = 5))]
        stars: u8,
    }
    let turns = ["{\"stars\": 9}", "```json\n{\"stars\": 4}\n```"].map(Turn::from);
    let model = ScriptedModel::new(turns).recording();
    let agent = Agent::builder("critic", model.clone()).build().unwrap();
    let verdict = agent.run_as::<Verdict>("judge").await.unwrap();
    assert_eq!(verdict.output, Verdict { stars: 4 });
    assert_eq!(verdict.report.model_calls, 2);
    let sent_back = model.requests()[1].conversation.last().unwrap().text();
    assert!(
        sent_back.contains("at `/stars`: 9 is greater than the maximum of 5"),
        "{sent_back}"
    );

    let model = ScriptedModel::new(["no", "still no"].map(Turn::from));
    let agent = Agent::builder("critic", model).build().unwrap();
    let error = agent.run_as::<Verdict>("judge").await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::InvalidOutput);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_and_runs_choose_their_tools() {
    let turns = [
        Turn::from("hello"),
        Turn::new().tool_call("c", "b", "{}"),
        Turn::from("bye"),
    ];
    let model = ScriptedModel::new(turns).recording();
    let agent = Agent::builder("a", model.clone())
        .tool(CountingTool::new("a"))
        .tool(CountingTool::new("b"))
        .build()
        .unwrap();
    let mut conversation = Conversation::from("hi").with_id("conv-1");
    agent.run_with(&mut conversation).await.unwrap();
    conversation.push(Message::user("go on"));
    agent
        .run_with(&mut conversation)
        .allow_tools(["b"])
        .tool_choice(ToolChoice::Required)
        .await
        .unwrap();
    let roles: Vec<_> = conversation
        .messages()
        .iter()
        .map(|message| message.role)
        .collect();
    use Role::{Assistant, Tool, User};
    assert_eq!(roles, [User, Assistant, User, Assistant, Tool, Assistant]);
    let requests = model.requests();
    assert_eq!((requests[0].tools.len(), requests[1].tools.len()), (2, 1));
    assert_eq!(requests[1].tool_choice, ToolChoice::Required);
    assert_eq!(
        requests[2].tool_choice,
        ToolChoice::Auto,
        "a forced call is forced once"
    );
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
async fn the_journal_holds_each_outcome_and_folds_into_the_same_conversation() {
    let journal = Arc::new(MemoryJournal::new());
    let inner = Agent::builder("inner", ScriptedModel::new([Turn::from("in")]))
        .build()
        .unwrap();
    let turns = [
        Turn::new()
            .tool_call("c1", "look", "{}")
            .tool_call("c2", "inner", r#"{"task":"t"}"#),
        Turn::from("out"),
    ];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(CountingTool::new("look"))
        .tool(inner.as_tool())
        .build()
        .unwrap();
    let mut conversation = Conversation::from("hi");
    let report = agent
        .run_with(&mut conversation)
        .journal(journal.clone())
        .await
        .unwrap();
    let path = report.run_id.as_str().to_owned();
    assert_eq!(journal.paths(), [path.clone(), format!("{path}/c2")]);
    let records = journal.records(&path);
    let text = serde_json::to_string(&records).unwrap();
    let records: Vec<Record> = serde_json::from_str(&text).unwrap();
    assert_eq!(records.len(), 5);
    let mut machine = Machine::new(Conversation::new(), Limits::default());
    for record in records {
        machine.apply(record);
    }
    assert_eq!(machine.conversation(), &conversation);
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
