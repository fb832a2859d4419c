//! The items of an answer, put together from whole ones or from the events of a stream.
//!
//! An event belongs to an item by the item's id, then by its place in the output; servers leave out either, and some name one item
//! otherwise in every event.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    API,
    wire::{Action, Event, Item, pieces, read},
};
use crate::{
    message::{Opaque, Part, Reasoning, Signature},
    model::{
        ChatEvent, ModelError, ModelErrorKind,
        wire::{CallPiece, Calls, Events, add, arguments},
    },
};

/// How many items one answer may have.
const MAX_ITEMS: usize = 1_024;

/// What stands between two pieces of reasoning.
const BREAK: &str = "\n\n";

/// The items of one answer, in the order in which they began.
#[derive(Debug)]
pub(super) struct Items {
    list: Vec<Slot>,
    calls: Calls,
    /// How many calls have begun.
    begun: usize,
}

#[derive(Debug)]
struct Slot {
    index: Option<u64>,
    id: Option<String>,
    /// Whether it came whole: nothing is added any more.
    done: bool,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Message {
        text: String,
        refusal: String,
    },
    Reasoning {
        text: String,
        /// Which piece the last text was of.
        piece: (Kind, u64),
        signature: Option<Signature>,
    },
    Call {
        /// Its place among the calls.
        nth: usize,
        signature: Option<Signature>,
    },
    Other {
        kind: String,
        json: String,
        searched: bool,
    },
}

/// What an item is, or an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Summary,
    Thought,
    Call,
    CustomCall,
    Other,
}

impl Kind {
    fn of_item(kind: &str) -> Self {
        match kind {
            "message" => Self::Text,
            "reasoning" => Self::Summary,
            "function_call" => Self::Call,
            "custom_tool_call" => Self::CustomCall,
            _ => Self::Other,
        }
    }

    /// What more of an item's text an event of this name brings, if any.
    pub(super) fn of_delta(event: &str) -> Option<Self> {
        Some(match event {
            "response.output_text.delta" => Self::Text,
            "response.refusal.delta" => Self::Refusal,
            "response.reasoning_summary_text.delta" => Self::Summary,
            "response.reasoning_text.delta" => Self::Thought,
            "response.function_call_arguments.delta" => Self::Call,
            "response.custom_tool_call_input.delta" => Self::CustomCall,
            _ => return None,
        })
    }

    fn is_of(self, said: &Said) -> bool {
        match said {
            Said::Message { .. } => matches!(self, Self::Text | Self::Refusal),
            Said::Reasoning { .. } => matches!(self, Self::Summary | Self::Thought),
            Said::Call { .. } => matches!(self, Self::Call | Self::CustomCall),
            Said::Other { .. } => self == Self::Other,
        }
    }
}

impl Items {
    /// None yet; the arguments of the calls may together have this many bytes.
    pub(super) fn new(tool_argument_bytes: usize) -> Self {
        Self {
            list: Vec::new(),
            calls: Calls::new(tool_argument_bytes),
            begun: 0,
        }
    }

