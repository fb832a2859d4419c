//! Tool calls, put together from their pieces.
//!
//! A piece belongs to a call by its index, then by its id; servers leave out either, give one index to several calls, or
//! send a call whole. Where a piece could belong to more than one call the answer is refused: the JSON of two calls is
//! never joined.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::Events;
use crate::{
    message::{CallId, Part, ToolCall},
    model::{ChatEvent, ModelError, ModelErrorKind},
};

/// How many calls one answer may have.
const MAX_CALLS: usize = 1_024;

/// The tool calls of one answer, in the order in which they began.
#[derive(Debug)]
pub(in crate::model) struct Calls {
    list: Vec<Call>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    arguments: String,
    scan: Scan,
    announced: bool,
    /// Whether its id is of our own making.
    has_made_id: bool,
}

/// A tool call, or more of it, as one event tells it.
#[derive(Debug, Default)]
pub(in crate::model) struct CallPiece<'a> {
    /// The call's place among the calls, or the blocks, of the answer.
    pub(in crate::model) index: Option<u64>,
    /// Its id, unless that is absent or empty.
    pub(in crate::model) id: Option<Cow<'a, str>>,
    /// Whether the id is not the server's.
    pub(in crate::model) has_made_id: bool,
    /// The tool's name, unless that is absent or empty.
    pub(in crate::model) name: Option<Cow<'a, str>>,
    /// More of its arguments.
    pub(in crate::model) arguments: Cow<'a, str>,
}

/// Where the piece belongs.
enum Place {
    At(usize),
    New,
}

