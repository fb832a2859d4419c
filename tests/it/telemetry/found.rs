//! An operation's span, as code inside it finds it through `tracing` and OpenTelemetry.

use agent_sdk::operation::{Operation, Outcome, Payload, RunContext, trace_agent, trace_tool};
use agent_sdk_otel::attrs;
use agent_sdk_otel::opentelemetry::Context;
use agent_sdk_otel::opentelemetry::trace::{SpanContext, Status, TraceContextExt, TraceState};
use opentelemetry_proto::tonic::trace::v1::Span as Exported;
use proptest::prelude::*;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::prelude::*;

use super::render::{attribute, hex};
use super::*;

/// Runs `work` with a context whose operations are exported, under a subscriber with our layer, and returns what was exported.
fn exported(work: impl FnOnce(&RunContext)) -> Collector {
    let collector = Collector::start();
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        let observers = telemetry.observers();
        work(&RunContext::builder().observers(observers).build());
    });
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert!(report.spans.balances(), "{report}");
    collector
}

fn ids(context: &SpanContext) -> (String, String) {
    (
        context.trace_id().to_string(),
        context.span_id().to_string(),
    )
}

fn ids_of(operation: &Operation) -> (String, String) {
    let trace = operation.info().trace;
    (trace.trace_id.to_string(), trace.span_id.to_string())
}

fn end(operation: Operation) {
    operation.end(Outcome::Ok, Payload::None);
}

#[test]
fn the_context_of_an_operation_s_span_is_the_operation_s() {
    exported(|context| {
        let agent = trace_agent(context, "triage").begin();
        let tool = trace_tool(agent.context(), "search").begin();
        let mine = ids_of(&tool);
        // From outside, before it was ever entered.
        assert_eq!(ids(tool.span().context().span().span_context()), mine);
        tool.span().in_scope(|| {
            assert_eq!(ids(Span::current().context().span().span_context()), mine);
            assert_eq!(ids(Context::current().span().span_context()), mine);
            info_span!("inside").in_scope(|| {
                assert_ne!(ids(Context::current().span().span_context()), mine);
            });
            assert_eq!(ids(Context::current().span().span_context()), mine);
        });
        assert!(!Context::current().span().span_context().is_valid());
        end(tool);
        end(agent);
    });
}

#[test]
fn a_span_with_an_explicit_parent_hangs_under_the_operation() {
    let mut of_tool = None;
    let collector = exported(|context| {
        let tool = trace_tool(context, "search").begin();
        of_tool = Some(ids_of(&tool));
        let span = tool.span().clone();
        // Also after the operation ended, and from another thread.
        end(tool);
        std::thread::scope(|scope| {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    info_span!(parent: &span, "late").in_scope(|| {});
                });
            });
        });
    });
    let late = collector.span("late");
    assert_eq!(
        Some((hex(&late.trace_id), hex(&late.parent_span_id))),
        of_tool
    );
}

#[test]
fn what_is_written_on_an_operation_s_span_leaves_with_it() {
    let collector = exported(|context| {
        let agent = trace_agent(context, "triage").begin();
        let tool = trace_tool(agent.context(), "search").begin();
        let linked = agent.info().trace;
        tool.span().in_scope(|| {
            // By `tracing`, before and after the layer was asked for the context, and by OpenTelemetry itself.
            Span::current().set_attribute("first", "by tracing");
            let context = Span::current().context();
            Span::current().set_attribute("second", 2);
            context.span().set_attribute(attrs::custom("third", true));
            Context::current()
                .span()
                .add_event("looked up", vec![attrs::custom("shard", 7)]);
            let to = SpanContext::new(
                linked.trace_id.0.into(),
                linked.span_id.0.into(),
                agent_sdk_otel::opentelemetry::trace::TraceFlags::SAMPLED,
                true,
                TraceState::NONE,
            );
            Span::current().add_link(to);
            // The operation says how it ended.
            Span::current().set_status(Status::error("not so"));
            // It ends when it does, under its own name.
            context.span().update_name("other");
            context.span().end();
        });
        end(tool);
        Span::none().set_attribute("nowhere", 1);
        agent.span().set_attribute("on the agent", "never entered");
        end(agent);
    });
    let tool = collector.span("execute_tool search");
    let of = |span: &Exported, name| attribute(span, name);
    assert_eq!(of(&tool, "first"), Some("\"by tracing\"".to_owned()));
    assert_eq!(of(&tool, "second"), Some("2".to_owned()));
    assert_eq!(of(&tool, "third"), Some("true".to_owned()));
    assert_eq!(of(&tool, "agent_sdk.outcome"), Some("\"ok\"".to_owned()));
    assert_eq!(tool.events.len(), 1);
    assert_eq!(tool.events[0].name, "looked up");
    let agent = collector.span("invoke_agent triage");
    assert_eq!(
        of(&agent, "on the agent"),
        Some("\"never entered\"".to_owned())
    );
    assert_eq!(tool.links.len(), 1);
    assert_eq!(tool.links[0].span_id, agent.span_id);
    assert_eq!(tool.status.unwrap().code, 1);
}

