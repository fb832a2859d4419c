//! The instrumentation scope of an item, encoded once.

use std::fmt;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as WireScope;
use prost::Message;

use super::envelope::{field, text_field};

/// Who recorded an item. Clones are cheap and share the encoded bytes.
#[derive(Clone)]
pub(crate) struct Scope(Arc<Encoded>);

#[derive(PartialEq, Eq)]
struct Encoded {
    /// The fields of a `ScopeSpans` or `ScopeLogs` that stand before its items: the scope.
    before: Vec<u8>,
    /// Those that stand after them: the schema's address, where there is one.
    after: Vec<u8>,
}

impl Scope {
    /// Encodes a scope. Keep the result: making it costs as much as a span.
    pub(crate) fn new(scope: &InstrumentationScope) -> Self {
        let mut before = Vec::new();
        field(
            1,
            &WireScope::from((scope, None)).encode_to_vec(),
            &mut before,
        );
        let mut after = Vec::new();
        text_field(3, scope.schema_url().unwrap_or_default(), &mut after);
        Self(Arc::new(Encoded { before, after }))
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.0.before
    }

    pub(super) fn after(&self) -> &[u8] {
        &self.0.after
    }

    /// Bytes that the scope adds to a request.
    pub(super) fn len(&self) -> usize {
        self.0.before.len() + self.0.after.len()
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Scope {}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("bytes", &self.len())
            .finish_non_exhaustive()
    }
}
