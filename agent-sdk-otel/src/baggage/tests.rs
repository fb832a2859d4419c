use agent_sdk::operation::{Incoming, Kind, Outcome, Payload, Propagation, RunContext, trace_tool};
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing_subscriber::prelude::*;

use super::*;
use crate::Telemetry;
use crate::testing::{Behaviour, Collector};

fn value(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().filter(|pair| pair.key == key);
    let values: Vec<_> = found.map(|pair| format!("{:?}", pair.value)).collect();
    assert!(values.len() < 2, "{key} is there twice");
    values.into_iter().next()
}

#[tokio::test]
async fn a_user_s_span_inside_a_run_says_whose_it_is() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .baggage_keys(["tenant"])
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .run_id("r-1")
        .conversation("conv-1")
        .session("sess-1")
        .user("u-1")
        .tag("team", "search")
        .build();
    let caller = Context::current().with_baggage([
        attrs::custom("tenant", "acme"),
        attrs::custom("secret", "no"),
    ]);
    let entered = caller.attach();
    let agent = context.start(Kind::Agent, "a").begin();
    let tool = trace_tool(agent.context(), "t")
        .tag("team", "other")
        .begin();
    let tracer = telemetry.tracer_provider().unwrap().tracer("user");
    tool.span().in_scope(|| {
        let outer = tracing::info_span!("mine");
        outer.in_scope(|| tracing::info_span!("inner").in_scope(|| {}));
        tracer.start("native").end();
    });
    tool.end(Outcome::Ok, Payload::None);
    agent.end(Outcome::Ok, Payload::None);
    tracing::info_span!("outside").in_scope(|| {});
    drop(entered);
    assert!(telemetry.shutdown().is_complete());
    for name in [
        "mine",
        "inner",
        "native",
        "execute_tool t",
        "invoke_agent a",
    ] {
        let span = collector.span(name);
        let team = if name == "invoke_agent a" {
            "search"
        } else {
            "other"
        };
        for (key, expected) in [
            ("agent_sdk.run.id", "r-1"),
            ("gen_ai.conversation.id", "conv-1"),
            ("session.id", "sess-1"),
            ("user.id", "u-1"),
            ("agent_sdk.tag.team", team),
            ("tenant", "acme"),
        ] {
            let found = value(&span, key).unwrap_or_else(|| panic!("no {key} on {name}"));
            assert!(
                found.contains(&format!("{expected:?}")),
                "{name}: {key} is {found}"
            );
        }
        assert_eq!(value(&span, "secret"), None, "{name}");
    }
    assert!(collector.span("outside").attributes.is_empty());
}

#[tokio::test]
async fn o8_state_and_baggage_of_a_trusted_caller_travel_on_and_an_untrusted_one_s_do_not() {
    let headers = [
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "rojo=1,congo=2"),
        ("baggage", "tenant=acme"),
    ];
    for trusted in [true, false] {
        let collector = Collector::start(Behaviour::Accept);
        let builder = Telemetry::builder().endpoint(collector.url());
        let telemetry = builder.baggage_keys(["tenant"]).build().unwrap();
        let mut incoming = Incoming::from_headers(headers);
        if trusted {
            incoming = incoming.trusted();
        }
        let context = RunContext::builder()
            .observers(telemetry.observers())
            .incoming(&incoming)
            .build();
        let agent = context.start(Kind::Agent, "a").begin();
        let tool = agent.context().start(Kind::Tool, "t").begin();
        let sent = tool.context().propagation_headers();
        tool.end(Outcome::Ok, Payload::None);
        agent.end(Outcome::Ok, Payload::None);
        assert!(telemetry.shutdown().is_complete());
        let (agent, tool) = (
            collector.span("invoke_agent a"),
            collector.span("execute_tool t"),
        );
        let names: Vec<_> = sent.iter().map(|(name, _)| *name).collect();
        if trusted {
            assert_eq!(names, ["traceparent", "tracestate", "baggage"]);
            assert_eq!(
                (&*sent[1].1, &*sent[2].1),
                ("rojo=1,congo=2", "tenant=acme")
            );
            assert_eq!(
                (&*agent.trace_state, &*tool.trace_state),
                ("rojo=1,congo=2", "rojo=1,congo=2")
            );
            assert!(value(&tool, "tenant").is_some() && agent.links.is_empty());
            assert!(!agent.parent_span_id.is_empty());
        } else {
            assert_eq!(names, ["traceparent"]);
            assert!(agent.parent_span_id.is_empty() && agent.trace_state.is_empty());
            assert_eq!(agent.links.len(), 1);
            assert_eq!(
                agent.links[0].flags & 0x200,
                0x200,
                "it is of another process"
            );
            assert!(value(&tool, "tenant").is_none() && tool.links.is_empty());
        }
    }
}

#[tokio::test]
async fn baggage_of_the_caller_s_context_goes_to_hosts_that_are_told() {
    let collector = Collector::start(Behaviour::Accept);
    let builder = Telemetry::builder().endpoint(collector.url());
    let telemetry = builder.propagate_to("a.test").build().unwrap();
    let caller = Context::current()
        .with_baggage([attrs::custom("tenant", "acme"), attrs::custom("a b", "c")]);
    let entered = caller.attach();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .build();
    let agent = context.start(Kind::Agent, "a").begin();
    let own = agent_sdk::operation::Baggage::new()
        .with("tenant", "own")
        .unwrap();
    let chat = agent
        .context()
        .clone()
        .with_baggage(own)
        .start(Kind::Chat, "m")
        .begin();
    drop(entered);
    let baggage = |headers: Vec<(&str, String)>| headers.last().map(|(_, value)| value.clone());
    let asked = agent.context().headers_for("a.test");
    assert_eq!(baggage(asked).as_deref(), Some("tenant=acme"));
    // What the run was given replaces what its caller sent.
    assert_eq!(
        baggage(chat.context().headers_for("a.test")).as_deref(),
        Some("tenant=own")
    );
    assert!(agent.context().headers_for("b.test").is_empty());
    assert!(!Propagation::none().reaches("a.test"));
}

#[test]
fn o8_a_long_value_of_baggage_is_cut_between_characters() {
    let long = "ä".repeat(4_000);
    let around = Context::new().with_baggage([attrs::custom("tenant", long)]);
    let chosen = chosen(
        &Baggage::new(),
        &around,
        &["tenant".to_owned(), "absent".to_owned()],
    )
    .unwrap();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].value.as_str().len(), MAX_VALUE);
}
