//! Keeping a run while it goes on: its lease, and its ear to its inbox.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Journal, LEASE, Notice, Question, Verdict, inbox, lock};
use crate::store::{StoreError, StoreErrorKind};

/// How often the inbox is looked into.
const LISTEN: Duration = Duration::from_millis(500);

/// Gives a run back when it is over, however it ends.
pub(crate) struct GiveBack<'a>(pub(crate) &'a Journal);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Journal {
    /// Renews the lease and listens to the inbox, for as long as it is polled. It ends only when the run is lost to another
    /// process.
    pub(crate) async fn keep(&self, pausing: &CancellationToken) -> StoreError {
        let mut renewed = Instant::now();
        loop {
            sleep(LISTEN).await;
            if renewed.elapsed() >= LEASE / 3 {
                renewed = Instant::now();
                let lease = lock(&self.lease).clone();
                match self.store.renew(&lease, LEASE).await {
                    Ok(lease) => *lock(&self.lease) = lease,
                    Err(error) if error.kind() == StoreErrorKind::Fenced => return error,
                    // Whether the store can be written is for the next record to find out.
                    Err(_) => {}
                }
            }
            self.listen(pausing).await;
        }
    }

    async fn listen(&self, pausing: &CancellationToken) {
        let seen = lock(&self.inbox).version;
        let Ok((version, notices)) = inbox::read(&*self.store, &self.log, seen).await else {
            return;
        };
        if version == seen {
            return;
        }
        let mut inbox = lock(&self.inbox);
        inbox.version = version;
        for notice in notices {
            match notice {
                Notice::Interrupt => pausing.cancel(),
                answer @ Notice::Answer { .. } => inbox.answers.push(answer),
            }
        }
        drop(inbox);
        self.news.notify_waiters();
    }

    /// What was answered to a question, if anything was; the first answer counts.
    fn answered(&self, question: &Question) -> Option<Verdict> {
        let inbox = lock(&self.inbox);
        let answer = inbox.answers.iter().find(|it| it.answers(question))?;
        match answer {
            Notice::Answer { verdict, .. } => Some(verdict.clone()),
            Notice::Interrupt => None,
        }
    }

    /// Waits until a question was answered.
    pub(crate) async fn answer(&self, question: &Question) -> Verdict {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(verdict) = self.answered(question) {
                return verdict;
            }
            news.await;
        }
    }
}
