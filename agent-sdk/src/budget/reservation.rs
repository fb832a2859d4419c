//! What is put aside, until it is known what it came to.

use jiff::Timestamp;

use super::{
    Amounts, Ledger,
    account::Charge,
    book::{Grant, Post},
};
use crate::operation::RunContext;

/// So much is put aside for something, made by [`Ledger::reserve`].
///
/// Dropped before [`begin`](Self::begin), it puts everything back; dropped after, all of it is charged, because nobody knows what it
/// came to.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is put back"]
pub struct Reservation {
    ledger: Ledger,
    context: RunContext,
    posts: Vec<Post>,
    admitted: Vec<Timestamp>,
    held: Amounts,
    number: Option<u64>,
    has_begun: bool,
    is_settled: bool,
}

impl Reservation {
    pub(super) fn new(
        ledger: &Ledger,
        context: &RunContext,
        posts: Vec<Post>,
        held: Amounts,
        number: Option<u64>,
        grant: Grant,
    ) -> Self {
        if let Some(standing) = &grant.tightest {
            context.stands(standing);
        }
        Self {
            ledger: ledger.clone(),
            context: context.clone(),
            posts,
            admitted: grant.admitted,
            held,
            number,
            has_begun: false,
            is_settled: false,
        }
    }

    /// What is put aside.
    pub fn held(&self) -> Amounts {
        self.held
    }

    /// What it is for is done from now on: if nothing more is heard of it, all of it is charged.
    pub fn begin(&mut self) {
        self.has_begun = true;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Charges what it came to, and puts the rest back. What is more than was put aside is owed.
    pub fn settle(mut self, used: Amounts) {
        self.end(used);
    }

    /// Puts everything back.
    pub fn release(mut self) {
        self.end(Amounts::ZERO);
    }

    fn end(&mut self, used: Amounts) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let (posts, admitted) = (
            std::mem::take(&mut self.posts),
            std::mem::take(&mut self.admitted),
        );
        let charge = Charge {
            held: self.held,
            used,
        };
        self.ledger
            .settle(&self.context, self.number, posts, admitted, charge);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let used = if self.has_begun {
            self.held
        } else {
            Amounts::ZERO
        };
        self.end(used);
    }
}
