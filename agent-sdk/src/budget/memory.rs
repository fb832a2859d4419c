//! The accounts in memory: one lock, held for one decision at a time.
//!
//! What is told of them is told outside of the lock, because whoever hears it may take his time, and nevertheless in the order in
//! which it came about: it is queued inside, and one at a time empties the queue.

use std::{collections::VecDeque, slice, sync::Mutex};

use jiff::Timestamp;

use super::{
    Alert, Amounts, BudgetError, Standing,
    account::Charge,
    book::{self, Book, Denied, Grant, Post},
};
use crate::{guarded::Guarded, operation::Watching};

/// Accounts in memory.
#[derive(Debug)]
pub(crate) struct Memory<L = Mutex<Inside>>(L);

/// What the lock guards.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(super) book: Book,
    untold: VecDeque<Told>,
    is_telling: bool,
}

/// An alert, and the run whose request brought it about.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) alert: Alert,
    pub(crate) watching: Option<Watching>,
}

impl<L: Guarded<Inside>> Memory<L> {
    /// No accounts.
    pub(crate) fn new() -> Self {
        Self(L::guard(Inside::default()))
    }

    /// Reads or changes the accounts.
    pub(crate) fn with<R>(&self, decide: impl FnOnce(&mut Book) -> R) -> R {
        self.0.with(|inside| decide(&mut inside.book))
    }

    /// Puts so much aside in all accounts, or in none.
    pub(crate) fn reserve(
        &self,
        watching: Option<&Watching>,
        posts: &[Post],
        ask: &Amounts,
        is_probe: bool,
        now: Timestamp,
        tell: impl Fn(Told),
    ) -> Result<Grant, Denied> {
        let mut is_news = false;
        let granted = self.0.with(|inside| {
            let mut granted = book::reserve(&mut inside.book, posts, ask, is_probe, now)?;
            if let Err(denied) = &mut granted {
                is_news = inside.queue(watching, std::mem::take(&mut denied.alerts));
            }
            granted
        });
        if is_news {
            self.tell(tell);
        }
        granted
    }

    /// Charges what something came to in all accounts; answers with the one that is nearest to its cap.
    pub(crate) fn settle(
        &self,
        watching: Option<&Watching>,
        posts: &[Post],
        admitted: &[Timestamp],
        charge: &Charge,
        now: Timestamp,
        tell: impl Fn(Told),
    ) -> Result<Option<Standing>, BudgetError> {
        let mut is_news = false;
        let mut result = Ok(None);
        self.0.with(|inside| {
            // One by one: where there is no room for one account, the others are charged nevertheless.
            for (place, post) in posts.iter().enumerate() {
                let admitted = admitted.get(place).map_or(&[][..], slice::from_ref);
                let post = slice::from_ref(post);
                match book::settle(&mut inside.book, post, admitted, charge, now) {
                    Ok(settled) => {
                        is_news |= inside.queue(watching, settled.alerts);
                        if let (Ok(known), Some(standing)) = (&mut result, settled.tightest)
                            && known
                                .as_ref()
                                .is_none_or(|known: &Standing| known.percent < standing.percent)
                        {
                            *known = Some(standing);
                        }
                    }
                    Err(error) => result = Err(error),
                }
            }
        });
        if is_news {
            self.tell(tell);
        }
        result
    }

    /// Tells what is queued, unless somebody is at it, who will tell this too.
    fn tell(&self, tell: impl Fn(Told)) {
        while let Some(next) = self.0.with(Inside::next) {
            let telling = Telling(self);
            tell(next);
            drop(telling);
        }
    }
}

impl Inside {
    /// Whether there was anything to queue.
    fn queue(&mut self, watching: Option<&Watching>, alerts: Vec<Alert>) -> bool {
        let is_news = !alerts.is_empty();
        self.untold.extend(alerts.into_iter().map(|alert| Told {
            alert,
            watching: watching.cloned(),
        }));
        is_news
    }

    fn next(&mut self) -> Option<Told> {
        if self.is_telling {
            return None;
        }
        let next = self.untold.pop_front();
        self.is_telling = next.is_some();
        next
    }
}

/// Somebody is telling, until this is dropped.
struct Telling<'a, L: Guarded<Inside>>(&'a Memory<L>);

impl<L: Guarded<Inside>> Drop for Telling<'_, L> {
    fn drop(&mut self) {
        self.0.0.with(|inside| inside.is_telling = false);
    }
}
