//! An event as an OTLP log record.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use agent_sdk::operation::TraceContext;
use agent_sdk::redact::Redactor;
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use serde_json::Value as Json;
use tracing::Level;

use super::entry::{Entry, Value};
use super::layer::Sink;
use crate::attrs;
use crate::content::masked_record;
use crate::encode::AttributeSink;
use crate::pipeline::{Pipeline, Scope};

/// Sends entries as log records, each under the scope of its target.
pub(super) struct Records {
    pipeline: Pipeline,
    redactor: Redactor,
    /// Targets are names in the code: there are only so many.
    scopes: RwLock<HashMap<&'static str, Scope>>,
}

impl Records {
    pub(super) fn new(pipeline: Pipeline, redactor: Redactor) -> Self {
        Self {
            pipeline,
            redactor,
            scopes: RwLock::default(),
        }
    }

    fn scope(&self, target: &'static str) -> Scope {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = scopes.get(target) {
            return scope.clone();
        }
        drop(scopes);
        let scope = Scope::new(&InstrumentationScope::builder(target).build());
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        scopes.entry(target).or_insert(scope).clone()
    }
}

impl Sink for Records {
    fn take(&self, entry: &Entry) {
        let mut attributes = Attributes::default();
        for (name, value) in &entry.fields {
            match value {
                Value::Text(text) => attributes.text(name, text),
                Value::Int(number) => attributes.int(name, *number),
                Value::Float(number) => attributes.float(name, *number),
                Value::Flag(flag) => attributes.flag(name, *flag),
            }
        }
        if let Some(run) = &entry.run_id {
            attributes.text(attrs::RUN_ID, run);
        }
        if let Some(path) = &entry.path {
            attributes.text(attrs::OPERATION_PATH, path);
        }
        let (number, text) = severity(*entry.metadata.level());
        let record = LogRecord {
            severity_number: number.into(),
            severity_text: text.to_owned(),
            body: entry.message.as_deref().map(|words| any(text_value(words))),
            attributes: attributes.0,
            event_name: entry.name().unwrap_or_default().to_owned(),
            ..at(entry.time, entry.trace)
        };
        let scope = self.scope(entry.metadata.target());
        self.pipeline
            .push(&scope, &masked_record(&self.redactor, record));
    }
}

/// A record of a time and a place, without anything else.
pub(super) fn at(time: SystemTime, trace: Option<TraceContext>) -> LogRecord {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.unwrap_or_default().as_nanos();
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        flags: trace.map_or(0, |trace| u32::from(trace.sampled)),
        trace_id: trace.map_or_else(Vec::new, |trace| trace.trace_id.0.to_be_bytes().into()),
        span_id: trace.map_or_else(Vec::new, |trace| trace.span_id.0.to_be_bytes().into()),
        ..LogRecord::default()
    }
}

pub(super) fn severity(level: Level) -> (SeverityNumber, &'static str) {
    let number = match level {
        Level::TRACE => SeverityNumber::Trace,
        Level::DEBUG => SeverityNumber::Debug,
        Level::INFO => SeverityNumber::Info,
        Level::WARN => SeverityNumber::Warn,
        Level::ERROR => SeverityNumber::Error,
    };
    (number, level.as_str())
}

/// The attributes of a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, name: &str, value: Any) {
        self.0.push(KeyValue {
            key: name.to_owned(),
            value: Some(any(value)),
            ..KeyValue::default()
        });
    }

    /// Structured data: maps and lists, no JSON text.
    pub(super) fn data(&mut self, name: &str, data: &Json) {
        if let Some(value) = of_json(data) {
            self.push(name, value);
        }
    }
}

impl AttributeSink for Attributes {
    fn text(&mut self, name: &str, value: &str) {
        self.push(name, text_value(value));
    }

    fn int(&mut self, name: &str, value: i64) {
        self.push(name, Any::IntValue(value));
    }

    fn float(&mut self, name: &str, value: f64) {
        self.push(name, Any::DoubleValue(value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.push(name, Any::BoolValue(value));
    }

    fn texts(&mut self, name: &str, values: &[&str]) {
        let values = values.iter().map(|value| any(text_value(value))).collect();
        self.push(name, Any::ArrayValue(ArrayValue { values }));
    }
}

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text_value(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

/// `None` for `null`, which is an empty value.
fn of_json(data: &Json) -> Option<Any> {
    Some(match data {
        Json::Null => return None,
        Json::Bool(flag) => Any::BoolValue(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Any::IntValue(whole),
            (None, Some(fraction)) => Any::DoubleValue(fraction),
            (None, None) => Any::StringValue(number.to_string()),
        },
        Json::String(text) => text_value(text),
        Json::Array(list) => {
            let values = list.iter().map(|item| AnyValue {
                value: of_json(item),
            });
            Any::ArrayValue(ArrayValue {
                values: values.collect(),
            })
        }
        Json::Object(map) => {
            let values = map.iter().map(|(key, value)| KeyValue {
                key: key.clone(),
                value: Some(AnyValue {
                    value: of_json(value),
                }),
                ..KeyValue::default()
            });
            Any::KvlistValue(KeyValueList {
                values: values.collect(),
            })
        }
    })
}
