//! What is the same on each span of a tool, a model or an agent, encoded once.
//!
//! Names, descriptions and addresses come from what a program set up: an operation that brings the texts that one before it brought
//! begins with the same bytes. Mostly they are the very same in memory, so that they need not be read.

use std::sync::Arc;

use agent_sdk::operation::{Details, Kind, OperationInfo};

use super::{attributes, otel_kind};
use crate::encode::{Attributes, Limits, Parts, SpanWriter};

/// How many a thread knows.
const PLACES: usize = 64;

/// The beginnings of spans that a thread wrote last, each at the [place](place) of what they come from.
#[derive(Debug)]
pub(super) struct Known([Option<Beginning>; PLACES]);

/// Name, kind and attributes, and what they come from.
#[derive(Debug)]
struct Beginning {
    kind: Kind,
    name: Arc<str>,
    agent: Option<Arc<str>>,
    details: Details,
    limits: Limits,
    parts: Parts,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self([const { None }; PLACES])
    }

    /// Writes the name, the kind and what every operation of this name says.
    pub(super) fn write(&mut self, info: &OperationInfo, limits: Limits, to: &mut SpanWriter<'_>) {
        let place = place(info).and_then(|place| self.0.get_mut(place));
        let is_written = place.is_some_and(|kept| {
            if !kept.as_ref().is_some_and(|kept| kept.is_of(info, limits)) {
                *kept = Some(Beginning::of(info, limits));
            }
            kept.as_ref().is_some_and(|kept| to.shared(&kept.parts))
        });
        if !is_written {
            to.head(name(info), &otel_kind(info.kind));
            to.attributes(|all| of_all(info, all));
        }
    }
}

impl Beginning {
    fn of(info: &OperationInfo, limits: Limits) -> Self {
        let mut parts = Parts::default();
        parts.head(limits, name(info), &otel_kind(info.kind));
        parts.attributes(limits, |all| of_all(info, all));
        Self {
            kind: info.kind,
            name: info.name.clone(),
            agent: info.agent.clone(),
            details: info.details.clone(),
            limits,
            parts,
        }
    }

    /// Whether an operation brings the same.
    fn is_of(&self, info: &OperationInfo, limits: Limits) -> bool {
        self.kind == info.kind
            && is_same(&self.name, &info.name)
            && are_same(self.agent.as_ref(), info.agent.as_ref())
            && self.limits == limits
            && has_same(&self.details, &info.details)
    }
}

fn has_same(known: &Details, details: &Details) -> bool {
    match (known, details) {
        (Details::Tool(known), Details::Tool(tool)) => {
            are_same(known.description.as_ref(), tool.description.as_ref())
                && are_same(known.tool_type.as_ref(), tool.tool_type.as_ref())
        }
        (Details::Agent(known), Details::Agent(agent)) => {
            are_same(known.agent_type.as_ref(), agent.agent_type.as_ref())
                && are_same(known.description.as_ref(), agent.description.as_ref())
                && are_same(known.model.as_ref(), agent.model.as_ref())
                && known.json_output == agent.json_output
        }
        _ => known.model().is_some() && are_same(known.model(), details.model()),
    }
}

fn are_same<T: ?Sized + PartialEq>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        _ => false,
    }
}

fn is_same<T: ?Sized + PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || **one == **other
}

/// Where the beginning of an operation's span is kept; of kinds that are rare, none is.
fn place(info: &OperationInfo) -> Option<usize> {
    let text = match &info.details {
        Details::Tool(_) | Details::Agent(_) => &*info.name,
        details => &*details.model()?.model,
    };
    let bytes = text.as_bytes();
    // Names differ in their ends.
    let mixed = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(21)
        }
        _ => bytes
            .iter()
            .fold(1, |mixed, byte| mixed << 8 | u64::from(*byte)),
    };
    let mixed = mixed.wrapping_add(info.kind as u64);
    let place = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(place).ok().map(|place| place % PLACES)
}

fn name(info: &OperationInfo) -> (&'static str, &str) {
    info.details.name_parts(info.kind, &info.name)
}

fn of_all(info: &OperationInfo, all: &mut Attributes<'_>) {
    let agent = info.agent.as_deref();
    attributes::at_start(info.kind, &info.name, &info.details, agent, all);
    attributes::of_kind(&info.details, all);
}

