//! A run whose outcomes are kept.

use std::sync::Arc;

use serde_json::Value;

use super::{Within, error::Cause};
use crate::{
    agent::Settings,
    journal::{Journal, Summary, excerpt},
    message::{Conversation, Message, Role},
    operation::{RunContext, RunId},
    session::SessionVersion,
    store::{Store, StoreError, StoreErrorKind},
};

/// Where the outcomes of a run are to be kept, or are kept already.
pub(crate) struct Durable {
    pub(crate) store: Arc<dyn Store>,
    /// The run, where it began in an earlier life.
    pub(crate) goes_on: Option<RunId>,
    /// The version of the session that has the conversation, where one has it.
    pub(crate) session: Option<SessionVersion>,
    /// What the application wants to find again.
    pub(crate) application: Value,
}

impl Durable {
    /// Opens the journal of the context's run.
    async fn open(
        self,
        context: &RunContext,
        settings: &Settings,
        conversation: &Conversation,
    ) -> Result<Arc<Journal>, StoreError> {
        let run = context.run_id();
        if let Some(resumed) = self.goes_on {
            if resumed != *run {
                return Err(StoreError::new(
                    StoreErrorKind::InvalidId,
                    format!(
                        "run {resumed} cannot be resumed in the context of run {run}: build the context with the resumed run's id"
                    ),
                ));
            }
            return Journal::reopen(self.store, run).await.map(Arc::new);
        }
        let asked = conversation
            .messages()
            .iter()
            .rfind(|message| message.role == Role::User);
        let model = settings.model.info();
        let labels = context.labels();
        let summary = Summary {
            agent: settings.name.clone(),
            model: format!("{}:{}", model.provider, model.model).into(),
            task: excerpt(&asked.map(Message::text).unwrap_or_default()),
            user: labels.user.clone(),
            session: labels.session.clone(),
            application: self.application,
            ..Summary::default()
        };
        Journal::begin(self.store, run, summary, self.session)
            .await
            .map(Arc::new)
    }
}

/// A run that is about to begin, with its journal where it has one.
pub(super) struct Opened {
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) context: RunContext,
    /// Why it cannot begin.
    pub(super) refused: Option<Cause>,
}

impl Opened {
    pub(super) async fn of(
        durable: Option<Durable>,
        context: RunContext,
        settings: &Settings,
        conversation: &Conversation,
    ) -> Self {
        let nothing = |context, refused| Self {
            journal: None,
            context,
            refused,
        };
        let Some(durable) = durable else {
            return nothing(context, None);
        };
        match Box::pin(durable.open(&context, settings, conversation)).await {
            Ok(journal) => Self {
                context: keep_in(context, &journal),
                journal: Some(journal),
                refused: None,
            },
            Err(error) => nothing(context, Some(Cause::Journal(error))),
        }
    }
}

/// A context whose agents keep their outcomes in this journal.
fn keep_in(context: RunContext, journal: &Arc<Journal>) -> RunContext {
    context.continue_seq(journal.before().seq);
    let control = context.within().map(|within| within.control.clone());
    context.with_within(Within::outermost(
        control.unwrap_or_default(),
        journal.clone(),
    ))
}
