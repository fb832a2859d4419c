use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    agent::Agent,
    journal::Runs,
    message::{Conversation, Message, Role},
    model::{
        ChatEvent, ChatRequest, ChatResponse, ChatStream, Model, ModelError, ModelHandle,
        ModelInfo, ToolChoice,
    },
    operation::{EventKind, Observer, Observers, OperationRecord, Payload, RunContext},
    run::{Limits, Machine, RunErrorKind},
    store::MemoryStore,
    testing::{CountingTool, EventLog, ScriptedModel, Turn},
    tool::{FnTool, ToolContext},
};

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
async fn the_journal_holds_each_outcome_and_folds_into_the_same_conversation() {
    let store = Arc::new(MemoryStore::new());
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
        .store(store.clone())
        .await
        .unwrap();
    let records = Runs::new(store).records(report.run_id.as_str()).await;
    let records = records.unwrap();
    let paths: Vec<&str> = records.iter().map(|record| &*record.path).collect();
    assert_eq!(paths, ["", "", "", "", "", "1/c2", "1/c2", "", "", ""]);
    let own = records.into_iter().filter(|record| record.path.is_empty());
    let mut machine = Machine::new(Conversation::new(), Limits::default());
    machine.fold(own.map(|record| record.record)).unwrap();
    assert_eq!(machine.conversation(), &conversation);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_stream_is_asked_for_its_whole_answer() {
    struct Whole(ScriptedModel);
    impl Model for Whole {
        fn info(&self) -> Arc<ModelInfo> {
            self.0.info()
        }

        fn streams(&self) -> bool {
            false
        }

        async fn stream(&self, _: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
            panic!("it cannot");
        }

        async fn chat(
            &self,
            context: &RunContext,
            request: ChatRequest,
        ) -> Result<ChatResponse, ModelError> {
            self.0.chat(context, request).await
        }
    }
    let log = EventLog::new();
    let agent = Agent::builder("a", Whole(ScriptedModel::new(["two words"])))
        .observers(log.observers())
        .build()
        .unwrap();
    let report = agent.stream("hi").report().await.unwrap();
    assert_eq!(report.text, "two words");
    let chunks = log
        .types()
        .iter()
        .filter(|kind| *kind == "text_chunk")
        .count();
    assert_eq!(chunks, 1);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_floods_a_slow_reader_with_progress_is_held_in_bounds() {
    let tool = FnTool::new(
        "noisy",
        "",
        async |context: ToolContext, _: serde_json::Value| {
            for n in 0..100_000 {
                context.progress(None, n.to_string());
            }
            Ok::<_, String>("done")
        },
    );
    let turns = [Turn::new().tool_call("c", "noisy", "{}"), Turn::from("ok")];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(tool)
        .build()
        .unwrap();
    let events: Vec<_> = agent.stream("hi").collect().await;
    let last = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::ToolProgress { message, .. } => Some(message.as_str().to_owned()),
        _ => None,
    });
    assert!(events.len() < 1_100, "{} events", events.len());
    assert_eq!(
        last.as_deref(),
        Some("99999"),
        "the newest progress is kept"
    );
    assert!(matches!(
        events.last().unwrap().kind,
        EventKind::RunReport(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn the_gaps_between_pieces_are_the_model_s_and_not_the_reader_s() {
    struct Gaps(Arc<Mutex<(Vec<u32>, Duration)>>);
    impl Observer for Gaps {
        fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
            let facts = record.facts;
            *self.0.lock().unwrap() = (facts.chunk_gaps_us.clone(), facts.consumer_wait);
        }
    }
    let seen = Arc::new(Mutex::default());
    let observers = Observers::none().with(Gaps(seen.clone()));
    let context = RunContext::builder().observers(observers).build();
    let turn = Turn::from("one two three")
        .chunk_words(1)
        .chunk_delay(Duration::from_millis(3));
    let model = ModelHandle::new(ScriptedModel::new([turn]));
    let mut stream = model
        .stream(&context, ChatRequest::new("hi"))
        .await
        .unwrap();
    while let Some(event) = stream.next().await {
        if matches!(event.unwrap(), ChatEvent::Text(_)) {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
    let (gaps, waited) = seen.lock().unwrap().clone();
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    assert_eq!(gaps.len(), 2);
    assert!(gaps.iter().all(|gap| *gap <= 4_000), "{gaps:?}");
}
