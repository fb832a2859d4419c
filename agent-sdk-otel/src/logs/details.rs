//! The event of each model request that the conventions define: all of its attributes, and its content where that was switched on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use agent_sdk::operation::{
    Kind, Observer, OperationId, OperationInfo, OperationRecord, Payload, RunId,
};
use agent_sdk::redact::Redactor;
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tracing::Level;

use super::record::{Attributes, at, severity};
use crate::content::{Capture, masked_record, without_keys};
use crate::metrics::SCOPE;
use crate::pipeline::{Pipeline, Scope};
use crate::profile::EmissionProfile;
use crate::spans::attributes::{at_end, at_start};

/// The event's name.
const NAME: &str = "gen_ai.client.inference.operation.details";

/// Sends an event for each model request, whether its trace is sampled or not.
pub(crate) struct DetailsObserver {
    pipeline: Pipeline,
    scope: Scope,
    profile: EmissionProfile,
    /// Takes the content, where it was switched on.
    content: Option<Capture>,
    keys: Redactor,
    /// What requests under way were asked.
    asked: Mutex<HashMap<(RunId, OperationId), Vec<KeyValue>>>,
}

impl DetailsObserver {
    pub(crate) fn new(
        pipeline: Pipeline,
        profile: EmissionProfile,
        content: Option<Capture>,
        redactor: &Redactor,
    ) -> Self {
        let scope = InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self {
            pipeline,
            scope: Scope::new(&scope),
            profile,
            content,
            keys: redactor.for_keys(),
            asked: Mutex::default(),
        }
    }
}

impl Observer for DetailsObserver {
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        if let Some(content) = &self.content
            && operation.kind == Kind::Chat
        {
            let mut attributes = Attributes::default();
            add_content(content, payload, &mut attributes);
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert((operation.run_id.clone(), operation.id), attributes.0);
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        let info = record.info;
        if info.kind != Kind::Chat {
            return;
        }
        let mut attributes = Attributes::default();
        let agent = info.agent.as_deref();
        at_start(info.kind, &info.name, &info.details, agent, &mut attributes);
        at_end(record, self.profile, &mut attributes);
        without_keys(&self.keys, &mut attributes.0);
        if let Some(content) = &self.content {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.remove(&(info.run_id.clone(), info.id));
            attributes.0.extend(asked.unwrap_or_default());
            add_content(content, payload, &mut attributes);
        }
        let (number, text) = severity(Level::DEBUG);
        let event = LogRecord {
            severity_number: number.into(),
            severity_text: text.to_owned(),
            attributes: attributes.0,
            event_name: NAME.to_owned(),
            ..at(record.ended, Some(info.trace))
        };
        self.pipeline
            .push(&self.scope, &masked_record(&self.keys, event));
    }
}

fn add_content(content: &Capture, payload: Payload<'_>, attributes: &mut Attributes) {
    for piece in content.pieces(payload) {
        attributes.data(piece.name, &piece.value);
    }
}

impl fmt::Debug for DetailsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetailsObserver")
            .field("content", &self.content.is_some())
            .finish_non_exhaustive()
    }
}
