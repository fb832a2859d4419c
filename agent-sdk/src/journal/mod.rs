//! What must survive: the outcomes of a run, in order.
//!
//! The driver commits each [`Record`] here before the machine applies it. Folding a run's records into a new machine gives the
//! machine as it was, without asking a model or running a tool again; that is how a run goes on after a crash.
//!
//! A journal is a run's log in a [`Store`], leased by the one process that runs it. [`Runs`] is how everybody else
//! sees the runs of a store: it lists them, reads them, answers their questions and asks them to stop.
//!
//! The lease is for 30 seconds and is renewed by the run itself, while it is polled. A process that is held up for longer, by a
//! tool that blocks its thread or a stream that nobody reads, keeps the run as long as nobody else takes it up; if somebody does,
//! what it tries to keep next is refused and it ends with [`RunErrorKind::Journal`](crate::run::RunErrorKind::Journal).

mod definition;
mod events;
mod inbox;
mod keep;
mod question;
mod record;
mod runs;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;

pub use definition::Definition;
pub use events::{EventKeeper, StoredEvent};
pub(crate) use inbox::Notice;
pub(crate) use keep::GiveBack;
pub use question::{Approver, Question, QuestionKind};
pub use record::{Answered, Record, StepTask, VERSION, Verdict};
pub(crate) use record::{Line, newer};
pub(crate) use runs::excerpt;
pub use runs::{Runs, StoredRecord, StoredRun, Summary};

use crate::{
    message::Conversation,
    operation::{Meter, Outcome, RunId, Totals, TraceContext},
    session::SessionVersion,
    store::{Append, Lease, LogId, LogKind, NewEntry, NewLog, Store, StoreError, StoreErrorKind},
};

/// For how long a run is leased; it is renewed three times in that.
const LEASE: Duration = Duration::from_secs(30);

/// The journal of one run, open for writing by this process.
///
/// Dropping it gives the run back, so that another process may take it up at once.
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    log: LogId,
    lease: Mutex<Lease>,
    /// The records of earlier lives, by path, until the agent they are of takes them.
    earlier: Mutex<HashMap<Arc<str>, Vec<Record>>>,
    before: Before,
    inbox: Mutex<Inbox>,
    news: Notify,
    meter: OnceLock<Meter>,
    /// What the records of this life took to come to, by the path of their agent.
    kept: Mutex<BTreeMap<Arc<str>, Totals>>,
    /// That this life began, until it is kept.
    opening: Mutex<Option<Record>>,
    summary: Summary,
    session: Option<SessionVersion>,
}

/// What earlier lives of a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// How many there were.
    pub(crate) lives: u32,
    /// What they used, cost and counted.
    pub(crate) totals: Totals,
    /// How long they took, all together.
    pub(crate) duration: Duration,
    /// The agent's operation in the last of them.
    pub(crate) trace: Option<TraceContext>,
    /// The number of their last event.
    pub(crate) seq: u64,
}

#[derive(Default)]
struct Inbox {
    version: u64,
    answers: Vec<Notice>,
}

impl Journal {
    /// Begins the journal of a new run.
    pub(crate) async fn begin(
        store: Arc<dyn Store>,
        run: &RunId,
        summary: Summary,
        session: Option<SessionVersion>,
    ) -> Result<Self, StoreError> {
        let log = LogId::new(LogKind::Run, run.as_str())?;
        let new = NewLog::new(log.clone())
            .owner(summary.user.clone())
            .status(RUNNING)
            .about(summary.to_value());
        store.create(new).await?;
        let lease = store.lease(&log, &me(), LEASE).await?;
        let mut journal = Self::of(store, log, lease, summary);
        journal.session = session;
        Ok(journal)
    }

