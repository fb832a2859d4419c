//! What is written is what the protobuf library of others writes and reads.

use std::time::{Duration, UNIX_EPOCH};

use agent_sdk::redact;
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::attrs;

/// Of a shape of its own, and nothing in it that looks like a key: that is taken out, and has tests of its own.
fn texts(shape: &'static str) -> impl Strategy<Value = String> {
    shape.prop_filter("looks like a key", |text| redact::keys(text) == *text)
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |value| !value.is_nan())
            .prop_map(Value::F64),
        texts(".{0,200}").prop_map(|text| Value::String(text.into())),
        prop::collection::vec(any::<i64>(), 0..4).prop_map(|list| Value::Array(Array::I64(list))),
        prop::collection::vec(any::<bool>(), 0..4).prop_map(|list| Value::Array(Array::Bool(list))),
        prop::collection::vec(-1e9_f64..1e9, 0..4).prop_map(|list| Value::Array(Array::F64(list))),
        prop::collection::vec(texts(".{0,150}"), 0..4).prop_map(|list| {
            Value::Array(Array::String(list.into_iter().map(Into::into).collect()))
        }),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec(("[a-z.]{1,140}", values()), 0..6).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, value)| attrs::custom(name, value))
            .collect()
    })
}

fn contexts() -> impl Strategy<Value = SpanContext> {
    (
        1_u128..,
        1_u64..,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(trace, span, sampled, remote, state)| {
            let state = if state {
                TraceState::from_key_value([("vendor", "one")]).unwrap()
            } else {
                TraceState::NONE
            };
            SpanContext::new(
                TraceId::from(trace),
                SpanId::from(span),
                TraceFlags::default().with_sampled(sampled),
                remote,
                state,
            )
        })
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        texts(".{0,150}").prop_map(Status::error),
    ]
}

prop_compose! {
    fn spans()(
        context in contexts(),
        parent in prop_oneof![Just(0_u64), 1_u64..],
        parent_span_is_remote in any::<bool>(),
        kind in 0..5_usize,
        name in texts(".{0,150}"),
        (start, length) in (0..u32::MAX, 0..u32::MAX),
        attributes in attributes(),
        (dropped, dropped_events, dropped_links) in (0..9_u32, 0..9_u32, 0..9_u32),
        events in prop::collection::vec((texts(".{0,20}"), attributes(), 0..3_u32), 0..3),
        links in prop::collection::vec((contexts(), attributes(), 0..3_u32), 0..3),
        status in statuses(),
    ) -> SpanData {
        let start_time = UNIX_EPOCH + Duration::from_micros(u64::from(start) << 18);
        let kinds = [
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ];
        let mut all_events = SpanEvents::default();
        all_events.dropped_count = dropped_events;
        all_events.events = events
            .into_iter()
            .map(|(name, attributes, dropped)| Event::new(name, start_time, attributes, dropped))
            .collect();
        let mut all_links = SpanLinks::default();
        all_links.dropped_count = dropped_links;
        all_links.links = links
            .into_iter()
            .map(|(to, attributes, dropped)| Link::new(to, attributes, dropped))
            .collect();
        SpanData {
            span_context: context,
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote,
            span_kind: kinds[kind].clone(),
            name: name.into(),
            start_time,
            end_time: start_time + Duration::from_nanos(length.into()),
            attributes,
            dropped_attributes_count: dropped,
            events: all_events,
            links: all_links,
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }
}

proptest! {
    #[test]
    fn an_encoded_span_reads_as_the_one_of_another_encoder(span in spans()) {
        let mut ours = Vec::new();
        let dropped = encode_span(&span, Limits::default(), &mut ours);
        let mut theirs = Span::from(span.clone());
        // A status that says nothing is left out.
        if span.status == Status::Unset {
            theirs.status = None;
        }
        prop_assert_eq!(Span::decode(ours.as_slice()).unwrap(), theirs);
        let before = span.dropped_attributes_count
            + span.events.dropped_count
            + span.links.dropped_count;
        prop_assert_eq!(dropped, before);
    }
}

#[test]
fn o8_what_is_over_the_limits_is_left_out_and_counted() {
    let limits = Limits {
        attributes: 2,
        events: 3,
        links: 1,
        text: 5,
    };
    let context = SpanContext::new(
        TraceId::from(1_u128),
        SpanId::from(2_u64),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let ids = Ids {
        span: &context,
        parent: SpanId::INVALID,
        parent_is_remote: false,
    };
    let now = UNIX_EPOCH + Duration::from_secs(1);
    let mut parts = Parts::default();
    parts.attributes(limits, |all| all.text("first", &"ä".repeat(5_000_000)));
    for _ in 0..10_000 {
        parts.event(limits, &Event::new("event", now, Vec::new(), 0));
    }
    let mut bytes = Vec::new();
    let name = ("chat", "a name that is long");
    let mut writer = SpanWriter::new(&mut bytes, limits, ids, name, &SpanKind::Client, (now, now));
    writer.parts(&parts);
    writer.attributes(|all| {
        all.texts("second", &["much too long", "ok"]);
        all.int("third", 3);
        all.int("fourth", 4);
    });
    writer.link(&Link::new(context.clone(), Vec::new(), 0));
    writer.link(&Link::new(context.clone(), Vec::new(), 0));
    let dropped = writer.end(&Status::error("no good"));
    assert_eq!(dropped, 2 + 9_997 + 1);
    let span = Span::decode(bytes.as_slice()).unwrap();
    assert_eq!(span.name, "chat a nam");
    let mut kept = Vec::<KeyValue>::new();
    kept.text("first", "ää");
    kept.texts("second", &["much ", "ok"]);
    let kept: Vec<_> = kept
        .into_iter()
        .map(|pair| (pair.key.to_string(), Some(pair.value.into())))
        .collect();
    let read: Vec<_> = span
        .attributes
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect();
    assert_eq!(read, kept);
    assert_eq!(span.dropped_attributes_count, 2);
    assert_eq!((span.events.len(), span.dropped_events_count), (3, 9_997));
    assert_eq!((span.links.len(), span.dropped_links_count), (1, 1));
    assert_eq!(span.status.unwrap().message, "no go");
}

#[test]
fn ids_are_written_as_the_texts_that_they_are() {
    let ids = [*b"0123456789abcdef", *b"fedcba9876543210", [b'0'; 16]];
    let texts: Vec<_> = ids.iter().map(|id| str::from_utf8(id).unwrap()).collect();
    for (text, count) in [(512, 0), (512, 1), (512, 3), (16, 3), (15, 3), (0, 3)] {
        let limits = Limits {
            text,
            ..Limits::default()
        };
        let [mut one, mut other] = [(); 2].map(|()| Vec::new());
        Attributes::new(&mut one, 9, limits, 0).span_ids("path", &ids[..count]);
        Attributes::new(&mut other, 9, limits, 0).texts("path", &texts[..count]);
        assert_eq!(one, other, "{text} {count}");
    }
}
