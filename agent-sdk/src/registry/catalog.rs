//! A registry as what a plan's steps may name.

use std::sync::Arc;

use serde_json::{Value, value::RawValue};

use super::{Entry, EntryKind, Registry};
use crate::plan::{Catalog, WorkKind};

fn kind_of(kind: WorkKind) -> Option<EntryKind> {
    match kind {
        WorkKind::Agent => Some(EntryKind::Agent),
        WorkKind::Tool => Some(EntryKind::Tool),
        WorkKind::Function => Some(EntryKind::Function),
        WorkKind::Plan => None,
    }
}

impl Registry {
    fn schema(
        &self,
        kind: WorkKind,
        name: &str,
        of: impl Fn(&Entry) -> Option<&RawValue>,
    ) -> Option<Value> {
        let entry = self.get(kind_of(kind)?, name).ok()?;
        serde_json::from_str(of(&entry)?.get()).ok()
    }
}

impl Catalog for Registry {
    fn names(&self, kind: WorkKind) -> Option<Vec<Arc<str>>> {
        Some(self.names(kind_of(kind)?))
    }

    fn input_schema(&self, kind: WorkKind, name: &str) -> Option<Value> {
        self.schema(kind, name, Entry::input_schema)
    }

    fn output_schema(&self, kind: WorkKind, name: &str) -> Option<Value> {
        self.schema(kind, name, Entry::output_schema)
    }
}
