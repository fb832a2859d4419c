//! What the writer does in the accounts, inside its transaction.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    accounts,
    rows::{self, Aside},
};
use crate::{
    budget::{
        Alert, Amounts, Budget, InDoubt, Standing,
        account::{Account, Charge},
        book::{self, Post, Settled, Shelf as _},
        shared::{Demand, Edit, Reserved, Settlement, Which},
    },
    store::{
        StoreErrorKind,
        sqlite::{errors::Fault, logs::Logs},
    },
};

/// The row that a holder's lock file is named by; those of logs begin at 1.
const HOLDERS: i64 = 0;

impl Logs<'_> {
    /// Puts so much aside in all accounts, or in none. That something was refused for the first time is kept too.
    pub(super) fn reserve(&mut self, demand: &Demand) -> Result<Reserved, Fault> {
        self.hold()?;
        let holder = self.books.holder;
        let mut work = self.books.accounts.begin(self.conn);
        let (posts, ask) = (&demand.posts, &demand.ask);
        let reserved = book::reserve(&mut work, posts, ask, demand.is_probe, demand.now)?;
        let reserved = match reserved {
            Ok(grant) => {
                // Also after a transaction that did not happen no number comes twice.
                self.books.last += 1;
                let number = self.books.last;
                Aside::new(demand, &grant.admitted).insert(self.conn, holder, number)?;
                Ok((number, grant))
            }
            Err(denied) => {
                for alert in &denied.alerts {
                    rows::insert_alert(self.conn, holder, alert)?;
                }
                Err(denied)
            }
        };
        work.keep();
        Ok(reserved)
    }

    /// Charges what something came to.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<Settled, Fault> {
        let Settlement {
            reservation,
            posts,
            admitted,
            charge,
            now,
        } = settlement;
        let holder = self.books.holder;
        if let Some(number) = reservation
            && !rows::remove_reservation(self.conn, holder, *number)?
        {
            // This process was taken for gone, and all of it is charged.
            let more = charge.used.minus(&charge.held);
            if more.is_zero() {
                return Ok(Settled::default());
            }
            let charge = Charge {
                held: Amounts::ZERO,
                used: more,
            };
            return self.charge(posts, &[], &charge, *now);
        }
        self.charge(posts, admitted, charge, *now)
    }

    /// Charges something, and keeps the alerts that are due until they are delivered.
    fn charge(
        &mut self,
        posts: &[Post],
        admitted: &[Timestamp],
        charge: &Charge,
        now: Timestamp,
    ) -> Result<Settled, Fault> {
        self.hold()?;
        let mut work = self.books.accounts.begin(self.conn);
        let settled = book::settle(&mut work, posts, admitted, charge, now)?;
        for alert in &settled.alerts {
            rows::insert_alert(self.conn, self.books.holder, alert)?;
        }
        work.keep();
        Ok(settled)
    }

    /// Lets others see that this holder is there.
    fn hold(&mut self) -> Result<(), Fault> {
        let holder = self.books.holder;
        if !self.leases.has(HOLDERS, holder.unsigned_abs()) {
            self.leases.take(HOLDERS, holder.unsigned_abs())?;
        }
        Ok(())
    }

    /// Charges what holders had put aside that are gone, and answers with the alerts that they had not delivered and those that come
    /// of it. They are this holder's now.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Result<Vec<Alert>, Fault> {
        if !self.books.is_checked {
            accounts::check(self.conn)?;
            self.books.is_checked = true;
        }
        let own = self.books.holder;
        let mut alerts = Vec::new();
        for holder in rows::holders(self.conn)? {
            let fence = holder.unsigned_abs();
            if holder == own || self.leases.is_alive(HOLDERS, fence) {
                continue;
            }
            self.hold()?;
            alerts.extend(rows::move_alerts(self.conn, holder, own)?);
            for (number, reserved) in rows::reservations(self.conn, Some(holder))? {
                match self.charge_whole(holder, number, &reserved, now) {
                    Ok(more) => alerts.extend(more),
                    // The others are charged; this one stays put aside.
                    Err(Fault::Refused(error)) if error.kind() == StoreErrorKind::Corrupt => {
                        tracing::warn!(target: "agent_sdk::budget", %error, "a charge in doubt stays put aside");
                    }
                    Err(fault) => return Err(fault),
                }
            }
            self.leases.forget(HOLDERS, fence);
        }
        Ok(alerts)
    }

    fn charge_whole(
        &mut self,
        holder: i64,
        number: u64,
        reserved: &Aside,
        now: Timestamp,
    ) -> Result<Vec<Alert>, Fault> {
        let (mut posts, mut admitted) = (Vec::new(), Vec::new());
        for (key, start) in &reserved.posts {
            let budget = self.books.accounts.begin(self.conn).budget(key)?;
            if let Some(budget) = budget {
                let scope = key.1.clone();
                posts.push(Post { budget, scope });
                admitted.push(*start);
            }
        }
        let charge = Charge {
            held: reserved.held,
            used: reserved.held,
        };
        let settled = self.charge(&posts, &admitted, &charge, now)?;
        rows::remove_reservation(self.conn, holder, number)?;
        let doubt = InDoubt {
            run_id: reserved.run.clone(),
            what: reserved.what.clone(),
            charged: reserved.held,
            reserved_at: reserved.at,
            found_at: now,
            budgets: posts.iter().map(|post| post.budget.name.clone()).collect(),
        };
        rows::insert_doubt(self.conn, &doubt)?;
        Ok(settled.alerts)
    }

    /// How accounts stand; nothing is changed.
    pub(super) fn standings(
        &mut self,
        which: &Which,
        now: Timestamp,
    ) -> Result<Vec<Standing>, Fault> {
        let posts = match which {
            Which::Of(posts) => posts.clone(),
            Which::All(budgets) => {
                let mut posts = Vec::new();
                for budget in budgets.iter() {
                    posts.extend(self.posts(budget, None)?);
                }
                posts
            }
        };
        let mut work = self.books.accounts.begin(self.conn);
        let stand = |post: &Post| {
            work.with(post, now, |account| {
                account.turn(&post.budget, now);
                book::standing(post, &account.current)
            })
        };
        posts.iter().map(stand).collect()
    }

    fn posts(&mut self, budget: &Arc<Budget>, only: Option<&str>) -> Result<Vec<Post>, Fault> {
        let mut scopes = self.books.accounts.scopes(self.conn, &budget.name)?;
        scopes.retain(|scope| only.is_none_or(|only| only == &**scope));
        scopes.sort_unstable();
        let post = |scope| Post {
            budget: budget.clone(),
            scope,
        };
        Ok(scopes.into_iter().map(post).collect())
    }

    /// Changes accounts by hand. One that is damaged is begun anew by a reset, with what is put aside for it.
    pub(super) fn edit_accounts(
        &mut self,
        budget: &Arc<Budget>,
        scope: Option<&str>,
        edit: Edit,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let posts = self.posts(budget, scope)?;
        let mut work = self.books.accounts.begin(self.conn);
        for post in &posts {
            let edited = work.with(post, now, |account| edit.apply(budget, account, now));
            match (edited, edit) {
                (Ok(()), _) => {}
                (Err(Fault::Refused(error)), Edit::Reset)
                    if error.kind() == StoreErrorKind::Corrupt =>
                {
                    let mut account = Account::new(budget, now);
                    account.reserve(&put_aside(self.conn, post)?);
                    work.replace(post, account);
                }
                (Err(fault), _) => return Err(fault),
            }
        }
        work.keep();
        Ok(posts.len() as u64)
    }
}

/// What is put aside for an account, by everybody.
fn put_aside(conn: &rusqlite::Connection, post: &Post) -> Result<Amounts, Fault> {
    let all = rows::reservations(conn, None)?;
    let its = all.iter().filter(|(_, reserved)| {
        let mut posts = reserved.posts.iter();
        posts.any(|((budget, scope), _)| *budget == post.budget.name && *scope == post.scope)
    });
    Ok(its.fold(Amounts::ZERO, |sum, (_, reserved)| sum.plus(&reserved.held)))
}