    /// An item begins.
    pub(super) fn begin(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let item = read::<Item<'_>>(Some(raw));
        let kind = Kind::of_item(item.kind.0.as_deref().unwrap_or_default());
        let id = item.id.0.as_deref().filter(|id| !id.is_empty());
        let known = self.list.iter().rposition(|slot| {
            let same = id.is_some() && slot.id.as_deref() == id;
            let open = slot.id.is_none() && !slot.done;
            let unnamed = open && index.is_some() && slot.index == index;
            kind.is_of(&slot.said) && (same || unnamed)
        });
        let at = match known {
            Some(at) => at,
            None => self.push(index, id, kind)?,
        };
        match self.list.get_mut(at).map(|slot| &mut slot.said) {
            Some(Said::Call { signature, .. }) => {
                *signature = signed_call(kind, &item);
                let piece = CallPiece {
                    index: Some(place(at)),
                    id: item.call_id.filled(),
                    name: item.name.filled(),
                    arguments: Cow::Borrowed(""),
                    ..CallPiece::default()
                };
                self.calls.piece(piece, events)
            }
            Some(Said::Other {
                kind,
                json,
                searched,
            }) => {
                *searched = is_search(&item);
                *kind = item.kind.0.unwrap_or_default().into_owned();
                raw.get().clone_into(json);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// More of an item.
    pub(super) fn more(
        &mut self,
        kind: Kind,
        event: Event<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let Some(delta) = event.delta.filled() else {
            return Ok(());
        };
        let (index, id) = (event.output_index.0, event.item_id.filled());
        let at = match self.find(kind, index, id.as_deref()) {
            Some(at) => at,
            None => self.push(index, id.as_deref(), kind)?,
        };
        let Some(slot) = self.list.get_mut(at).filter(|slot| !slot.done) else {
            return Ok(());
        };
        match &mut slot.said {
            Said::Message { refusal, .. } if kind == Kind::Refusal => {
                add(refusal, delta, events, ChatEvent::Refusal);
            }
            Said::Message { text, .. } => add(text, delta, events, ChatEvent::Text),
            Said::Reasoning { text, piece, .. } => {
                let number = match kind {
                    Kind::Summary => event.summary_index,
                    _ => event.content_index,
                };
                let this = (kind, number.0.unwrap_or(0));
                if *piece != this && !text.is_empty() {
                    add(text, BREAK.into(), events, ChatEvent::Reasoning);
                }
                *piece = this;
                add(text, delta, events, ChatEvent::Reasoning);
            }
            Said::Call { .. } => {
                let piece = CallPiece {
                    index: Some(place(at)),
                    arguments: delta,
                    ..CallPiece::default()
                };
                self.calls.piece(piece, events)?;
            }
            Said::Other { .. } => {}
        }
        Ok(())
    }

    /// An item is whole: what its pieces lacked is added.
    pub(super) fn end(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let item = read::<Item<'_>>(Some(raw));
        let kind = Kind::of_item(item.kind.0.as_deref().unwrap_or_default());
        let id = item.id.0.as_deref().filter(|id| !id.is_empty());
        let at = match self.find(kind, index, id) {
            Some(at) => at,
            None => self.push(index, id, kind)?,
        };
        let Some(slot) = self.list.get_mut(at).filter(|slot| !slot.done) else {
            return Ok(());
        };
        slot.done = true;
        if let Some(id) = id {
            slot.id = Some(id.to_owned());
        }
        match &mut slot.said {
            Said::Message { text, refusal } => {
                let (mut whole, mut refused) = (String::new(), String::new());
                for piece in pieces(item.content) {
                    whole.push_str(piece.text.0.as_deref().unwrap_or_default());
                    refused.push_str(piece.refusal.0.as_deref().unwrap_or_default());
                }
                complete(text, &whole, events, ChatEvent::Text);
                complete(refusal, &refused, events, ChatEvent::Refusal);
            }
            Said::Reasoning {
                text, signature, ..
            } => {
                let mut whole = String::new();
                for piece in pieces(item.summary).chain(pieces(item.content)) {
                    if let Some(thought) = piece.text.filled() {
                        if !whole.is_empty() {
                            whole.push_str(BREAK);
                        }
                        whole.push_str(&thought);
                    }
                }
                complete(text, &whole, events, ChatEvent::Reasoning);
                let proof = item.encrypted_content.filled().or(item.signature.filled());
                *signature = proof.map(|_| Signature::new(API, raw.get()));
            }
            Said::Call { signature, .. } => {
                *signature = signed_call(kind, &item);
                let arguments = match kind {
                    Kind::CustomCall => item.input.0.unwrap_or_default(),
                    _ => arguments(item.arguments)?,
                };
                let whole = CallPiece {
                    index: Some(place(at)),
                    id: item.call_id.filled(),
                    name: item.name.filled(),
                    arguments,
                    ..CallPiece::default()
                };
                self.calls.settle(whole, events)?;
            }
            Said::Other {
                kind,
                json,
                searched,
            } => {
                *searched = is_search(&item);
                *kind = item.kind.0.unwrap_or_default().into_owned();
                raw.get().clone_into(json);
            }
        }
        Ok(())
    }

    /// Whether any item came whole.
    pub(super) fn has_whole(&self) -> bool {
        self.list.iter().any(|slot| slot.done)
    }

    /// Whether this is an item that began and did not end.
    pub(super) fn is_open(&self, index: u64, raw: &RawValue) -> bool {
        let item = read::<Item<'_>>(Some(raw));
        let kind = Kind::of_item(item.kind.0.as_deref().unwrap_or_default());
        let at = self.find(kind, Some(index), item.id.0.as_deref());
        at.and_then(|at| self.list.get(at))
            .is_some_and(|slot| !slot.done)
    }

    /// How often the web was searched, as far as the items tell.
    pub(super) fn searches(&self) -> u64 {
        let searched = |slot: &&Slot| matches!(slot.said, Said::Other { searched: true, .. });
        self.list.iter().filter(searched).count() as u64
    }

    /// Everything, in order.
    pub(super) fn finish(mut self, events: &mut Events) -> Result<Vec<Part>, ModelError> {
        let calls = std::mem::replace(&mut self.calls, Calls::new(0)).finish(events)?;
        Ok(self.parts(calls))
    }

    /// Everything but the calls.
    pub(super) fn said(self) -> Vec<Part> {
        self.parts(Vec::new())
    }

    fn parts(self, calls: Vec<Part>) -> Vec<Part> {
        let mut calls: Vec<_> = calls.into_iter().map(Some).collect();
        let mut parts = Vec::with_capacity(self.list.len());
        for Slot { id, said, .. } in self.list {
            match said {
                Said::Message { text, refusal } => {
                    if !text.is_empty() {
                        parts.push(Part::Text(text.into()));
                    }
                    if !refusal.is_empty() {
                        parts.push(Part::Refusal(refusal.into()));
                    }
                }
                Said::Reasoning {
                    text, signature, ..
                } => {
                    let is_redacted = text.is_empty() && signature.is_some();
                    let mut reasoning = Reasoning::new(text).with_signature(signature);
                    reasoning.is_redacted = is_redacted;
                    reasoning.id = id;
                    parts.push(Part::Reasoning(reasoning));
                }
                Said::Call { nth, signature } => {
                    if let Some(Part::ToolCall(call)) = calls.get_mut(nth).and_then(Option::take) {
                        parts.push(Part::ToolCall(call.with_signature(signature)));
                    }
                }
                Said::Other { kind, json, .. } if !json.is_empty() => {
                    parts.push(Part::Opaque(Opaque::new(API, kind, json)));
                }
                Said::Other { .. } => {}
            }
        }
        parts
    }

    /// The item of this id, or the open one in this place of the output; the last open one where neither is told.
    fn find(&self, kind: Kind, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let find = |wanted: &dyn Fn(&Slot) -> bool| {
            let fits = |slot: &Slot| kind.is_of(&slot.said) && wanted(slot);
            self.list.iter().rposition(fits)
        };
        let id = id.filter(|id| !id.is_empty());
        id.and_then(|id| find(&|slot| slot.id.as_deref() == Some(id)))
            .or_else(|| match (index, id) {
                (Some(_), _) => find(&|slot| slot.index == index && !slot.done),
                (None, None) => find(&|slot| !slot.done),
                (None, Some(_)) => None,
            })
    }

    fn push(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        kind: Kind,
    ) -> Result<usize, ModelError> {
        let at = self.list.len();
        if at >= MAX_ITEMS {
            let message = format!("the answer has more than {MAX_ITEMS} items");
            return Err(ModelError::new(ModelErrorKind::Decode, message));
        }
        let said = match kind {
            Kind::Text | Kind::Refusal => Said::Message {
                text: String::new(),
                refusal: String::new(),
            },
            Kind::Summary | Kind::Thought => Said::Reasoning {
                text: String::new(),
                piece: (kind, 0),
                signature: None,
            },
            Kind::Call | Kind::CustomCall => {
                self.begun += 1;
                Said::Call {
                    nth: self.begun - 1,
                    signature: None,
                }
            }
            Kind::Other => Said::Other {
                kind: String::new(),
                json: String::new(),
                searched: false,
            },
        };
        self.list.push(Slot {
            index,
            id: id.map(str::to_owned),
            done: false,
            said,
        });
        Ok(at)
    }
}

/// What a call must be sent back with, besides what every call has.
fn signed_call(kind: Kind, item: &Item<'_>) -> Option<Signature> {
    let namespace = item.namespace.0.as_deref();
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    let signature = super::input::CallSignature {
        custom: kind == Kind::CustomCall,
        namespace: namespace.map(Cow::Borrowed),
    };
    signature.write()
}

/// Whether it is a search of the web, and not the reading of a page.
fn is_search(item: &Item<'_>) -> bool {
    let action = read::<Action<'_>>(item.action).kind.0;
    item.kind.0.as_deref() == Some("web_search_call")
        && action.is_none_or(|action| action == "search")
}

/// The index by which a call's pieces are told apart.
fn place(at: usize) -> u64 {
    at as u64
}

/// Adds what the pieces lacked. Where they said something else, they stand: they were handed out.
fn complete(
    known: &mut String,
    whole: &str,
    events: &mut Events,
    event: impl FnOnce(String) -> ChatEvent,
) {
    if let Some(rest) = whole.strip_prefix(known.as_str())
        && !rest.is_empty()
    {
        add(known, rest.into(), events, event);
    }
}
