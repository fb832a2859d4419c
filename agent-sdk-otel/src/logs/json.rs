//! An event as one line of JSON.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::entry::{Entry, Value};

/// What stands in a line. The names are API: people search for them.
#[derive(Serialize)]
struct Line<'a> {
    time: Shown<Time>,
    level: &'static str,
    target: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    fields: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<agent_sdk::operation::TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<agent_sdk::operation::SpanId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_sampled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
}

/// The line, with its end.
pub(super) fn line(entry: &Entry, service: Option<&str>) -> Vec<u8> {
    let trace = entry.trace;
    let line = Line {
        time: Shown(Time(Timestamp::try_from(entry.time).unwrap_or_default())),
        level: entry.metadata.level().as_str(),
        target: entry.metadata.target(),
        name: entry.name(),
        message: entry.message.as_deref(),
        fields: Fields(&entry.fields),
        trace_id: trace.map(|trace| trace.trace_id),
        span_id: trace.map(|trace| trace.span_id),
        trace_sampled: trace.map(|trace| trace.sampled),
        run_id: entry.run_id.as_deref(),
        operation: entry.path.as_deref(),
        service,
    };
    let mut bytes = Vec::with_capacity(512);
    // Into memory, and of texts, numbers and truth values only: nothing in it can fail.
    let _ = serde_json::to_writer(&mut bytes, &line);
    bytes.push(b'\n');
    bytes
}

/// What is serialised as it is shown.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// RFC 3339 with microseconds.
struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

struct Fields<'a>(&'a [(&'static str, Value)]);

impl Fields<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match value {
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Int(number) => map.serialize_entry(name, number)?,
                // What is no number is `null`.
                Value::Float(number) => map.serialize_entry(name, number)?,
                Value::Flag(flag) => map.serialize_entry(name, flag)?,
            }
        }
        map.end()
    }
}