impl Calls {
    /// No calls yet, whose arguments may together have this many bytes.
    pub(in crate::model) fn new(max_bytes: usize) -> Self {
        Self {
            list: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Adds a call that came whole.
    pub(in crate::model) fn whole(&mut self, call: CallPiece<'_>) -> Result<(), ModelError> {
        let at = self.begin(call.index, call.id)?;
        self.mark(at, call.has_made_id);
        self.extend(at, call.name, &call.arguments)
    }

    /// Adds a piece of a call.
    pub(in crate::model) fn piece(
        &mut self,
        piece: CallPiece<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let CallPiece {
            index,
            id,
            name,
            arguments,
            has_made_id,
        } = piece;
        if index.is_none() && id.is_none() && name.is_none() && arguments.trim().is_empty() {
            return Ok(());
        }
        let at = match self.place(index, id.as_deref(), name.as_deref(), &arguments)? {
            Some(Place::At(at)) => {
                self.name_late(at, id);
                at
            }
            Some(Place::New) => {
                let at = self.begin(index, id)?;
                self.mark(at, has_made_id);
                at
            }
            None => return Ok(()),
        };
        self.extend(at, name, &arguments)?;
        self.announce(at, arguments, events);
        Ok(())
    }

    /// Takes a call whole, once its pieces are through, and adds what these lacked.
    pub(in crate::model) fn settle(
        &mut self,
        call: CallPiece<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let begun = self
            .list
            .iter()
            .rposition(|begun| begun.index == call.index);
        let Some(at) = begun else {
            return self.piece(call, events);
        };
        let known = self.list.get(at);
        let known = known.map_or("", |known| known.arguments.as_str());
        let rest = match call.arguments.strip_prefix(known) {
            Some(rest) => rest.to_owned(),
            // The same object in other words may be told twice; half of one and another may not.
            None if serde_json::from_str::<IgnoredAny>(known).is_ok() => String::new(),
            None => {
                return Err(decode(
                    "the pieces of a tool call are not those of the call",
                ));
            }
        };
        self.name_late(at, call.id);
        self.extend(at, call.name, &rest)?;
        self.announce(at, rest.into(), events);
        Ok(())
    }

    /// The finished calls. Ids that are missing or taken are made from the call's place.
    pub(in crate::model) fn finish(mut self, events: &mut Events) -> Result<Vec<Part>, ModelError> {
        let mut parts = Vec::with_capacity(self.list.len());
        for at in 0..self.list.len() {
            let made = match self.list.get(at) {
                Some(Call { id: None, .. }) => Some(self.free_id(at)),
                _ => None,
            };
            let Some(call) = self.list.get_mut(at) else {
                break;
            };
            if let Some(made) = made {
                call.id = Some(made);
                call.has_made_id = true;
            }
            if call.name.is_none() {
                return Err(decode("the model called a tool without naming it"));
            }
            self.announce(at, Cow::Borrowed(""), events);
        }
        for call in self.list {
            let (id, name) = (call.id.unwrap_or_default(), call.name.unwrap_or_default());
            let mut finished = ToolCall::new(id, name, call.arguments);
            finished.has_made_id = call.has_made_id;
            parts.push(Part::ToolCall(finished));
        }
        Ok(parts)
    }

    /// Whether no call has begun.
    pub(in crate::model) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Finds the call that a piece belongs to; `None` where it only repeats what is known.
    fn place(
        &self,
        index: Option<u64>,
        id: Option<&str>,
        name: Option<&str>,
        arguments: &str,
    ) -> Result<Option<Place>, ModelError> {
        let Some(at) = self.candidate(index, id, name)? else {
            return Ok(Some(Place::New));
        };
        let Some(call) = self.list.get(at) else {
            return Ok(Some(Place::New));
        };
        let (Some(known), Some(name)) = (call.name.as_deref(), name) else {
            return Ok(Some(Place::At(at)));
        };
        if known != name {
            // A call of another name, unless the first one's name may have been only its beginning.
            let another = !call.arguments.trim().is_empty() || (index.is_none() && id.is_none());
            return if another {
                Ok(Some(Place::New))
            } else {
                Err(ambiguous())
            };
        }
        if !call.scan.complete || arguments.trim().is_empty() {
            return Ok(Some(Place::At(at)));
        }
        // The first call has all its arguments, so that this is another one, or the same one once more.
        let repeated = id.is_some() && call.id.as_deref() == id && call.arguments == arguments;
        Ok((!repeated).then_some(Place::New))
    }

    /// The call that index and id point at, if one has begun.
    fn candidate(
        &self,
        index: Option<u64>,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<Option<usize>, ModelError> {
        let calls = || self.list.iter().enumerate().rev();
        let only_open = |among: &dyn Fn(&Call) -> bool| {
            let mut open = calls().filter(|(_, call)| among(call) && !call.scan.complete);
            match (open.next(), open.next()) {
                (Some((at, _)), None) => Ok(Some(at)),
                (None, _) => Ok(None),
                (Some(_), Some(_)) => Err(ambiguous()),
            }
        };
        match (index, id) {
            (Some(index), Some(id)) => {
                let same = |call: &Call| call.index == Some(index);
                let known = calls().find(|(_, call)| same(call) && call.id.as_deref() == Some(id));
                let late = || calls().find(|(_, call)| same(call) && call.id.is_none());
                Ok(known.or_else(late).map(|(at, _)| at))
            }
            (Some(index), None) => {
                let mut same = calls().filter(|(_, call)| call.index == Some(index));
                match (same.next(), same.next()) {
                    (None, _) => Ok(None),
                    (Some((at, _)), None) => Ok(Some(at)),
                    _ => match only_open(&|call| call.index == Some(index))? {
                        None if name.is_none() => Err(ambiguous()),
                        found => Ok(found),
                    },
                }
            }
            (None, Some(id)) => {
                let known = calls().find(|(_, call)| call.id.as_deref() == Some(id));
                match known {
                    Some((at, _)) => Ok(Some(at)),
                    None if name.is_some() => Ok(None),
                    None => only_open(&|call| call.id.is_none()),
                }
            }
            (None, None) => match (only_open(&|_| true)?, name) {
                (None, None) => Err(ambiguous()),
                (found, _) => Ok(found),
            },
        }
    }

    fn begin(&mut self, index: Option<u64>, id: Option<Cow<'_, str>>) -> Result<usize, ModelError> {
        let at = self.list.len();
        if at >= MAX_CALLS {
            return Err(decode(format!(
                "the answer has more than {MAX_CALLS} tool calls"
            )));
        }
        let has_made_id = id.as_deref().is_some_and(|id| self.is_taken(id));
        let id = match id {
            Some(_) if has_made_id => Some(self.free_id(at)),
            id => id.map(Cow::into_owned),
        };
        self.list.push(Call {
            index,
            id,
            has_made_id,
            ..Call::default()
        });
        Ok(at)
    }

    /// Keeps that the id is not the server's.
    fn mark(&mut self, at: usize, has_made_id: bool) {
        if let Some(call) = self.list.get_mut(at) {
            call.has_made_id |= has_made_id;
        }
    }

    /// Takes the id of a call that began without one.
    fn name_late(&mut self, at: usize, id: Option<Cow<'_, str>>) {
        let unnamed = self.list.get(at).is_some_and(|call| call.id.is_none());
        if let (true, Some(id)) = (unnamed, id) {
            let has_made_id = self.is_taken(&id);
            let id = if has_made_id {
                self.free_id(at)
            } else {
                id.into_owned()
            };
            if let Some(call) = self.list.get_mut(at) {
                call.id = Some(id);
                call.has_made_id = has_made_id;
            }
        }
    }

    fn extend(
        &mut self,
        at: usize,
        name: Option<Cow<'_, str>>,
        arguments: &str,
    ) -> Result<(), ModelError> {
        self.bytes = self.bytes.saturating_add(arguments.len());
        if self.bytes > self.max_bytes {
            return Err(decode(format!(
                "the tool arguments passed the {} bytes of `tool_argument_bytes`",
                self.max_bytes
            )));
        }
        if let Some(call) = self.list.get_mut(at) {
            if let Some(name) = name {
                call.name.get_or_insert_with(|| name.into_owned());
            }
            call.scan.read(arguments);
            call.arguments.push_str(arguments);
        }
        Ok(())
    }

    /// Tells of a call once its id and its name are known, and then of its arguments.
    fn announce(&mut self, index: usize, fragment: Cow<'_, str>, events: &mut Events) {
        let Some(call) = self.list.get_mut(index) else {
            return;
        };
        let fragment = if call.announced {
            fragment
        } else {
            let (Some(id), Some(name)) = (&call.id, &call.name) else {
                return;
            };
            call.announced = true;
            events.push(|| ChatEvent::ToolCall {
                index,
                id: CallId::from(id),
                name: name.clone(),
            });
            Cow::Borrowed(call.arguments.as_str())
        };
        if !fragment.is_empty() {
            events.push(|| ChatEvent::ToolCallArguments {
                index,
                fragment: fragment.into_owned(),
            });
        }
    }

    fn is_taken(&self, id: &str) -> bool {
        self.list.iter().any(|call| call.id.as_deref() == Some(id))
    }

    /// An id for the call at this place that no other call has.
    fn free_id(&self, at: usize) -> String {
        let mut id = format!("call_{at}");
        while self.is_taken(&id) {
            id.push('_');
        }
        id
    }
}

/// Follows a JSON object, to know when it is whole, in constant time per byte.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Scan {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

fn decode(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Decode, message)
}

fn ambiguous() -> ModelError {
    decode("a piece of a tool call belongs to more than one call")
}
