//! Changing a session: one update is one record, and one append.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Session, SessionError, StateChange,
    error::Fault,
    record::{Record, RunChange, Updated},
};
use crate::{
    message::{Conversation, Message},
    model::Usage,
    operation::RunId,
};

/// Changes of a session that are kept together, in one append; made by [`Session::update`] and [`Session::finish_run`].
#[derive(Debug)]
#[must_use = "nothing is kept until `commit` is called"]
pub struct Update<'a> {
    session: &'a mut Session,
    updated: Updated,
    fault: Option<SessionError>,
}

impl Update<'_> {
    /// Adds a message.
    pub fn say(mut self, message: Message) -> Self {
        self.updated.messages.push(message);
        self
    }

    /// Adds messages.
    pub fn extend(mut self, messages: impl IntoIterator<Item = Message>) -> Self {
        self.updated.messages.extend(messages);
        self
    }

    /// Puts a value under a key of the shared state.
    pub fn set(self, key: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        self.changes([StateChange::set(key, value)])
    }

    /// Takes a key of the shared state away. One that is not there is no error.
    pub fn remove(self, key: impl Into<Arc<str>>) -> Self {
        self.changes([StateChange::removed(key)])
    }

    /// Changes the shared state, for example as a tool [did](super::SharedState::take_changes).
    pub fn changes(mut self, changes: impl IntoIterator<Item = StateChange>) -> Self {
        self.updated.changes.extend(changes);
        self
    }

    /// Sets what people call the session.
    pub fn rename(mut self, title: impl Into<Arc<str>>) -> Self {
        self.updated.title = Some(title.into());
        self
    }

    /// Sets something that the session is found by.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.updated.tags.insert(key.into(), Some(value.into()));
        self
    }

    /// Takes a tag away.
    pub fn untag(mut self, key: impl Into<Arc<str>>) -> Self {
        self.updated.tags.insert(key.into(), None);
        self
    }

    /// Tells what the last answer used, so that [`View::estimated_tokens`](super::View::estimated_tokens) need not guess: its input and its
    /// output are the conversation as it is now.
    pub fn usage(mut self, last_answer: &Usage) -> Self {
        self.updated.tokens = last_answer.total_tokens();
        self
    }

    /// Keeps it and answers with the new version. An update of nothing keeps nothing.
    ///
    /// # Errors
    ///
    /// [`Conflict`](super::SessionErrorKind::Conflict) where somebody else wrote to the session, or where something is said while a run is
    /// under way; [`Invalid`](super::SessionErrorKind::Invalid) for a key or a value that cannot be kept;
    /// [`TooLarge`](super::SessionErrorKind::TooLarge) above 32 MiB. Nothing was kept then.
    pub async fn commit(self) -> Result<u64, SessionError> {
        let Self {
            session,
            updated,
            fault,
        } = self;
        if let Some(fault) = fault {
            return Err(fault);
        }
        if !updated.messages.is_empty() && updated.run.is_none() {
            session.between_runs()?;
        }
        for (place, change) in updated.changes.iter().enumerate() {
            let at = |fault: Fault| fault.within(&format!("changes[{place}]"));
            change.check().map_err(at)?;
        }
        if updated == Updated::default() {
            return Ok(session.version());
        }
        session.commit(Record::Updated(updated)).await
    }
}

impl Session {
    /// Begins to describe changes that are kept together.
    pub fn update(&mut self) -> Update<'_> {
        Update {
            session: self,
            updated: Updated::default(),
            fault: None,
        }
    }

    /// Adds a message. See [`Update::commit`] for the errors, as for the methods below.
    pub async fn say(&mut self, message: Message) -> Result<u64, SessionError> {
        self.update().say(message).commit().await
    }

    /// Adds messages.
    pub async fn extend(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<u64, SessionError> {
        self.update().extend(messages).commit().await
    }

    /// Puts a value under a key of the shared state.
    pub async fn set(
        &mut self,
        key: impl Into<Arc<str>>,
        value: impl Into<Value>,
    ) -> Result<u64, SessionError> {
        self.update().set(key, value).commit().await
    }

    /// Takes a key of the shared state away.
    pub async fn remove(&mut self, key: impl Into<Arc<str>>) -> Result<u64, SessionError> {
        self.update().remove(key).commit().await
    }

    /// Sets what people call the session.
    pub async fn rename(&mut self, title: impl Into<Arc<str>>) -> Result<u64, SessionError> {
        self.update().rename(title).commit().await
    }

    /// Sets something that the session is found by.
    pub async fn tag(
        &mut self,
        key: impl Into<Arc<str>>,
        value: impl Into<Arc<str>>,
    ) -> Result<u64, SessionError> {
        self.update().tag(key, value).commit().await
    }

    /// Keeps that a run begins, with what it is asked. Until it finishes, nothing else is said here, and the context is not compressed.
    ///
    /// # Errors
    ///
    /// [`Conflict`](super::SessionErrorKind::Conflict) where another run is under way.
    pub async fn begin_run(&mut self, run: RunId, prompt: Message) -> Result<u64, SessionError> {
        self.between_runs()?;
        let updated = Updated {
            messages: vec![prompt],
            run: Some(RunChange::Began(run)),
            ..Updated::default()
        };
        self.commit(Record::Updated(updated)).await
    }

    /// Takes the conversation as the run that is under way left it: what is new in it is kept, and the run is no longer open. State that
    /// the run changed is added to the update, which [commits](Update::commit) all of it at once.
    ///
    /// A run that is to be resumed, because it paused, was cancelled or lost its process, is not finished: leave it open, resume it, and
    /// finish with what came of that. What a run gives back before has results in it that say a call was interrupted.
    ///
    /// Where no run is under way, what is new is kept all the same. A conversation that does not go on from the session's is refused, as
    /// [`Conflict`](super::SessionErrorKind::Conflict).
    pub fn finish_run(&mut self, conversation: Conversation) -> Update<'_> {
        let known = self.conversation().messages();
        let new = conversation.messages().strip_prefix(known);
        let fault = new.is_none().then(|| {
            SessionError::conflict(format!(
                "the conversation of {} messages does not go on from the {} of session `{}`: begin a run with the session's own conversation",
                conversation.len(),
                known.len(),
                self.id()
            ))
        });
        let updated = Updated {
            messages: new.unwrap_or_default().to_vec(),
            run: self.open_run().cloned().map(RunChange::Finished),
            ..Updated::default()
        };
        drop(conversation);
        Update {
            session: self,
            updated,
            fault,
        }
    }

    /// Gives the run that is under way up: what it was asked stays said. Without one, nothing happens.
    ///
    /// # Errors
    ///
    /// As those of [`Update::commit`].
    pub async fn abandon_run(&mut self) -> Result<u64, SessionError> {
        let mut update = self.update();
        update.updated.run = update.session.open_run().cloned().map(RunChange::Abandoned);
        update.commit().await
    }
}
