//! The runs of a store, for everybody but the process that runs them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Line, Notice, Question, RUNNING, Record, StoredEvent, Verdict, events, inbox};
use crate::{
    message::Content,
    operation::{RunId, Totals},
    store::{Head, Holder, LogId, LogKind, Query, Store, StoreError, StoreErrorKind},
};

/// How much of a task and of an answer stands in a summary, in bytes.
const EXCERPT_BYTES: usize = 240;

/// What is at hand of a run without reading its journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Summary {
    /// The outermost agent.
    pub agent: Arc<str>,
    /// Its model, as `provider:model`.
    pub model: Arc<str>,
    /// The beginning of what was asked.
    pub task: Content,
    /// The user on whose behalf it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The session it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// What the application wants to find again, such as what the agent is to be made of.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub application: Value,
    /// What all lives came to, as of the last that ended in an orderly way.
    pub totals: Totals,
    /// The class of the failure, where the last life ended in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Content>,
}

impl Summary {
    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(crate) fn from_value(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    pub(crate) fn ended(&self, totals: Totals, error: Option<String>, words: &str) -> Self {
        Self {
            totals,
            error,
            answer: Some(excerpt(words)).filter(|words| !words.is_empty()),
            ..self.clone()
        }
    }
}

/// The beginning of a text.
pub(crate) fn excerpt(text: &str) -> Content {
    let text = text.trim();
    if text.len() <= EXCERPT_BYTES {
        return text.into();
    }
    let end = text.floor_char_boundary(EXCERPT_BYTES);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// A run of a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredRun {
    /// Its id.
    pub id: RunId,
    /// How it stands: `running`, `paused`, or how it ended (`ok`, `error`, `cancelled`, `timeout`, `budget`, `limit`).
    pub status: Arc<str>,
    /// When it began.
    pub created: Timestamp,
    /// When its last record was kept.
    pub updated: Timestamp,
    /// How many records it has.
    pub records: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// The process that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// What is at hand of it.
    #[serde(flatten)]
    pub summary: Summary,
}

impl StoredRun {
    fn of(head: Head) -> Self {
        Self {
            id: RunId::from(head.log.id()),
            status: head.status,
            created: head.created,
            updated: head.updated,
            records: head.version,
            bytes: head.bytes,
            holder: head.holder,
            summary: Summary::from_value(&head.about),
        }
    }

    /// Whether no process has it although it did not end: it was killed. It can be resumed.
    pub fn was_interrupted(&self, now: Timestamp) -> bool {
        let is_held = self.holder.as_ref().is_some_and(|it| it.until > now);
        &*self.status == RUNNING && !is_held
    }
}

/// A record of a run, as it was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its number, from 1.
    pub version: u64,
    /// When it was kept.
    pub at: Timestamp,
    /// The agent it is of: empty for the outermost, `TURN/CALL` for one inside a call, and so on inwards.
    pub path: Arc<str>,
    /// What happened.
    pub record: Record,
    /// What all lives came to by then.
    pub totals: Totals,
}

/// The runs of a store, for everybody but the process that runs them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runs {
    store: Arc<dyn Store>,
}

