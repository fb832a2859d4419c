//! What the conventions want on each kind of span, and what each profile lets out.

use std::sync::Arc;

use agent_sdk::model::{ChatSettings, ModelInfo, Prompt, Usage};
use agent_sdk::operation::{
    ChatDetails, Details, Kind, MemoryOperation, Outcome, Payload, RunContext, trace_agent,
    trace_chat, trace_embeddings, trace_memory, trace_plan, trace_retrieval, trace_step,
    trace_tool, trace_workflow,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::testing::{Behaviour, Collector};
use crate::{EmissionProfile, Telemetry};

/// Attributes as text, sorted; those that differ from run to run are left out.
fn shown(span: &Span) -> Vec<String> {
    let skipped = [
        "agent_sdk.run.id",
        "agent_sdk.critical_path",
        "agent_sdk.bottleneck",
    ];
    let mut all: Vec<_> = span
        .attributes
        .iter()
        .filter(|pair| !skipped.contains(&&*pair.key))
        .map(|pair| {
            let value = pair.value.clone().and_then(|value| value.value);
            let value = match value.unwrap() {
                Value::StringValue(text) => text,
                Value::IntValue(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            format!("{}={value}", pair.key)
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one list, compared whole")]
async fn each_kind_of_operation_has_the_attributes_of_the_conventions() {
    let collector = Collector::start(Behaviour::Accept);
    let builder = Telemetry::builder().endpoint(collector.url());
    let telemetry = builder.openinference(true).build().unwrap();
    let observers = telemetry.observers();
    let root = RunContext::builder().observers(observers).build();
    let workflow = trace_workflow(&root, "w").begin();
    let context = workflow.context();
    drop(trace_plan(context, "planner").begin());
    let first = trace_step(context, "s").step_id("1").begin();
    let waited_for = first.info().trace;
    first.end(Outcome::Ok, Payload::None);
    trace_step(context, "s2")
        .link(waited_for)
        .future(async {})
        .await;
    trace_retrieval(context, "docs")
        .top_k(3)
        .future(async {})
        .await;
    let memory = trace_memory(context, MemoryOperation::Search)
        .store("st")
        .begin();
    memory.record(|facts| facts.records = Some(4));
    memory.end(Outcome::Ok, Payload::None);
    let vectors = trace_embeddings(context, "openai", "v").begin();
    vectors.end(Outcome::Ok, Payload::None);
    let tool = trace_tool(context, "t").details(|details| {
        if let Details::Tool(tool) = details {
            tool.tool_type = Some("datastore".into());
        }
    });
    tool.future(async {}).await;
    workflow.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let has = |name: &str, kind: i32, expected: &[&str]| {
        let span = collector.span(name);
        let shown = shown(&span);
        for one in expected {
            assert!(
                shown.iter().any(|pair| pair == one),
                "{name}: no {one} in {shown:#?}"
            );
        }
        assert_eq!(span.kind, kind, "{name}");
        span
    };
    const INTERNAL: i32 = 1;
    const CLIENT: i32 = 3;
    let workflow = [
        "gen_ai.operation.name=invoke_workflow",
        "gen_ai.workflow.name=w",
        "openinference.span.kind=CHAIN",
    ];
    has("invoke_workflow w", INTERNAL, &workflow);
    has(
        "plan planner",
        INTERNAL,
        &["gen_ai.operation.name=plan", "gen_ai.agent.name=planner"],
    );
    let step = has(
        "step s",
        INTERNAL,
        &["agent_sdk.step.name=s", "agent_sdk.step.id=1"],
    );
    assert!(
        !shown(&step)
            .iter()
            .any(|pair| pair.starts_with("gen_ai.operation.name"))
    );
    let second = has("step s2", INTERNAL, &[]);
    assert_eq!(
        second.links[0].span_id, step.span_id,
        "the edge of the plan"
    );
    let retrieval = [
        "gen_ai.operation.name=retrieval",
        "gen_ai.data_source.id=docs",
        "gen_ai.retrieval.top_k=3",
        "openinference.span.kind=RETRIEVER",
    ];
    has("retrieval docs", CLIENT, &retrieval);
    let memory = [
        "gen_ai.operation.name=search_memory",
        "gen_ai.memory.store.id=st",
        "gen_ai.memory.record.count=4",
    ];
    has("search_memory", INTERNAL, &memory);
    has(
        "embeddings v",
        CLIENT,
        &[
            "gen_ai.operation.name=embeddings",
            "gen_ai.provider.name=openai",
            "gen_ai.request.model=v",
        ],
    );
    has(
        "execute_tool t",
        INTERNAL,
        &["gen_ai.tool.type=datastore", "openinference.span.kind=TOOL"],
    );
}

/// A request in which everything is set that a request can say.
fn full_request(profile: EmissionProfile) -> (Vec<String>, Collector) {
    let collector = Collector::start(Behaviour::Accept);
    let builder = Telemetry::builder().endpoint(collector.url());
    let telemetry = builder.profile(profile).build().unwrap();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .conversation("conv-1")
        .build();
    let mut settings = ChatSettings::default();
    settings.temperature = Some(0.5);
    settings.top_p = Some(0.9);
    settings.top_k = Some(40);
    settings.frequency_penalty = Some(0.1);
    settings.presence_penalty = Some(0.2);
    settings.max_output_tokens = Some(200);
    settings.seed = Some(7);
    settings.stop = vec!["END".into()];
    settings.reasoning_effort = Some("low".into());
    settings.service_tier = Some("flex".into());
    settings.extra.insert("n".into(), 2.into());
    settings
        .extra
        .insert("previous_response_id".into(), "resp-0".into());
    let model = ModelInfo::new("openai", "gpt-5").with_server("h", Some(443));
    let mut details = ChatDetails::new(model.with_api_type(Some("responses")));
    details.settings = Arc::new(settings);
    details.stream = true;
    details.json_output = true;
    details.prompt = Some(Arc::new(Prompt::new("triage").with_version("3")));
    let chat = context
        .start(Kind::Chat, "gpt-5")
        .details(Details::Chat(details))
        .begin();
    chat.record(|facts| {
        facts.usage = Usage::new(100, 50).with_cache_read(10).with_cache_write(5);
        facts.usage.reasoning_tokens = Some(20);
        facts.usage.input_audio_tokens = Some(9);
        facts.response_id = Some("resp-1".into());
        facts.response_model = Some("gpt-5-2025".into());
        facts.finish_reasons = vec!["stop".into()];
        facts.service_tier = Some("flex".into());
        facts.system_fingerprint = Some("fp".into());
        facts.first_chunk = Some(std::time::Duration::from_millis(250));
    });
    chat.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    (shown(&collector.span("chat gpt-5")), collector)
}

const COMMON: &[&str] = &[
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.output.type",
    "gen_ai.prompt.name",
    "gen_ai.provider.name",
    "gen_ai.request.choice.count",
    "gen_ai.request.frequency_penalty",
    "gen_ai.request.max_tokens",
    "gen_ai.request.model",
    "gen_ai.request.presence_penalty",
    "gen_ai.request.seed",
    "gen_ai.request.stop_sequences",
    "gen_ai.request.stream",
    "gen_ai.request.temperature",
    "gen_ai.request.top_k",
    "gen_ai.request.top_p",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "openai.api.type",
    "openai.request.service_tier",
    "openai.response.service_tier",
    "openai.response.system_fingerprint",
    "server.address",
    "server.port",
];

const NEWEST: &[&str] = &[
    "gen_ai.prompt.version",
    "gen_ai.request.previous_response.id",
    "gen_ai.request.reasoning.level",
    "gen_ai.usage.cache_write.input_tokens",
];

const OF_V1_41: &[&str] = &["gen_ai.usage.cache_creation.input_tokens"];

#[tokio::test]
async fn a_request_carries_every_attribute_that_its_profile_has_and_no_other() {
    for (profile, more) in [
        (EmissionProfile::Latest, vec![NEWEST]),
        (EmissionProfile::V1_41, vec![OF_V1_41]),
        (EmissionProfile::Both, vec![NEWEST, OF_V1_41]),
    ] {
        let (shown, collector) = full_request(profile);
        let standard = |pair: &&String| {
            !pair.starts_with("agent_sdk.") && !pair.split('=').next().unwrap().ends_with("cost")
        };
        let names = shown.iter().filter(standard);
        let names: Vec<_> = names.map(|pair| pair.split('=').next().unwrap()).collect();
        let mut expected = COMMON.to_vec();
        expected.extend(more.into_iter().flatten());
        expected.sort_unstable();
        assert_eq!(names, expected, "{profile:?}");
        let schemas = collector.schema_urls();
        let expected = match profile {
            EmissionProfile::Latest => crate::attrs::SCHEMA_URL,
            _ => "",
        };
        assert!(
            schemas.iter().all(|url| url == expected),
            "{profile:?}: {schemas:?}"
        );
    }
}

#[tokio::test]
async fn a_request_inside_its_like_leaves_as_one_span_with_one_cost() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .build()
        .unwrap();
    let observers = telemetry.observers();
    let context = RunContext::builder().observers(observers).build();
    let agent = trace_agent(&context, "a").begin();
    let outer = trace_chat(agent.context(), "openai", "gpt-4o").begin();
    let inner = trace_chat(outer.context(), "openai", "gpt-4o").begin();
    inner.handle().record_usage(Usage::new(1_000, 0));
    inner.end(Outcome::Ok, Payload::None);
    outer.end(Outcome::Ok, Payload::None);
    agent.end(Outcome::Ok, Payload::None);
    let page = telemetry.metrics_text().unwrap();
    let cost = page
        .lines()
        .find(|line| line.starts_with("agent_sdk_cost_total{"))
        .unwrap();
    assert!(cost.ends_with(" 0.0025"), "{cost}");
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(collector.spans().len(), 2);
    let chat = collector.span("chat gpt-4o");
    assert!(shown(&chat).contains(&"gen_ai.usage.input_tokens=1000".to_owned()));
}

#[tokio::test]
async fn o8_large_values_and_many_events_are_cut_and_counted() {
    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .build()
        .unwrap();
    let tracer = telemetry.tracer_provider().unwrap().tracer("user");
    let mut span = tracer.start("user");
    span.set_attribute(crate::attrs::custom("big", "x".repeat(10_000_000)));
    for number in 0..10_000 {
        span.add_event("event", vec![]);
        span.set_attribute(crate::attrs::custom(format!("k{number}"), 1));
    }
    span.end();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let tags = (0..200).fold(context, |context, n| context.with_tag(format!("t{n}"), "v"));
    let tags = tags.with_tag("t0", "ä".repeat(5_000_000));
    trace_tool(&tags, "tagged").future(async {}).await;
    let page = telemetry.metrics_text().unwrap();
    assert!(telemetry.shutdown().is_complete());
    let user = collector.span("user");
    assert_eq!(
        (user.attributes.len(), user.dropped_attributes_count),
        (128, 9_873)
    );
    assert_eq!((user.events.len(), user.dropped_events_count), (128, 9_872));
    let longest = |span: &Span| {
        let lengths = span
            .attributes
            .iter()
            .map(|pair| format!("{:?}", pair.value).len());
        lengths.max().unwrap()
    };
    let tagged = collector.span("execute_tool tagged");
    assert!(longest(&user) < 600_000 && longest(&tagged) < 600_000);
    assert_eq!(tagged.attributes.len(), 128);
    assert!(tagged.dropped_attributes_count > 70);
    let dropped = 9_873 + 9_872 + u64::from(tagged.dropped_attributes_count);
    let line = format!("agent_sdk_span_limits_dropped_total {dropped}");
    assert!(page.contains(&line), "{line} is not in {page}");
}
