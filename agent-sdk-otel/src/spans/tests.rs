use std::sync::Arc;
use std::time::Duration;

use agent_sdk::model::{ModelInfo, Usage};
use agent_sdk::operation::{
    AttemptDetails, Details, EmbeddingDetails, FixedClock, Kind, Outcome, Payload, RunContext,
    TraceContext, trace_agent, trace_chat, trace_tool,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing_subscriber::prelude::*;

use crate::testing::{Behaviour, Collector};
use crate::{EmissionProfile, Telemetry};

fn telemetry(collector: &Collector) -> Telemetry {
    let builder = Telemetry::builder().service_name("t");
    builder.endpoint(collector.url()).build().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

fn agent_with_chat(context: &RunContext) -> (String, String) {
    let agent = trace_agent(context, "a").begin();
    let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
    chat.handle().record_usage(Usage::new(1_000, 500));
    let ids = [&agent, &chat].map(|operation| operation.info().trace.span_id.to_string());
    chat.end(Outcome::Ok, Payload::None);
    agent.end(Outcome::Ok, Payload::None);
    ids.into()
}

fn check(agent: &Span, chat: &Span, ids: &(String, String)) {
    assert_eq!((hex(&agent.span_id), hex(&chat.span_id)), *ids);
    assert_eq!(chat.parent_span_id, agent.span_id);
    assert_eq!(chat.trace_id, agent.trace_id);
    let names: Vec<_> = chat.attributes.iter().map(|pair| &pair.key).collect();
    for name in [
        "gen_ai.provider.name",
        "gen_ai.usage.cost",
        "agent_sdk.run.id",
    ] {
        assert_eq!(
            names.iter().filter(|key| ***key == name).count(),
            1,
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_lasts_as_long_as_its_record_says() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .clock(FixedClock::at(1_800_000_000))
        .build();
    let tool = trace_tool(&context, "search").begin();
    tokio::time::advance(Duration::from_millis(250)).await;
    tool.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let span = collector.span("execute_tool search");
    assert_eq!(span.start_time_unix_nano, 1_800_000_000_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_800_000_000_250_000_000);
}

#[tokio::test]
async fn operations_are_exported_with_and_without_the_layer() {
    for layered in [true, false] {
        let collector = Collector::start(Behaviour::Accept);
        let telemetry = telemetry(&collector);
        let layer = layered.then(|| telemetry.layer());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let context = RunContext::builder()
            .observers(telemetry.observers())
            .build();
        let ids = agent_with_chat(&context);
        assert!(telemetry.shutdown().is_complete());
        check(
            &collector.span("invoke_agent a"),
            &collector.span("chat gpt-4o"),
            &ids,
        );
    }
}

#[tokio::test]
async fn an_attempt_is_exported_and_its_tracing_span_opens_only_where_another_layer_wants_it() {
    for wanted in [false, true] {
        let collector = Collector::start(Behaviour::Accept);
        let telemetry = telemetry(&collector);
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        let _guard = if wanted {
            let other = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
            tracing::subscriber::set_default(subscriber.with(other))
        } else {
            tracing::subscriber::set_default(subscriber)
        };
        let observers = telemetry.observers();
        let context = RunContext::builder().observers(observers).build();
        let attempt = context.start(Kind::Attempt, "gpt-4o").begin();
        let id = attempt.info().trace.span_id.to_string();
        assert_eq!(attempt.span().is_disabled(), !wanted);
        attempt.end(Outcome::Ok, Payload::None);
        assert!(telemetry.shutdown().is_complete());
        assert_eq!(hex(&collector.span("POST").span_id), id);
    }
}

#[tokio::test]
async fn an_operation_hangs_under_a_caller_elsewhere_and_under_a_user_s_span() {
    for layered in [true, false] {
        let collector = Collector::start(Behaviour::Accept);
        let telemetry = telemetry(&collector);
        let layer = layered.then(|| telemetry.layer());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let caller: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap();
        let context = || RunContext::builder().observers(telemetry.observers());
        let far = context().parent(caller).build();
        let operation = far.start(Kind::Tool, "far").begin();
        assert_eq!(operation.info().parent_trace, Some(caller));
        assert_eq!(operation.info().trace.trace_id, caller.trace_id);
        operation.end(Outcome::Ok, Payload::None);

        let around = tracing::info_span!("around");
        let near = around.in_scope(|| context().build().start(Kind::Tool, "near").begin());
        let parent = near.info().parent_trace;
        near.end(Outcome::Ok, Payload::None);
        drop(around);

        assert!(telemetry.shutdown().is_complete());
        let far = collector.span("execute_tool far");
        assert_eq!(hex(&far.parent_span_id), caller.span_id.to_string());
        assert_eq!(far.flags & 0x200, 0x200, "its parent is remote");
        let near = collector.span("execute_tool near");
        if layered {
            let around = collector.span("around");
            assert_eq!(near.parent_span_id, around.span_id);
            assert_eq!(parent.unwrap().span_id.to_string(), hex(&around.span_id));
        } else {
            assert_eq!(parent, None);
        }
    }
}

#[tokio::test]
async fn failures_and_cancellations_are_told_apart() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let failed = trace_tool(&context, "failed").begin();
    failed.fail("tool_error", "the tool call failed");
    drop(trace_tool(&context, "dropped").begin());
    let good = trace_tool(&context, "good").begin();
    good.end(Outcome::Ok, Payload::None);
    let paused = trace_tool(&context, "paused").begin();
    paused.end(Outcome::Paused, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let seen = |name: &str| {
        let span = collector.span(&format!("execute_tool {name}"));
        let status = span.status.unwrap_or_default();
        let class = span.attributes.iter().find(|pair| pair.key == "error.type");
        (status.code, status.message, class.is_some())
    };
    assert_eq!(seen("failed"), (2, "the tool call failed".to_owned(), true));
    assert_eq!(seen("dropped"), (2, "cancelled".to_owned(), true));
    assert_eq!(seen("good"), (1, String::new(), false));
    assert_eq!(seen("paused"), (0, String::new(), false));
}

fn keys(span: &Span) -> Vec<&str> {
    span.attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect()
}

#[tokio::test]
async fn the_profile_decides_which_names_leave() {
    const NEW: &str = "gen_ai.usage.cache_write.input_tokens";
    const OLD: &str = "gen_ai.usage.cache_creation.input_tokens";
    for (profile, new, old) in [
        (EmissionProfile::Latest, true, false),
        (EmissionProfile::V1_41, false, true),
        (EmissionProfile::Both, true, true),
    ] {
        let collector = Collector::start(Behaviour::Accept);
        let builder = Telemetry::builder().endpoint(collector.url());
        let telemetry = builder.profile(profile).build().unwrap();
        let context = RunContext::builder()
            .observers(telemetry.observers())
            .build();
        let agent = trace_agent(&context, "a").begin();
        let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
        chat.handle()
            .record_usage(Usage::new(10, 5).with_cache_write(4).with_cache_read(0));
        chat.end(Outcome::Ok, Payload::None);
        agent.end(Outcome::Ok, Payload::None);
        let page = telemetry.metrics_text().unwrap();
        assert_eq!(
            page.contains("gen_ai_client_inference_duration_seconds_count"),
            new
        );
        assert_eq!(
            page.contains("gen_ai_client_operation_duration_seconds_count"),
            old
        );
        assert_eq!(page.contains("gen_ai_client_token_usage_count"), old);
        assert!(telemetry.shutdown().is_complete());
        let (agent, chat) = (
            collector.span("invoke_agent a"),
            collector.span("chat gpt-4o"),
        );
        let named = keys(&chat);
        assert_eq!(
            (named.contains(&NEW), named.contains(&OLD)),
            (new, old),
            "{profile:?}"
        );
        assert!(
            !named.contains(&"gen_ai.usage.cache_read.input_tokens"),
            "it was zero"
        );
        assert!(
            !keys(&agent)
                .iter()
                .any(|key| key.starts_with("gen_ai.usage"))
        );
    }
}

#[tokio::test]
async fn a_price_that_nobody_knows_is_no_zero() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let agent = trace_agent(&context, "a").begin();
    let chat = trace_chat(agent.context(), "nobody", "knows").begin();
    chat.handle().record_usage(Usage::new(10, 5));
    chat.end(Outcome::Ok, Payload::None);
    agent.end(Outcome::Ok, Payload::None);
    let page = telemetry.metrics_text().unwrap();
    assert!(page.contains("agent_sdk_unpriced_requests_total{gen_ai_provider_name=\"nobody\""));
    assert!(!page.contains("agent_sdk_cost_total"));
    assert!(telemetry.shutdown().is_complete());
    let (agent, chat) = (
        collector.span("invoke_agent a"),
        collector.span("chat knows"),
    );
    assert!(!keys(&chat).iter().any(|key| key.ends_with("cost")));
    assert!(!keys(&agent).contains(&"agent_sdk.cost.total_usd"));
    assert!(keys(&agent).contains(&"agent_sdk.cost.unpriced_calls"));
}

#[tokio::test]
async fn an_embeddings_span_says_what_was_asked_and_what_it_used() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let model = ModelInfo::new("openai", "text-embedding-3-small").with_server("h", Some(443));
    let details = Details::Embeddings(EmbeddingDetails {
        model: Arc::new(model),
        dimensions: Some(512),
        encoding: Some("base64"),
    });
    let operation = context
        .start(Kind::Embeddings, "text-embedding-3-small")
        .details(details)
        .begin();
    operation.record(|facts| facts.usage.input_tokens = Some(1_000));
    operation.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let span = collector.span("embeddings text-embedding-3-small");
    let named = keys(&span);
    for name in [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "server.address",
        "server.port",
        "gen_ai.request.encoding_formats",
        "gen_ai.embeddings.dimension.count",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cost",
    ] {
        let times = named.iter().filter(|key| **key == name).count();
        assert_eq!(times, 1, "{name}");
    }
    assert!(!named.contains(&"gen_ai.usage.output_tokens"));
}

#[tokio::test]
async fn links_and_resent_attempts_are_on_their_spans() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let first = trace_tool(&context, "first").begin();
    let waited_for = first.info().trace;
    first.end(Outcome::Ok, Payload::None);
    trace_tool(&context, "second")
        .link(waited_for)
        .future(async {})
        .await;
    let model = Arc::new(ModelInfo::new("openai", "gpt-4o"));
    let details = Details::Attempt(AttemptDetails { model, number: 3 });
    let attempt = context.start(Kind::Attempt, "").details(details).begin();
    attempt.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let second = collector.span("execute_tool second");
    assert_eq!(second.links.len(), 1);
    assert_eq!(
        hex(&second.links[0].span_id),
        waited_for.span_id.to_string()
    );
    let attempt = collector.span("POST");
    let count = |pair: &&KeyValue| pair.key == "http.request.resend_count";
    let count = attempt.attributes.iter().find(count).unwrap();
    assert_eq!(count.value.clone().unwrap().value, Some(Value::IntValue(2)));
}

#[tokio::test]
async fn what_the_layers_around_a_model_did_is_on_its_span() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector);
    let observers = telemetry.observers();
    let context = RunContext::builder().observers(observers).build();
    let chat = trace_chat(&context, "openai", "gpt-4o").begin();
    chat.record(|facts| {
        facts.attempts = Some(3);
        facts.queued = Some(Duration::from_millis(1_500));
        facts.fallback_for = Some("gpt-5".into());
        facts.fallback_reason = Some("overloaded");
        facts.stream_of_whole = true;
        facts.usage.web_search_requests = Some(2);
    });
    chat.end(Outcome::Ok, Payload::None);
    let cached = trace_chat(&context, "openai", "gpt-4o-mini").begin();
    cached.record(|facts| facts.cached = true);
    cached.end(Outcome::Ok, Payload::None);
    assert!(telemetry.shutdown().is_complete());
    let ours = |span: &Span| -> Vec<String> {
        let attributes = span.attributes.iter();
        let ours = attributes.filter(|pair| {
            pair.key.starts_with("agent_sdk.ch") || pair.key.starts_with("agent_sdk.co")
        });
        let spelled = ours.map(|pair| {
            let value = pair.value.clone().and_then(|value| value.value);
            format!("{} {:?}", pair.key, value.unwrap())
        });
        spelled.collect()
    };
    assert_eq!(
        ours(&collector.span("chat gpt-4o")),
        [
            "agent_sdk.chat.web_search_requests IntValue(2)",
            "agent_sdk.cost.source StringValue(\"unknown\")",
            "agent_sdk.chat.attempts IntValue(3)",
            "agent_sdk.chat.queue_ms IntValue(1500)",
            "agent_sdk.chat.stream_of_whole BoolValue(true)",
            "agent_sdk.chat.fallback_for StringValue(\"gpt-5\")",
            "agent_sdk.chat.fallback_reason StringValue(\"overloaded\")",
        ]
    );
    // An answer out of the cache cost nothing, so that there is no price to know.
    assert_eq!(
        ours(&collector.span("chat gpt-4o-mini")),
        ["agent_sdk.chat.cached BoolValue(true)"]
    );
}
