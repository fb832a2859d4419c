//! The part of an operation that its guard, its context and its children share.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use tracing::Span;

use super::{AgentDetails, Details, Facts, Kind, OperationId, OperationInfo};
use crate::{cost::PriceBook, model::ModelInfo};

/// The part of an operation that its guard, its context and its children share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: OperationInfo,
    pub(crate) parent: Option<Arc<Shared>>,
    /// The prices that were in place when it began, where it has a price.
    pub(crate) prices: Option<PriceBook>,
    /// Whether it hands on the text of its answer itself.
    pub(crate) speaks: bool,
    /// Whether a budget has put something aside for it.
    pub(crate) admitted: AtomicBool,
    /// What is learnt of it; `None` until there is something.
    facts: Mutex<Option<Box<Facts>>>,
}

impl Shared {
    pub(crate) fn new(
        info: OperationInfo,
        parent: Option<Arc<Shared>>,
        prices: Option<PriceBook>,
        speaks: bool,
    ) -> Self {
        Self {
            info,
            parent,
            prices,
            speaks,
            admitted: AtomicBool::new(false),
            facts: Mutex::default(),
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Option<Box<Facts>>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is learnt of it.
    pub(crate) fn record(&self, learn: impl FnOnce(&mut Facts)) {
        learn(self.facts().get_or_insert_default());
    }

    /// Whether this operation hangs somewhere under another.
    pub(crate) fn is_inside(&self, id: OperationId) -> bool {
        let mut above = self.parent.as_ref();
        while let Some(parent) = above {
            if parent.info.id == id {
                return true;
            }
            above = parent.parent.as_ref();
        }
        false
    }
}

/// Opens the tracing span of an operation: its name, its kind, and the attributes that samplers need at the start.
///
/// This is the only place in the workspace that opens spans. A bridge gives them their other attributes at their end.
pub(crate) fn open_span(
    kind: Kind,
    name: &str,
    details: &Details,
    agent: Option<&str>,
    parent: Option<&Span>,
) -> Span {
    macro_rules! open {
        ($name:literal, $otel_kind:literal, $otel_name:expr $(, $field:ident . $($rest:ident).+ = $value:expr)* $(,)?) => {
            match parent {
                Some(parent) => tracing::info_span!(
                    target: "agent_sdk::operation", parent: parent, $name,
                    otel.name = $otel_name, otel.kind = $otel_kind
                    $(, $field . $($rest).+ = $value)*
                ),
                None => tracing::info_span!(
                    target: "agent_sdk::operation", $name,
                    otel.name = $otel_name, otel.kind = $otel_kind
                    $(, $field . $($rest).+ = $value)*
                ),
            }
        };
    }
    // Put together only where somebody reads it.
    let full = || tracing::field::display(FullName(kind, details, name));
    let model: Option<&ModelInfo> = details.model().map(|model| &**model);
    // As `i64`: whole numbers of other types leave as text.
    let port = model.and_then(|model| model.server_port).map(i64::from);
    match kind {
        Kind::Agent => {
            let agent_type = match details {
                Details::Agent(AgentDetails { agent_type, .. }) => agent_type.as_deref(),
                _ => None,
            };
            open!("invoke_agent", "internal", full(),
                gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = name, agent_sdk.agent.type = agent_type)
        }
        Kind::Tool => open!(
            "execute_tool",
            "internal",
            full(),
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = name,
            gen_ai.tool.type = details.tool_type(),
            gen_ai.agent.name = agent
        ),
        Kind::Chat | Kind::Embeddings => open!(
            "chat",
            "client",
            full(),
            gen_ai.operation.name = kind.span_name(),
            gen_ai.provider.name = model.map(|model| &*model.provider),
            gen_ai.request.model = name,
            server.address = model.and_then(|model| model.server_address.as_deref()),
            server.port = port
        ),
        Kind::Attempt => open!(
            "attempt",
            "client",
            "POST",
            http.request.method = "POST",
            server.address = model.and_then(|model| model.server_address.as_deref()),
            server.port = port
        ),
        Kind::Workflow => open!(
            "invoke_workflow",
            "internal",
            full(),
            gen_ai.operation.name = "invoke_workflow",
            gen_ai.workflow.name = name
        ),
        Kind::Step => open!("step", "internal", full(), agent_sdk.step.name = name),
        Kind::Retrieval => open!(
            "retrieval",
            "client",
            full(),
            gen_ai.operation.name = kind.span_name(),
            gen_ai.data_source.id = name
        ),
        Kind::Plan => open!(
            "plan",
            "internal",
            full(),
            gen_ai.operation.name = kind.span_name(),
            gen_ai.agent.name = name
        ),
        Kind::Memory => open!(
            "memory",
            "internal",
            full(),
            gen_ai.operation.name = details.operation_name(kind)
        ),
    }
}

/// The name of an operation's span, for example `chat gpt-5`.
struct FullName<'a>(Kind, &'a Details, &'a str);

impl fmt::Display for FullName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, details, name) = self;
        let (first, second) = details.name_parts(*kind, name);
        f.write_str(first)?;
        if !second.is_empty() {
            write!(f, " {second}")?;
        }
        Ok(())
    }
}
