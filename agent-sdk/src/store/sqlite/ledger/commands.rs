//! What is asked of the writer that is not a plain question: reservations, which go back if nobody takes them, and what must happen
//! although nobody waits for it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use tokio::sync::{mpsc::UnboundedSender, oneshot};

use crate::{
    budget::{
        Amounts,
        account::Charge,
        book::{Denied, Grant, Settled},
        shared::{Demand, Reserved, Settlement, Tell},
    },
    store::{
        StoreError,
        sqlite::{
            errors::Fault,
            logs::Logs,
            writer::{Job, Write, fault, outcome},
        },
    },
};

type Reply = oneshot::Sender<Result<Result<Granted, Denied>, StoreError>>;

/// A reservation that is asked for.
pub(super) struct Reserving {
    demand: Demand,
    writes: UnboundedSender<Job>,
    outcome: Option<Result<Reserved, Fault>>,
    reply: Reply,
}

impl Reserving {
    pub(super) fn new(demand: Demand, writes: UnboundedSender<Job>, reply: Reply) -> Self {
        Self {
            demand,
            writes,
            outcome: None,
            reply,
        }
    }
}

impl Write for Reserving {
    fn is_durable(&self) -> bool {
        true
    }

    fn frees(&self) -> bool {
        false
    }

    fn apply(&mut self, logs: &mut Logs<'_>) -> bool {
        let outcome = logs.reserve(&self.demand);
        let worked = outcome.is_ok();
        self.outcome = Some(outcome);
        worked
    }

    fn fault(&mut self) -> Option<rusqlite::Error> {
        fault(&mut self.outcome)
    }

    fn answer(
        self: Box<Self>,
        db: &Path,
        failed: Option<&rusqlite::Error>,
    ) -> Option<Box<dyn Write>> {
        let Self {
            demand,
            writes,
            outcome: came,
            reply,
        } = *self;
        let answer = outcome(db, None, came, failed);
        let answer = answer.map(|granted| {
            granted.map(|granted| Granted {
                given: Some(granted),
                demand,
                writes,
            })
        });
        // Where nobody waits any more, it goes back as it is dropped.
        drop(reply.send(answer));
        None
    }
}

/// A reservation that is on disk and that nobody has taken yet. Dropped, it goes back.
pub(super) struct Granted {
    given: Option<(u64, Grant)>,
    demand: Demand,
    writes: UnboundedSender<Job>,
}

impl Granted {
    pub(super) fn take(mut self) -> (u64, Grant) {
        let nothing = Grant::default();
        self.given.take().unwrap_or((0, nothing))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let Some((number, grant)) = self.given.take() else {
            return;
        };
        let settlement = Settlement {
            reservation: Some(number),
            posts: std::mem::take(&mut self.demand.posts),
            admitted: grant.admitted,
            charge: Charge {
                held: self.demand.ask,
                used: Amounts::ZERO,
            },
            now: self.demand.now,
        };
        let command = Box::new(Duty::settle(settlement, Box::new(drop)));
        // If the writer is gone, whoever opens the ledger next finds it.
        drop(self.writes.send(Job {
            command,
            place: None,
        }));
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Granted").field(&self.given).finish()
    }
}

/// What is done inside of a transaction, or again in another.
type Work<T> = dyn FnMut(&mut Logs<'_>) -> Result<T, Fault> + Send;

/// Something that must happen, with the next transaction that works; nobody waits for it.
pub(super) struct Duty<T> {
    work: Box<Work<T>>,
    outcome: Option<Result<T, Fault>>,
    is_durable: bool,
    /// Told once it is done.
    tell: Box<dyn FnOnce(T) + Send>,
}

impl Duty<Settled> {
    pub(super) fn settle(settlement: Settlement, tell: Tell) -> Self {
        Self {
            work: Box::new(move |logs| logs.settle(&settlement)),
            outcome: None,
            is_durable: true,
            tell,
        }
    }
}

impl Duty<()> {
    pub(super) fn delivered(alerts: Vec<Arc<str>>) -> Self {
        Self {
            work: Box::new(move |logs| Ok(super::rows::forget_alerts(logs.conn, &alerts)?)),
            outcome: None,
            is_durable: false,
            tell: Box::new(|()| ()),
        }
    }
}

impl<T: Send + 'static> Write for Duty<T> {
    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn frees(&self) -> bool {
        false
    }

    fn apply(&mut self, logs: &mut Logs<'_>) -> bool {
        let outcome = (self.work)(logs);
        let worked = outcome.is_ok();
        self.outcome = Some(outcome);
        worked
    }

    fn fault(&mut self) -> Option<rusqlite::Error> {
        fault(&mut self.outcome)
    }

    fn answer(
        mut self: Box<Self>,
        db: &Path,
        failed: Option<&rusqlite::Error>,
    ) -> Option<Box<dyn Write>> {
        match outcome(db, None, self.outcome.take(), failed) {
            Ok(done) => {
                let tell = self.tell;
                // Those who are told are not the store's, and it goes on without them.
                if catch_unwind(AssertUnwindSafe(|| tell(done))).is_err() {
                    tracing::error!(target: "agent_sdk::budget", "somebody panicked who was told how a budget stands");
                }
                None
            }
            Err(error) if error.kind().is_retryable() => {
                tracing::debug!(target: "agent_sdk::budget", %error, "it is tried again with the next");
                Some(self)
            }
            Err(error) => {
                tracing::error!(target: "agent_sdk::budget", %error, "something stays put aside that is over");
                None
            }
        }
    }
}