impl Runs {
    /// The runs of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The runs that changed last, at most so many, newest first; of one user, if one is named.
    pub async fn list(
        &self,
        user: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRun>, StoreError> {
        let mut query = Query::of(LogKind::Run).limit(limit);
        if let Some(user) = user {
            query = query.owner(user);
        }
        let heads = self.store.list(query).await?;
        Ok(heads.into_iter().map(StoredRun::of).collect())
    }

    /// One run.
    pub async fn get(&self, id: &str) -> Result<StoredRun, StoreError> {
        let log = LogId::new(LogKind::Run, id)?;
        let head = self.store.head(&log).await?;
        head.map(StoredRun::of)
            .ok_or_else(|| StoreError::not_found(&log))
    }

    /// What happened in a run, oldest first.
    pub async fn records(&self, id: &str) -> Result<Vec<StoredRecord>, StoreError> {
        let log = LogId::new(LogKind::Run, id)?;
        let entries = self.store.read(&log, 0, usize::MAX).await?;
        let mut totals = Totals::default();
        let records = entries.into_iter().map(|entry| {
            let line = Line::read(&log, &entry)?;
            totals.add(&line.spent);
            Ok(StoredRecord {
                version: entry.version,
                at: entry.at,
                path: entry.path,
                record: line.record,
                totals,
            })
        });
        records.collect()
    }

    /// The events of a run after a number, oldest first, at most so many: those that an [`EventKeeper`](super::EventKeeper) kept.
    /// Beginning with the number of the last one gives the ones that follow.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotFound`] where there is neither such a run nor an event of it.
    pub async fn events(
        &self,
        id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let log = LogId::new(LogKind::Events, id)?;
        let kept = events::read(&*self.store, &log, after, limit).await?;
        if kept.is_empty() && self.store.head(&log).await?.is_none() {
            self.get(id).await?;
        }
        Ok(kept)
    }

    /// The questions that a run waits to have answered.
    pub async fn questions(&self, id: &str) -> Result<Vec<Question>, StoreError> {
        let log = LogId::new(LogKind::Run, id)?;
        // By the agent and the place of its call, or by the plan and the place of its step or try.
        let mut open: Vec<(Arc<str>, Arc<str>, Question)> = Vec::new();
        // The steps of plans that were asked about, and where.
        let mut steps: Vec<(Arc<str>, Arc<str>, Arc<str>)> = Vec::new();
        for StoredRecord { path, record, .. } in self.records(id).await? {
            let given_up = match &record {
                Record::PlanChanged { change, .. } => change.step(),
                Record::StepTimedOut { step, .. } => Some(step),
                _ => None,
            };
            if let Some(step) = given_up {
                // What is asked about it anew is asked in a place of its own.
                let of_it = steps.extract_if(.., |(at, it, _)| (&*at, &*it) == (&path, step));
                let places: Vec<Arc<str>> = of_it.map(|(_, _, place)| place).collect();
                open.retain(|(at, place, _)| *at != path || !places.contains(place));
                continue;
            }
            let (asked, question) = match record {
                Record::ApprovalRequested { place, question } => {
                    (place.to_string().into(), Some(question))
                }
                Record::ApprovalGiven { place, .. } | Record::ToolReturned { place, .. } => {
                    (place.to_string().into(), None)
                }
                Record::StepAsked { step, question, .. } => {
                    let place = question.path.clone();
                    steps.push((path.clone(), step, place.clone()));
                    (place, Some(question))
                }
                Record::StepDecided { path: place, .. } => (place, None),
                _ => continue,
            };
            open.retain(|(at, it, _)| (at, it) != (&path, &asked));
            open.extend(question.map(|question| (path, asked, question)));
        }
        let (_, notices) = inbox::read(&*self.store, &log, 0).await?;
        open.retain(|(_, _, question)| !notices.iter().any(|notice| notice.answers(question)));
        Ok(open.into_iter().map(|(_, _, question)| question).collect())
    }

    /// Answers a question of a run, named by the call's id or, where two calls have the same, by its path. The first answer
    /// counts. The run takes it at once while the asking agent is under way, and when it is resumed if it is not.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotFound`] where there is no such run or no such question, [`StoreErrorKind::Conflict`] where two
    /// calls are meant.
    pub async fn answer(
        &self,
        id: &str,
        call: &str,
        verdict: Verdict,
    ) -> Result<Question, StoreError> {
        let log = LogId::new(LogKind::Run, id)?;
        let open = self.questions(id).await?;
        let is_meant =
            |question: &&Question| question.call_id.as_str() == call || &*question.path == call;
        let mut meant = open.iter().filter(is_meant);
        let question = match (meant.next(), meant.next()) {
            (Some(question), None) => question.clone(),
            (None, _) => {
                let known: Vec<&str> = open.iter().map(|it| it.call_id.as_str()).collect();
                let known = if known.is_empty() {
                    "it asks nothing".to_owned()
                } else {
                    format!("it asks about {}", known.join(", "))
                };
                return Err(StoreError::new(
                    StoreErrorKind::NotFound,
                    format!("{log} does not ask about a call `{call}`: {known}"),
                ));
            }
            (Some(one), Some(other)) => {
                return Err(StoreError::new(
                    StoreErrorKind::Conflict,
                    format!(
                        "{log} asks about two calls `{call}`: name one by its path, such as `{}` or `{}`",
                        one.path, other.path
                    ),
                ));
            }
        };
        let notice = Notice::Answer {
            path: question.path.to_string(),
            number: question.number,
            verdict,
        };
        inbox::leave(&*self.store, &log, &notice).await?;
        Ok(question)
    }

    /// Asks a run that is under way to pause as soon as what it has begun is over. A run that no process has is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotFound`].
    pub async fn interrupt(&self, id: &str) -> Result<StoredRun, StoreError> {
        let run = self.get(id).await?;
        if &*run.status == RUNNING || run.holder.is_some() {
            let log = LogId::new(LogKind::Run, id)?;
            inbox::leave(&*self.store, &log, &Notice::Interrupt).await?;
        }
        Ok(run)
    }

    /// Removes a run and everything about it; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Held`] where a process has it.
    pub async fn delete(&self, id: &str) -> Result<(), StoreError> {
        let log = LogId::new(LogKind::Run, id)?;
        self.store.delete(&log).await?;
        self.store.delete(&log.of_kind(LogKind::Inbox)).await?;
        self.store.delete(&log.of_kind(LogKind::Events)).await
    }

    /// Removes the runs that did not change since a time and that no process has, with everything about them; answers with
    /// their ids.
    pub async fn cleanup(&self, before: Timestamp) -> Result<Vec<RunId>, StoreError> {
        let removed = self.store.cleanup(LogKind::Run, before).await?;
        for run in &removed {
            self.store.delete(&run.of_kind(LogKind::Inbox)).await?;
            self.store.delete(&run.of_kind(LogKind::Events)).await?;
        }
        Ok(removed.iter().map(|run| RunId::from(run.id())).collect())
    }

    /// A run with all that happened in it, as one JSON document; `docs/run-format.md` says what is in it. It holds what was said.
    pub async fn export(&self, id: &str) -> Result<Value, StoreError> {
        Ok(json!({
            "format": "agent-sdk/run",
            "version": super::VERSION,
            "run": self.get(id).await?,
            "records": self.records(id).await?,
            "events": self.events(id, 0, usize::MAX).await?,
        }))
    }
}