#[test]
fn an_operation_that_nobody_exports_is_the_layer_s_own() {
    let collector = exported(|_| {
        // Its ids are its own, and the layer sees a span like any other.
        let context = RunContext::new();
        let tool = trace_tool(&context, "search").begin();
        tool.span()
            .in_scope(|| info_span!("inside").in_scope(|| {}));
        end(tool);
    });
    let (tool, inside) = (
        collector.span("execute_tool search"),
        collector.span("inside"),
    );
    assert_eq!(inside.parent_span_id, tool.span_id);
    assert_eq!(attribute(&tool, "agent_sdk.run.id"), None);
}

/// Something that a program does with spans.
#[derive(Clone, Debug)]
enum Step {
    Open { operation: bool, under: usize },
    Enter(usize),
    Exit(usize),
    Drop(usize),
    End(usize),
    Follow(usize, usize),
    Ask(usize),
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || 0..12_usize;
    let step = prop_oneof![
        3 => (any::<bool>(), place()).prop_map(|(operation, under)| Step::Open { operation, under }),
        3 => place().prop_map(Step::Enter),
        2 => place().prop_map(Step::Exit),
        2 => place().prop_map(Step::Drop),
        2 => place().prop_map(Step::End),
        1 => (place(), place()).prop_map(|(from, to)| Step::Follow(from, to)),
        1 => place().prop_map(Step::Ask),
        1 => place().prop_map(Step::Write),
    ];
    prop::collection::vec(step, 0..60)
}

/// A span of the user's or of an operation, perhaps ended, perhaps entered.
struct Held {
    span: Option<Span>,
    operation: Option<Operation>,
    entered: Vec<tracing::span::EnteredSpan>,
}

fn at(all: &mut [Held], place: usize) -> Option<&mut Held> {
    let count = all.len().max(1);
    all.get_mut(place % count)
}

fn perform(context: &RunContext, steps: Vec<Step>) -> usize {
    let mut all: Vec<Held> = Vec::new();
    let mut opened = 0;
    for step in steps {
        match step {
            Step::Open { operation, under } => {
                let parent = at(&mut all, under);
                let within = parent.as_ref().and_then(|held| held.operation.as_ref());
                let within = within.map_or(context, Operation::context).clone();
                let held = if operation {
                    let operation = trace_tool(&within, "search").begin();
                    let span = operation.span().clone();
                    Held {
                        span: Some(span),
                        operation: Some(operation),
                        entered: Vec::new(),
                    }
                } else {
                    let above = parent.and_then(|held| held.span.clone());
                    let span = above.map_or_else(
                        || info_span!("user"),
                        |above| info_span!(parent: &above, "user"),
                    );
                    Held {
                        span: Some(span),
                        operation: None,
                        entered: Vec::new(),
                    }
                };
                opened += 1;
                all.push(held);
            }
            Step::Enter(place) => {
                if let Some(held) = at(&mut all, place) {
                    held.entered.extend(held.span.clone().map(Span::entered));
                }
            }
            Step::Exit(place) => {
                if let Some(held) = at(&mut all, place) {
                    held.entered.pop();
                }
            }
            Step::Drop(place) => {
                if let Some(held) = at(&mut all, place) {
                    held.span = None;
                }
            }
            Step::End(place) => {
                if let Some(operation) = at(&mut all, place).and_then(|held| held.operation.take())
                {
                    end(operation);
                }
            }
            Step::Follow(from, to) => {
                let to = at(&mut all, to).and_then(|held| held.span.clone());
                if let Some(span) = at(&mut all, from).and_then(|held| held.span.clone()) {
                    span.follows_from(to.as_ref().and_then(Span::id));
                }
            }
            Step::Ask(place) => {
                if let Some(span) = at(&mut all, place).and_then(|held| held.span.clone()) {
                    assert!(span.context().span().span_context().is_valid());
                }
            }
            Step::Write(place) => {
                if let Some(span) = at(&mut all, place).and_then(|held| held.span.clone()) {
                    span.set_attribute("written", 1);
                }
            }
        }
    }
    opened
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn o5_whatever_is_done_with_spans_each_is_exported_once_and_nothing_panics(steps in steps()) {
        let mut opened = 0;
        let collector = exported(|context| opened = perform(context, steps));
        let mut ids: Vec<_> = collector.spans().into_iter().map(|span| span.span_id).collect();
        prop_assert_eq!(ids.len(), opened);
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), opened);
    }
}

#[test]
fn o5_a_hundred_thousand_open_spans_are_only_memory() {
    let collector = Collector::start();
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        let context = RunContext::builder()
            .observers(telemetry.observers())
            .build();
        let agent = trace_agent(&context, "triage").begin();
        let open: Vec<_> = (0..100_000)
            .map(|_| trace_tool(agent.context(), "search").begin())
            .collect();
        let users: Vec<_> = (0..100_000).map(|_| info_span!("user")).collect();
        assert_eq!(telemetry.account().ended, 0);
        drop((open, users));
        drop(agent);
        assert_eq!(telemetry.account().ended, 200_001);
    });
    assert!(telemetry.shutdown().spans.balances());
}
