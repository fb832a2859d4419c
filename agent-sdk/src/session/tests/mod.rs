//! Sessions, over the store in memory.

mod basics;
mod compression;
mod exchange;
mod files;
mod history;
mod hostile;
mod runs;
mod state;

use std::sync::Arc;

use super::{NewSession, Session, SessionError, Sessions};
use crate::testing::{FaultyStore, StoreCounts};
use crate::{
    message::{Message, ToolCall, ToolResult},
    store::MemoryStore,
};

/// The sessions of Ann, in a store of her own.
fn sessions() -> Sessions {
    Sessions::new(Arc::new(MemoryStore::new()), "ann")
}

async fn session() -> Session {
    sessions().create(NewSession::new()).await.unwrap()
}

fn user(text: &str) -> Message {
    Message::user(text)
}

fn assistant(text: &str) -> Message {
    Message::assistant(text)
}

/// What the model says to have a tool called, and what the tool gave.
fn call(id: &str) -> [Message; 2] {
    let call = ToolCall::new(id, "search", r#"{"q":"fjord"}"#);
    let result = ToolResult::ok(&call, "found it");
    let calls = vec![crate::message::Part::ToolCall(call)];
    [
        Message::new(crate::message::Role::Assistant, calls),
        Message::tool_results([result]),
    ]
}

fn texts(session: &Session) -> Vec<String> {
    let messages = session.conversation().messages().iter();
    messages.map(Message::text).collect()
}

/// Kind and all words of an error, also of those behind it.
fn words(error: &SessionError) -> String {
    let first = format!("{:?} {:?} {error}", error.kind(), error.path());
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let causes = causes.map(ToString::to_string);
    std::iter::once(first)
        .chain(causes)
        .collect::<Vec<_>>()
        .join(" <- ")
}
