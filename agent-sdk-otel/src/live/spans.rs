//! The spans that stand for operations that did not end: pending ones, and those of a process that is gone. As in every span, nothing
//! that looks like a key is in their texts.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_sdk::monitor::LiveOperation;
use agent_sdk::operation::{Kind, Outcome, SpanId, TraceContext};
use agent_sdk::redact;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind};
use prost::Message;

use super::crash::CrashedOperation;
use crate::attrs;

/// The flag of a sampled trace.
const SAMPLED: u32 = 1;

/// A span that says that an operation runs, encoded. It has an id of its own and hangs under the operation's span, which is not there
/// yet: back ends keep the first span of an id, or both, so that the same id would hide the finished span or double it. It has no
/// length, and none of the attributes by which back ends count agents, requests and tokens.
pub(super) fn pending(operation: &LiveOperation) -> Vec<u8> {
    let trace = operation.trace;
    let start = nanos(operation.started);
    let mut attributes = vec![
        flag(attrs::PENDING, true),
        text(attrs::OPERATION_KIND, operation.kind.as_str()),
        text(attrs::RUN_ID, operation.run_id.as_str()),
    ];
    let above = operation
        .parent_trace
        .map(|above| above.span_id.to_string());
    attributes.extend(above.map(|above| text(attrs::PENDING_PARENT_ID, &above)));
    let agent = operation.agent.as_deref();
    attributes.extend(agent.map(|agent| text(attrs::AGENT_NAME, agent)));
    let labels = &operation.labels;
    let conversation = labels.conversation.as_ref();
    attributes.extend(conversation.map(|id| text(attrs::CONVERSATION_ID, id.as_str())));
    let session = labels.session.as_deref();
    attributes.extend(session.map(|id| text(attrs::SESSION_ID, id)));
    Span {
        trace_id: trace.trace_id.0.to_be_bytes().into(),
        span_id: id(trace.random_child().span_id),
        parent_span_id: id(trace.span_id),
        flags: SAMPLED,
        name: span_name(operation.kind, operation.called, &operation.name),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start,
        attributes,
        ..Span::default()
    }
    .encode_to_vec()
}

/// The span of an operation whose process ended before it did, encoded: its real ids and start, and for its end the last moment of
/// which it is known that it ran.
pub(super) fn crashed(operation: &CrashedOperation) -> Vec<u8> {
    let name: &str = &operation.name;
    let mut attributes = vec![
        flag(attrs::CRASHED, true),
        text(attrs::CRASH_REASON, operation.reason.as_str()),
        text(attrs::RUN_ID, &operation.run_id),
        text(attrs::OUTCOME, Outcome::Cancelled.as_str()),
        text(attrs::ERROR_TYPE, Outcome::Cancelled.as_str()),
    ];
    let called = operation.called.as_deref();
    let called = called.unwrap_or(operation.kind.span_name());
    attributes.push(match operation.kind {
        Kind::Attempt => text(attrs::HTTP_REQUEST_METHOD, "POST"),
        Kind::Step => text(attrs::STEP_NAME, name),
        _ => text(attrs::OPERATION_NAME, called),
    });
    let named = match operation.kind {
        Kind::Chat | Kind::Embeddings => Some(attrs::REQUEST_MODEL),
        Kind::Retrieval => Some(attrs::DATA_SOURCE_ID),
        Kind::Tool => Some(attrs::TOOL_NAME),
        Kind::Workflow => Some(attrs::WORKFLOW_NAME),
        _ => None,
    };
    attributes.extend(named.map(|named| text(named, name)));
    for (named, value) in [
        (attrs::PROVIDER_NAME, &operation.provider),
        (attrs::AGENT_NAME, &operation.agent),
        (attrs::CONVERSATION_ID, &operation.conversation),
        (attrs::SESSION_ID, &operation.session),
    ] {
        attributes.extend(value.as_ref().map(|value| text(named, value)));
    }
    let kind = if operation.kind.is_client() {
        SpanKind::Client
    } else {
        SpanKind::Internal
    };
    let TraceContext {
        trace_id, span_id, ..
    } = operation.trace;
    Span {
        trace_id: trace_id.0.to_be_bytes().into(),
        span_id: id(span_id),
        parent_span_id: operation.parent_span_id.map(id).unwrap_or_default(),
        flags: SAMPLED,
        name: span_name(operation.kind, called, name),
        kind: kind.into(),
        start_time_unix_nano: nanos(operation.started),
        end_time_unix_nano: nanos(operation.last_seen.max(operation.started)),
        attributes,
        status: Some(Status {
            message: "the process ended while this ran".into(),
            code: StatusCode::Error.into(),
        }),
        ..Span::default()
    }
    .encode_to_vec()
}

/// As that of the finished span.
fn span_name(kind: Kind, called: &str, name: &str) -> String {
    match kind {
        Kind::Attempt | Kind::Memory => called.to_owned(),
        _ if name.is_empty() => called.to_owned(),
        _ => format!("{called} {}", redact::keys(name)),
    }
}

fn id(span: SpanId) -> Vec<u8> {
    span.0.to_be_bytes().into()
}

/// Since 1970; zero before, and the largest after the year 2554.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn text(name: &'static str, value: &str) -> KeyValue {
    pair(
        name,
        any_value::Value::StringValue(redact::keys(value).into_owned()),
    )
}

fn flag(name: &'static str, value: bool) -> KeyValue {
    pair(name, any_value::Value::BoolValue(value))
}

fn pair(name: &'static str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