    /// Takes up the journal of a run that began before.
    pub(crate) async fn reopen(store: Arc<dyn Store>, run: &RunId) -> Result<Self, StoreError> {
        let log = LogId::new(LogKind::Run, run.as_str())?;
        let lease = store.lease(&log, &me(), LEASE).await?;
        // From here on the lease is given back, whatever goes wrong.
        let mut journal = Self::of(store, log, lease, Summary::default());
        let head = journal.store.head(&journal.log).await?;
        let head = head.ok_or_else(|| StoreError::not_found(&journal.log))?;
        journal.summary = Summary::from_value(&head.about);
        let entries = journal.store.read(&journal.log, 0, usize::MAX).await?;
        let mut earlier: HashMap<Arc<str>, Vec<Record>> = HashMap::new();
        let mut life: Option<(Timestamp, Timestamp)> = None;
        for entry in entries {
            let kept = Line::read(&journal.log, &entry)?;
            match &kept.record {
                Record::Started { version, .. } | Record::PlanStarted { version, .. }
                    if *version > VERSION =>
                {
                    return Err(newer(&journal.log, u64::from(*version)));
                }
                _ => {}
            }
            let before = &mut journal.before;
            before.totals.add(&kept.spent);
            before.seq = before.seq.max(kept.seq);
            if let Record::LifeBegan { traceparent, .. } = &kept.record {
                before.lives += 1;
                before.trace = traceparent.parse().ok();
                before.duration += life.take().map(between).unwrap_or_default();
                life = Some((entry.at, entry.at));
            } else {
                life = life.map(|(from, _)| (from, entry.at));
                earlier.entry(entry.path).or_default().push(kept.record);
            }
        }
        journal.before.duration += life.map(between).unwrap_or_default();
        if let Some(Record::Started {
            conversation,
            session: Some(session),
            ..
        }) = earlier.get_mut("").and_then(|records| records.first_mut())
        {
            *conversation = session.conversation(&journal.store).await?;
        }
        journal.earlier = Mutex::new(earlier);
        // What happened after the last record of a life that was killed has a number too.
        let events = journal.log.of_kind(LogKind::Events);
        let kept = events::last_seq(&*journal.store, &events).await;
        journal.before.seq = journal.before.seq.max(kept.unwrap_or_default());
        if !journal.has_begun() {
            return Err(StoreError::new(
                StoreErrorKind::NotFound,
                format!(
                    "{} was stopped before what it was asked was kept, so nothing was done: run the agent again",
                    journal.log
                ),
            ));
        }
        let (version, mut answers) = inbox::read(&*journal.store, &journal.log, 0).await?;
        // A wish to stop was for the life that it was said to.
        answers.retain(|notice| *notice != Notice::Interrupt);
        journal.inbox = Mutex::new(Inbox { version, answers });
        Ok(journal)
    }

    fn of(store: Arc<dyn Store>, log: LogId, lease: Lease, summary: Summary) -> Self {
        Self {
            store,
            log,
            lease: Mutex::new(lease),
            earlier: Mutex::default(),
            before: Before::default(),
            inbox: Mutex::default(),
            news: Notify::new(),
            meter: OnceLock::new(),
            kept: Mutex::default(),
            opening: Mutex::default(),
            summary,
            session: None,
        }
    }

    /// What earlier lives came to.
    pub(crate) fn before(&self) -> &Before {
        &self.before
    }

    /// What the outermost agent was asked, where the run began in an earlier life.
    pub(crate) fn asked(&self) -> Option<Conversation> {
        match lock(&self.earlier).get("")?.first()? {
            Record::Started { conversation, .. } => Some(conversation.clone()),
            _ => None,
        }
    }

    /// Whether the outermost agent or plan began in an earlier life.
    fn has_begun(&self) -> bool {
        let earlier = lock(&self.earlier);
        let first = earlier.get("").and_then(|records| records.first());
        matches!(
            first,
            Some(Record::Started { .. } | Record::PlanStarted { .. })
        )
    }

    /// Whether the run is a plan's.
    pub(crate) fn is_plan(&self) -> bool {
        let earlier = lock(&self.earlier);
        let first = earlier.get("").and_then(|records| records.first());
        matches!(first, Some(Record::PlanStarted { .. }))
    }

    /// The version of the session that has what the outermost agent was asked.
    pub(crate) fn session(&self) -> Option<&SessionVersion> {
        self.session.as_ref()
    }

    /// Whose run it is, and of which session.
    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The records of an agent's earlier lives; they are given once.
    pub(crate) fn take_earlier(&self, path: &str) -> Vec<Record> {
        lock(&self.earlier).remove(path).unwrap_or_default()
    }

    /// Begins a life, of which `meter` shows the sums. That it began is kept together with its first record, so a life in which
    /// nothing happened leaves no trace.
    pub(crate) fn begin_life(&self, meter: Meter, trace: TraceContext, ask_before: &[Arc<str>]) {
        let _ = self.meter.set(meter);
        *lock(&self.opening) = Some(Record::LifeBegan {
            traceparent: trace.traceparent(),
            ask_before: ask_before.to_vec(),
        });
    }

    /// Whether anything was kept in this life.
    pub(crate) fn has_begun_life(&self) -> bool {
        lock(&self.opening).is_none()
    }

    /// Keeps records of an agent, all of them or none, and what it took to come to them.
    pub(crate) async fn commit(
        &self,
        path: &str,
        records: &[Record],
        spent: Totals,
    ) -> Result<(), StoreError> {
        let first = std::iter::once(spent).chain(std::iter::repeat_with(Totals::default));
        let records: Vec<_> = records.iter().zip(first).collect();
        self.append(path, &records, |append| append).await
    }

    /// The same with what it took to come to each of them.
    pub(crate) async fn commit_each(
        &self,
        path: &str,
        records: &[(Record, Totals)],
    ) -> Result<(), StoreError> {
        let records = records.iter().map(|(record, spent)| (record, *spent));
        let records: Vec<_> = records.collect();
        self.append(path, &records, |append| append).await
    }

