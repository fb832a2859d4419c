//! Ends of tries on their way into the journal.
//!
//! There is one order: a plan's machine is told of ends in the order in which they were kept, so that whoever folds the journal comes
//! to the same. What ends while others are being kept is kept after them, all of it at once.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::kept;
use crate::{
    journal::{Journal, Record},
    operation::Totals,
    plan::{Ended, Task},
    store::StoreError,
};

pub(super) struct Outbox {
    journal: Option<Arc<Journal>>,
    /// The place of the plan.
    path: Arc<str>,
    waiting: Vec<(Record, Totals)>,
    /// The ends that wait, in the same order.
    ends: Vec<(Task, Ended)>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    ends: Vec<(Task, Ended)>,
    keeping: BoxFuture<'static, Result<(), StoreError>>,
}

/// A try that ended and is to be kept.
pub(super) struct End {
    pub(super) step: Arc<str>,
    pub(super) task: Task,
    pub(super) ended: Ended,
    pub(super) took: Duration,
    /// What it came to, without what was kept inside it.
    pub(super) spent: Totals,
}

impl Outbox {
    pub(super) fn new(journal: Option<Arc<Journal>>, path: Arc<str>) -> Self {
        Self {
            journal,
            path,
            waiting: Vec::new(),
            ends: Vec::new(),
            under_way: None,
        }
    }

    /// Takes an end in, of a plan that is kept.
    pub(super) fn push(&mut self, end: End) {
        let End {
            step,
            task,
            ended,
            took,
            spent,
        } = end;
        let record = kept::step_ended(step, task, &ended, took.as_secs_f64() * 1e3);
        self.waiting.push((record, spent));
        self.ends.push((task, ended));
    }

    /// Whether the end of a task is on its way.
    pub(super) fn has(&self, task: Task) -> bool {
        let under_way = self.under_way.iter().flat_map(|it| &it.ends);
        self.ends.iter().chain(under_way).any(|end| end.0 == task)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_none() && self.ends.is_empty()
    }

    /// Waits until the first of them are kept, in their order; for ever where there are none. Dropping the future loses nothing.
    pub(super) async fn kept(&mut self) -> Result<Vec<(Task, Ended)>, StoreError> {
        if self.under_way.is_none()
            && let Some(journal) = self.journal.clone().filter(|_| !self.ends.is_empty())
        {
            let (path, records) = (self.path.clone(), std::mem::take(&mut self.waiting));
            self.under_way = Some(UnderWay {
                ends: std::mem::take(&mut self.ends),
                keeping: Box::pin(async move { journal.commit_each(&path, &records).await }),
            });
        }
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let kept = under_way.keeping.as_mut().await;
        let ends = self.under_way.take().map(|it| it.ends);
        kept.map(|()| ends.unwrap_or_default())
    }
}
