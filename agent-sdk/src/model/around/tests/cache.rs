//! Which requests are the same, and which answers are kept.

use std::num::NonZeroUsize;

use super::*;
use crate::{
    message::{Conversation, Message},
    model::{
        ChatSettings, ModelHandle, OutputFormat, PromptCache, ResponseCache, ServerTool,
        ToolChoice, ToolSpec, WebSearch, around::cache::Key,
    },
    testing::EventLog,
};

fn room(answers: usize) -> ResponseCache {
    ResponseCache::new(NonZeroUsize::new(answers).unwrap())
}

fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_same_request_is_answered_from_the_cache_and_costs_nothing() {
    let trace = TraceCapture::new();
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone()).cache(room(10)).build();
    let first = handle.chat(&trace.context(), ask()).await.unwrap();
    let again = handle.chat(&trace.context(), ask()).await.unwrap();
    let mut pieces = Vec::new();
    let mut stream = handle.stream(&trace.context(), ask()).await.unwrap();
    while let Some(piece) = stream.next().await {
        pieces.push(piece.unwrap());
    }
    assert_eq!(model.count(), 1);
    assert_eq!(
        (first.text(), first.usage),
        (again.text(), Usage::new(10, 5))
    );
    assert!(again.usage.is_unknown());
    assert!(matches!(
        &pieces[..],
        [ChatEvent::Text(_), ChatEvent::Done(_)]
    ));

    let operations = trace.operations();
    let chats: Vec<_> = operations
        .iter()
        .filter(|op| op.kind == Kind::Chat)
        .collect();
    let unpriced: Vec<_> = chats.iter().map(|op| op.totals.unpriced_calls).collect();
    assert_eq!(unpriced, [1, 0, 0], "nobody knows the price of this model");
    assert!(
        chats[1..]
            .iter()
            .all(|op| op.facts.cached && op.cost.is_none() && op.usage.is_unknown())
    );
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_is_kept_once_it_was_read_to_its_end() {
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone()).cache(room(10)).build();
    let context = RunContext::new();
    drop(handle.stream(&context, ask()).await.unwrap());
    let stream = handle.stream(&context, ask()).await.unwrap();
    assert_eq!(model.count(), 2, "the first was not read");
    stream.collect().await.unwrap();
    handle.chat(&context, ask()).await.unwrap();
    assert_eq!(model.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_grows_old_and_the_least_recently_used_goes_first() {
    let model = Fake::acting([]);
    let cache = room(2).time_to_live(60 * SECOND);
    let handle = ModelHandle::builder(model.clone())
        .cache(cache.clone())
        .build();
    let context = RunContext::new();
    let say = |text: &'static str| handle.chat(&context, ChatRequest::new(text));
    for text in ["a", "b", "a", "c", "a"] {
        say(text).await.unwrap();
    }
    assert_eq!((model.count(), cache.len()), (3, 2), "b went");
    say("b").await.unwrap();
    assert_eq!(model.count(), 4);
    tokio::time::advance(60 * SECOND).await;
    say("b").await.unwrap();
    assert_eq!(model.count(), 5, "it was too old");
    cache.clear();
    assert!(cache.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_order_of_use_is_kept_whoever_asks_how_often() {
    let model = Fake::new("primary", [], || Act::Answer(SECOND));
    let handle = ModelHandle::builder(model.clone()).cache(room(2)).build();
    let context = RunContext::new();
    let say = |text: &'static str| handle.chat(&context, ChatRequest::new(text));
    for text in ["a", "b", "a", "a", "c", "c", "a", "d", "a"] {
        say(text).await.unwrap();
    }
    assert_eq!(model.count(), 4, "c went for d, not a");

    // Two that ask at once both ask the model, and the answer is kept once.
    let (first, second) = tokio::join!(say("e"), say("e"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(model.count(), 6);
    for text in ["f", "e", "g", "e"] {
        say(text).await.unwrap();
    }
    assert_eq!(model.count(), 8, "f went for g, not e");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_charged_is_not_charged_again_and_listeners_hear_the_text() {
    struct Charges;
    impl Model for Charges {
        fn info(&self) -> Arc<ModelInfo> {
            Arc::new(ModelInfo::new("fake", "charges"))
        }
        async fn stream(&self, _: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
            let mut answer = response("charges");
            answer.provider_cost = Some("0.25".parse().unwrap());
            Ok(ChatStream::whole(answer))
        }
    }
    let (trace, log) = (TraceCapture::new(), EventLog::new());
    let handle = ModelHandle::builder(Charges).cache(room(1)).build();
    handle.chat(&trace.context(), ask()).await.unwrap();
    let context = trace.context();
    context.subscribe(Arc::new(log.clone()));
    let again = handle.stream(&context, ask()).await.unwrap();
    assert_eq!(again.collect().await.unwrap().provider_cost, None);
    let costs: Vec<_> = trace
        .operations()
        .iter()
        .map(|op| op.cost.is_some())
        .collect();
    assert_eq!(costs, [true, false]);
    let types = log.types();
    assert!(types.iter().any(|name| name == "text_chunk"), "{types:?}");
}

#[tokio::test(start_paused = true)]
async fn only_whole_answers_are_kept() {
    struct Ends(FinishReason, Arc<AtomicUsize>);
    impl Model for Ends {
        fn info(&self) -> Arc<ModelInfo> {
            Arc::new(ModelInfo::new("fake", "ends"))
        }
        async fn stream(&self, _: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            let mut answer = response("ends");
            answer.finish_reason = self.0.clone();
            Ok(ChatStream::whole(answer))
        }
    }
    let other = FinishReason::Other("odd".into());
    for (reason, sent) in [
        (FinishReason::Stop, 1),
        (FinishReason::ToolCalls, 1),
        (FinishReason::Length, 2),
        (FinishReason::ContentFilter, 2),
        (FinishReason::Error, 2),
        (other, 2),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let model = Ends(reason.clone(), count.clone());
        let handle = ModelHandle::builder(model).cache(room(10)).build();
        for _ in 0..2 {
            handle.chat(&RunContext::new(), ask()).await.unwrap();
        }
        assert_eq!(count.load(Ordering::SeqCst), sent, "{reason:?}");
    }
    let model = Fake::failing(|| fails(ModelErrorKind::BadRequest));
    let handle = ModelHandle::builder(model.clone()).cache(room(10)).build();
    for _ in 0..2 {
        handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    }
    assert_eq!(model.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_fallback_is_not_kept_as_the_model_s_own() {
    let model = Fake::acting([fails(ModelErrorKind::Quota)]);
    let handle = ModelHandle::builder(model.clone())
        .cache(room(10))
        .fallback(Fake::acting([]).named("other"))
        .build();
    let say = || async { handle.chat(&RunContext::new(), ask()).await.unwrap().text() };
    assert_eq!(
        [say().await, say().await, say().await],
        ["other says", "primary says", "primary says"]
    );
    assert_eq!(model.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn models_that_share_a_cache_do_not_share_answers() {
    let cache = room(10);
    for name in ["a", "b"] {
        let handle = ModelHandle::builder(Fake::acting([]).named(name))
            .cache(cache.clone())
            .build();
        let text = handle.chat(&RunContext::new(), ask()).await.unwrap().text();
        assert_eq!(text, format!("{name} says"));
    }
    assert_eq!(cache.len(), 2);
}

#[test]
fn every_part_of_a_request_tells_it_apart() {
    let info = ModelInfo::new("fake", "m");
    let infos = [
        ModelInfo::new("fake", "n"),
        ModelInfo::new("fak", "em"),
        info.clone().with_server("a.example", None),
        info.clone().with_server("a.example", Some(1)),
        info.clone().with_server("b.example", None),
    ];
    let set = |change: fn(&mut ChatSettings)| {
        let mut settings = ChatSettings::new();
        change(&mut settings);
        ask().with_settings(settings)
    };
    let tool =
        |name: &str, does: &str, schema| ask().with_tools([ToolSpec::new(name, does, raw(schema))]);
    let schema = |name: &str, schema, strict| {
        ask().with_output(OutputFormat::JsonSchema {
            name: name.into(),
            schema: raw(schema).into(),
            strict,
        })
    };
    let pair =
        |messages: [Message; 2]| ChatRequest::new(messages.into_iter().collect::<Conversation>());
    let requests = [
        ask(),
        ChatRequest::new("ho"),
        ChatRequest::new(
            [Message::assistant("hi")]
                .into_iter()
                .collect::<Conversation>(),
        ),
        pair([Message::user("hi"), Message::user("ho")]),
        pair([Message::user("hiho"), Message::user("")]),
        ask().with_instructions(""),
        ask().with_instructions("hi"),
        tool("a", "b", "{}"),
        tool("ab", "", "{}"),
        tool("a", "b", "{\"type\":\"object\"}"),
        ask().with_tool_choice(ToolChoice::Required),
        ask().with_tool_choice(ToolChoice::None),
        ask().with_tool_choice(ToolChoice::Tool("none".into())),
        ask().with_output(OutputFormat::JsonObject),
        schema("s", "{}", true),
        schema("s", "{}", false),
        schema("t", "{}", true),
        schema("s", "{\"a\":1}", true),
        set(|s| s.max_output_tokens = Some(1)),
        set(|s| s.temperature = Some(0.0)),
        set(|s| s.temperature = Some(0.1)),
        set(|s| s.temperature = Some(0.1 + f64::EPSILON)),
        set(|s| s.top_p = Some(0.1)),
        set(|s| s.frequency_penalty = Some(0.1)),
        set(|s| s.presence_penalty = Some(0.1)),
        set(|s| s.stop = vec!["a".into(), "b".into()]),
        set(|s| s.stop = vec!["a\", \"b".into()]),
        set(|s| s.seed = Some(1)),
        set(|s| s.top_k = Some(1)),
        set(|s| s.reasoning_effort = Some("low".into())),
        set(|s| s.reasoning_budget = Some(1)),
        set(|s| s.parallel_tool_calls = Some(true)),
        set(|s| s.prompt_cache = Some(PromptCache::default())),
        set(|s| s.prompt_cache = Some(PromptCache::default().for_one_hour())),
        set(|s| s.prompt_cache_key = Some("k".into())),
        set(|s| s.service_tier = Some("flex".into())),
        set(|s| s.server_tools = vec![ServerTool::WebSearch(WebSearch::new())]),
        set(|s| s.server_tools = vec![ServerTool::WebSearch(WebSearch::new().with_max_uses(1))]),
        set(|s| s.server_tools = vec![ServerTool::Native(serde_json::json!({"a": 1}))]),
        set(|s| drop(s.extra.insert("a".into(), 1.into()))),
        set(|s| drop(s.extra.insert("a".into(), "1".into()))),
    ];
    let mut keys: Vec<_> = requests
        .iter()
        .map(|request| Key::of(&info, request))
        .collect();
    keys.extend(infos.iter().map(|info| Key::of(info, &ask())));
    for (place, key) in keys.iter().enumerate() {
        let same = keys.iter().rposition(|other| other == key);
        assert_eq!(same, Some(place));
    }
    assert_eq!(Key::of(&info, &ask()), keys[0]);
    let named = ChatRequest::new(Conversation::from("hi").with_id("conversation"));
    assert_eq!(Key::of(&info, &named), keys[0], "an id is not sent");
}