    /// What the records of this life took to come to, of the agents inside a call.
    pub(crate) fn kept_inside(&self, call_path: &str) -> Totals {
        let mut sum = Totals::default();
        for (path, spent) in
            lock(&self.kept).range::<str, _>((Bound::Included(call_path), Bound::Unbounded))
        {
            match path.strip_prefix(call_path) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => sum.add(spent),
                Some(_) => {}
                None => break,
            }
        }
        sum
    }

    /// Ends a life and gives the run back.
    pub(crate) async fn end_life(
        &self,
        outcome: Outcome,
        error: Option<String>,
        words: &str,
    ) -> Result<(), StoreError> {
        let summary = self.summary.ended(self.totals(), error.clone(), words);
        let record = Record::Stopped { outcome, error };
        let ended = |append: Append| append.status(outcome.as_str()).about(summary.to_value());
        // With what was done and not kept: a life that ends in an orderly way knows of it.
        let spent = self.meter.get().map(Meter::totals).unwrap_or_default();
        let spent = spent.since(&self.kept());
        self.append("", &[(&record, spent)], ended).await?;
        let lease = lock(&self.lease).clone();
        self.store.release(&lease).await
    }

    /// Gives the run back, so that another process may take it up at once; nothing more can be written to it from here.
    fn give_back(&self) {
        let lease = lock(&self.lease).clone();
        // The store takes the wish with the first poll; nobody is here to wait for what comes of it, and where it is lost the
        // lease runs out by itself.
        let _ = self.store.release(&lease).now_or_never();
    }

    fn kept(&self) -> Totals {
        let mut sum = Totals::default();
        lock(&self.kept).values().for_each(|spent| sum.add(spent));
        sum
    }

    /// What all lives came to so far.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.before.totals;
        if let Some(meter) = self.meter.get() {
            totals.add(&meter.totals());
        }
        totals
    }

    async fn append(
        &self,
        path: &str,
        records: &[(&Record, Totals)],
        change: impl FnOnce(Append) -> Append,
    ) -> Result<(), StoreError> {
        let path: Arc<str> = path.into();
        let own = |mut spent: Totals| {
            if !path.is_empty() {
                // Own calls are those of the outermost agent.
                (spent.own_model_calls, spent.own_tool_calls) = (0, 0);
            }
            spent
        };
        let records = records.iter().map(|(record, spent)| (*record, own(*spent)));
        let records: Vec<_> = records.collect();
        let before = {
            let mut kept = lock(&self.kept);
            let sum = kept.entry(path.clone()).or_default();
            let before = *sum;
            // At once: an append whose future is dropped may be kept all the same.
            for (_, spent) in &records {
                sum.add(spent);
            }
            before
        };
        let opening = lock(&self.opening).take();
        let kept = match self.entries(opening.as_ref(), &path, &records) {
            Ok(entries) => {
                let mut append = Append::new(self.log.clone(), entries).under(&lock(&self.lease));
                if opening.is_some() {
                    append = append.status(RUNNING);
                }
                self.store.append(change(append)).await.map(drop)
            }
            Err(error) => Err(error),
        };
        if kept.is_err() {
            lock(&self.kept).insert(path, before);
            if opening.is_some() {
                *lock(&self.opening) = opening;
            }
        }
        kept
    }

    /// The number of the last event before a record is kept; of the last one of all for the one that ends a life.
    fn seq(&self, record: &Record) -> u64 {
        self.meter.get().map_or(0, |meter| match record {
            Record::Stopped { .. } => meter.seq_after(),
            _ => meter.seq(),
        })
    }

    fn entries(
        &self,
        opening: Option<&Record>,
        path: &Arc<str>,
        records: &[(&Record, Totals)],
    ) -> Result<Vec<NewEntry>, StoreError> {
        let root: Arc<str> = "".into();
        let opening = opening
            .into_iter()
            .map(|record| (&root, record, Totals::default()));
        let records = records
            .iter()
            .map(|(record, spent)| (path, *record, *spent));
        let entries = opening.chain(records).map(|(path, record, spent)| {
            let line = Line {
                record,
                spent,
                seq: self.seq(record),
            };
            let body = serde_json::to_vec(&line).map_err(|error| {
                StoreError::new(
                    StoreErrorKind::Io,
                    format!("a record of {} cannot be written as JSON", self.log),
                )
                .because(error)
            })?;
            Ok(NewEntry::new(path.clone(), body))
        });
        entries.collect()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// The status of a run that a process has, or had when it died.
pub(crate) const RUNNING: &str = "running";

fn me() -> String {
    let program = std::env::current_exe().ok();
    let name = program
        .as_deref()
        .and_then(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "a process".to_owned())
}

fn between((from, to): (Timestamp, Timestamp)) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