#[cfg(test)]
mod tests {
    use agent_sdk::model::ModelInfo;
    use agent_sdk::operation::{
        AgentDetails, AttemptDetails, ChatDetails, Operation, RunContext, ToolDetails,
    };
    use opentelemetry::trace::{SpanContext, SpanId, Status};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    use super::*;
    use crate::encode::Ids;

    fn tool(description: &str, tool_type: Option<&str>) -> Details {
        Details::Tool(ToolDetails {
            call_id: None,
            description: Some(description.into()),
            tool_type: tool_type.map(Into::into),
        })
    }

    fn agent(model: Option<ModelInfo>, json_output: bool) -> Details {
        Details::Agent(AgentDetails {
            model: model.map(Arc::new),
            json_output,
            ..AgentDetails::default()
        })
    }

    /// Operations of which each differs from another in one thing, and some from none.
    fn operations() -> Vec<Operation> {
        let root = RunContext::new();
        let [one, other] = ["one", "other"].map(|name| root.start(Kind::Agent, name).begin());
        let gpt = || ModelInfo::new("openai", "gpt-5");
        let there = || gpt().with_server("example.com", Some(443));
        let attempt = |model: ModelInfo| {
            Details::Attempt(AttemptDetails {
                model: model.into(),
                number: 1,
            })
        };
        let chat = |model| Details::Chat(ChatDetails::new(model));
        let mut all = Vec::new();
        for context in [one.context(), other.context(), &root] {
            for (kind, name, details) in [
                (Kind::Tool, "search", tool("looks", None)),
                (Kind::Tool, "search", tool("looks", Some("extension"))),
                (Kind::Tool, "search", tool("looks again", None)),
                (Kind::Tool, "search", Details::None),
                (Kind::Tool, "find", tool("looks", None)),
                (Kind::Agent, "search", agent(None, false)),
                (Kind::Agent, "search", agent(None, true)),
                (Kind::Agent, "search", agent(Some(gpt()), true)),
                (Kind::Agent, "search", Details::None),
                (Kind::Chat, "gpt-5", chat(gpt())),
                (Kind::Chat, "gpt-5", chat(there())),
                (Kind::Chat, "gpt-5", chat(ModelInfo::new("azure", "gpt-5"))),
                (Kind::Attempt, "", attempt(gpt())),
                (Kind::Attempt, "", attempt(there())),
                (Kind::Step, "search", Details::None),
            ] {
                all.push(context.start(kind, name).details(details).begin());
            }
        }
        all.extend([one, other]);
        all
    }

    /// A span with some attributes of somebody else's.
    fn written(info: &OperationInfo, limits: Limits, others: i64, known: &mut Known) -> Span {
        let ids = Ids {
            span: &SpanContext::NONE,
            parent: SpanId::INVALID,
            parent_is_remote: false,
        };
        let mut bytes = Vec::new();
        let mut writer = SpanWriter::begin(&mut bytes, limits, ids, (1, 2));
        writer.attributes(|all| {
            use crate::encode::AttributeSink;
            (0..others).for_each(|number| all.int("other", number));
        });
        known.write(info, limits, &mut writer);
        writer.end(&Status::Unset);
        Span::decode(bytes.as_slice()).unwrap()
    }

    #[test]
    fn no_operation_begins_as_another_whatever_came_before_it() {
        let operations = operations();
        let mut known = Known::new();
        let small = Limits {
            attributes: 3,
            ..Limits::default()
        };
        let short = Limits {
            text: 4,
            ..Limits::default()
        };
        for limits in [Limits::default(), small, short, Limits::default()] {
            for others in [0, 2, 0] {
                for operation in operations.iter().chain(operations.iter().rev()) {
                    let info = operation.info();
                    assert_eq!(
                        written(info, limits, others, &mut known),
                        written(info, limits, others, &mut Known::new()),
                        "{info:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_found_by_its_texts_wherever_they_are() {
        let [first, second] = [(); 2].map(|()| {
            let root = RunContext::new();
            let start = root.start(Kind::Tool, "search");
            start.details(tool("looks", None)).begin()
        });
        let mut known = Known::new();
        let limits = Limits::default();
        let span = written(first.info(), limits, 0, &mut known);
        let kept = |known: &Known| {
            known
                .0
                .iter()
                .flatten()
                .map(|kept| kept.name.as_ptr())
                .next()
        };
        let before = kept(&known);
        assert_eq!(written(second.info(), limits, 0, &mut known), span);
        assert_eq!(kept(&known), before);
        assert_eq!(span.name, "execute_tool search");
        assert_eq!(span.attributes.len(), 4);
    }
}
