//! The ledger: what may be spent is put aside before it is.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{
    Alert, Amounts, Budget, BudgetError, InDoubt, LedgerBuilder, Measure, Reservation, Standing,
    account::Charge,
    alerts::Outlet,
    book::{self, Denied, Grant, Post, Settled, Shelf},
    degrade::Degrade,
    memory::{Memory, Told},
    seen::Seen,
    shared::{Demand, Edit, Settlement, SharedAccounts, What, Which},
};
use crate::{
    model::{ChatRequest, ModelInfo},
    operation::{Clock, RunContext, Watching},
};

/// Budgets, and the accounts in which they are kept. Cheap to clone; clones share the accounts.
///
/// A run is given one by [`AgentBuilder::ledger`](crate::agent::AgentBuilder::ledger), by
/// [`RunContextBuilder::ledger`](crate::operation::RunContextBuilder::ledger), or for one more budget by
/// [`RunRequest::budget`](crate::run::RunRequest::budget). From then on each try of a model request is admitted before it is sent:
/// the most that it can take is put aside in every account that it belongs to, or in none, and what it took in truth is charged when
/// it is over. What of it is not known, of an answer that broke off, is charged as the most that it can have been.
///
/// In memory there are at most 100,000 accounts. Before there are more, those of periods that are over are given up, and those of runs
/// that have not spent for a day; where that is not enough, of runs that have not spent for 15 minutes. Where there is still no room,
/// what needs a new account is refused.
///
/// # Example
///
/// ```
/// use agent_sdk::{agent::Agent, budget::{Budget, Ledger}, run::RunErrorKind, testing::ScriptedModel};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ledger = Ledger::builder().budget(Budget::new("trial").max_usd("0.002".parse()?)).build()?;
/// let model = ScriptedModel::new(["Hello.", "Hello again."]).named("openai", "gpt-4o");
/// let agent = Agent::builder("greeter", model).ledger(&ledger).build()?;
/// let refused = agent.run("x".repeat(1_000).as_str()).await.unwrap_err();
/// assert_eq!(refused.kind(), RunErrorKind::Budget);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger {
    pub(super) inner: Arc<Inner>,
    pub(super) budgets: Arc<[Arc<Budget>]>,
}

/// Counts the input tokens of a request: no fewer than the provider will.
type CountInput = dyn Fn(&ModelInfo, &ChatRequest) -> Option<u64> + Send + Sync;

/// What the clones of a ledger share.
pub(super) struct Inner {
    pub(super) kept: Kept,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outlet: Outlet,
    /// Whether what processes that are gone left behind was taken over once.
    pub(super) begun: OnceCell<()>,
    pub(super) seen: Seen,
    pub(super) degrade: Vec<Degrade>,
    pub(super) limits: Bounds,
}

/// How the most that a request can take is found.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) count_input: Option<Arc<CountInput>>,
    /// How long an answer may be where the request does not say.
    pub(crate) output_tokens: u32,
    /// Whether a longest answer that the user set may be cut to what is left.
    pub(crate) clamp: bool,
}

/// Where the accounts are.
pub(super) enum Kept {
    Memory(Memory),
    Shared(Arc<dyn SharedAccounts>),
}

impl Ledger {
    /// Settings for a ledger.
    pub fn builder() -> LedgerBuilder {
        LedgerBuilder::default()
    }

    /// The same accounts with one more budget. One of the same name is replaced.
    ///
    /// # Errors
    ///
    /// The budget is not [one](Budget::check).
    pub fn with_budget(&self, budget: Budget) -> Result<Self, BudgetError> {
        budget.check()?;
        let mut budgets = self.budgets.to_vec();
        budgets.retain(|other| other.name != budget.name);
        budgets.push(Arc::new(budget));
        Ok(Self {
            inner: self.inner.clone(),
            budgets: budgets.into(),
        })
    }

    /// The budgets.
    pub fn budgets(&self) -> &[Arc<Budget>] {
        &self.budgets
    }

    /// Puts so much aside in all accounts that `context` belongs to, or in none.
    ///
    /// Dropping the future, or the reservation before [`begin`](Reservation::begin), puts everything back.
    ///
    /// # Errors
    ///
    /// A hard budget has less left, or [owes](super::BudgetErrorKind::Debt) something; the accounts could not be read or written.
    pub async fn reserve(
        &self,
        context: &RunContext,
        ask: Amounts,
        what: impl Into<Arc<str>>,
    ) -> Result<Reservation, BudgetError> {
        let posts = self.posts(context);
        self.put_aside(context, posts, ask, what, false)
            .await
            .map_err(|denied| denied.error)
    }

    /// As [`reserve`](Self::reserve), in these accounts. What does not fit is refused only where it is no probe, after which less is
    /// asked for.
    pub(crate) async fn put_aside(
        &self,
        context: &RunContext,
        posts: Vec<Post>,
        ask: Amounts,
        what: impl Into<Arc<str>>,
        is_probe: bool,
    ) -> Result<Reservation, Denied> {
        self.inner.outlet.adopt();
        let now = self.now();
        let watching = context.watching();
        let (number, mut granted) = match &self.inner.kept {
            Kept::Memory(memory) => {
                let tell = |told| self.tell(told);
                let granted = memory.reserve(Some(&watching), &posts, &ask, is_probe, now, tell);
                (None, granted)
            }
            // Nothing that is put aside in no account is settled.
            Kept::Shared(_) if posts.is_empty() => {
                let grant = Grant::default();
                (None, Ok(grant))
            }
            Kept::Shared(shared) => {
                self.begin().await.map_err(Denied::from)?;
                let demand = Demand {
                    posts: posts.clone(),
                    ask,
                    what: What {
                        run: context.run_id().into(),
                        name: what.into(),
                    },
                    is_probe,
                    now,
                };
                // Boxed by the trait: what is not used takes no room in the future of a request.
                match shared.reserve(demand).await.map_err(Denied::from)? {
                    Ok((number, grant)) => (Some(number), Ok(grant)),
                    Err(denied) => (None, Err(denied)),
                }
            }
        };
        match &mut granted {
            Ok(grant) => {
                if self.shared().is_some() {
                    let all = grant.tightest.iter().chain(&grant.others);
                    self.inner.seen.stand(all, now);
                }
            }
            Err(_) if is_probe => {}
            Err(denied) => {
                if let Some(budget) = denied.error.budget() {
                    self.inner.seen.refused(budget);
                }
                self.tell_all(Some(&watching), std::mem::take(&mut denied.alerts));
                // Part of what is not left may be that of a process that is gone.
                if let Err(error) = self.take_over().await {
                    tracing::debug!(target: "agent_sdk::budget", %error, "what gone processes left was not looked for");
                }
            }
        }
        granted.map(|grant| Reservation::new(self, context, posts, ask, number, grant))
    }

    /// Takes over what processes that are gone left behind, when the ledger is first used.
    async fn begin(&self) -> Result<(), BudgetError> {
        // Boxed: it is awaited once.
        let begun = self.inner.begun.get_or_try_init(|| self.take_over());
        Box::pin(begun).await?;
        Ok(())
    }

    /// Charges what processes had put aside that are gone, and tells the alerts that they had not.
    fn take_over(&self) -> BoxFuture<'_, Result<(), BudgetError>> {
        Box::pin(async {
            if let Kept::Shared(shared) = &self.inner.kept {
                self.tell_all(None, shared.undelivered(self.now()).await?);
            }
            Ok(())
        })
    }

    /// Charges something that was not put aside before: a hard budget that it does not fit in owes the rest.
    pub fn charge(&self, context: &RunContext, used: Amounts) {
        let charge = Charge {
            held: Amounts::ZERO,
            used,
        };
        self.settle(context, None, self.posts(context), Vec::new(), charge);
    }

    pub(super) fn settle(
        &self,
        context: &RunContext,
        reservation: Option<u64>,
        posts: Vec<Post>,
        admitted: Vec<Timestamp>,
        charge: Charge,
    ) {
        if posts.is_empty() {
            return;
        }
        let now = self.now();
        match &self.inner.kept {
            Kept::Memory(memory) => {
                let tell = |told| self.tell(told);
                let watching = context.watching();
                let settled = memory.settle(Some(&watching), &posts, &admitted, &charge, now, tell);
                match settled {
                    Ok(Some(standing)) => watching.stands(&standing),
                    Ok(None) => {}
                    // Only of what was not put aside before: an account that was reserved in is there.
                    Err(error) => {
                        tracing::error!(target: "agent_sdk::budget", %error, "something was spent that not all accounts know of");
                    }
                }
            }
            Kept::Shared(shared) => {
                let settlement = Settlement {
                    reservation,
                    posts,
                    admitted,
                    charge,
                    now,
                };
                // What waits for the store keeps nobody alive: whoever drops the last handle to it waits for it to be done.
                let (inner, budgets) = (Arc::downgrade(&self.inner), self.budgets.clone());
                let watching = context.watching();
                let tell = move |settled: Settled| {
                    if let Some(inner) = inner.upgrade() {
                        let all = settled.tightest.iter().chain(&settled.others);
                        inner.seen.stand(all, now);
                        Self { inner, budgets }.settled(&watching, settled);
                    }
                };
                shared.settle(settlement, Box::new(tell));
            }
        }
    }

    fn settled(&self, watching: &Watching, mut settled: Settled) {
        if let Some(standing) = &settled.tightest {
            watching.stands(standing);
        }
        self.tell_all(Some(watching), std::mem::take(&mut settled.alerts));
    }

    fn tell_all(&self, watching: Option<&Watching>, alerts: Vec<Alert>) {
        for alert in alerts {
            let watching = watching.cloned();
            self.tell(Told { alert, watching });
        }
    }

    fn tell(&self, Told { alert, watching }: Told) {
        self.inner.seen.alerted(&alert);
        self.inner
            .outlet
            .tell(alert, watching.as_ref(), self.shared());
    }

    fn shared(&self) -> Option<&Arc<dyn SharedAccounts>> {
        match &self.inner.kept {
            Kept::Memory(_) => None,
            Kept::Shared(shared) => Some(shared),
        }
    }

    /// How the accounts stand in which something was spent or put aside, by budget and scope.
    ///
    /// # Errors
    ///
    /// The accounts could not be read.
    pub async fn standings(&self) -> Result<Vec<Standing>, BudgetError> {
        let now = self.now();
        match &self.inner.kept {
            Kept::Memory(memory) => {
                let mut all = Vec::new();
                memory.with(|book| {
                    for budget in self.budgets.iter() {
                        for (scope, account) in book.of_mut(&budget.name) {
                            account.turn(budget, now);
                            let post = Post {
                                budget: budget.clone(),
                                scope: scope.clone(),
                            };
                            all.push(book::standing(&post, &account.current));
                        }
                    }
                });
                all.sort_by(|a, b| (&a.budget, &a.scope).cmp(&(&b.budget, &b.scope)));
                Ok(all)
            }
            Kept::Shared(shared) => {
                self.take_over().await?;
                let mut all = shared
                    .standings(Which::All(self.budgets.clone()), now)
                    .await?;
                all.sort_by(|a, b| (&a.budget, &a.scope).cmp(&(&b.budget, &b.scope)));
                Ok(all)
            }
        }
    }

    /// How the accounts stand that something done under `context` is charged to.
    ///
    /// # Errors
    ///
    /// The accounts could not be read.
    pub async fn standings_of(&self, context: &RunContext) -> Result<Vec<Standing>, BudgetError> {
        let (posts, now) = (self.posts(context), self.now());
        match &self.inner.kept {
            Kept::Memory(memory) => memory.with(|book| {
                let stands = |post: &Post| {
                    book.with(post, now, |account| {
                        account.turn(&post.budget, now);
                        book::standing(post, &account.current)
                    })
                };
                posts.iter().map(stands).collect()
            }),
            Kept::Shared(shared) => {
                self.begin().await?;
                shared.standings(Which::Of(posts), now).await
            }
        }
    }

    /// Begins the period of a budget anew, for one account or for all: nothing was spent, and each alert can be given again. What is
    /// put aside stays so. Answers with how many accounts there were.
    ///
    /// # Errors
    ///
    /// There is no such budget; the accounts could not be written.
    pub async fn reset(&self, budget: &str, scope: Option<&str>) -> Result<u64, BudgetError> {
        self.edit(budget, scope, Edit::Reset).await
    }

    /// Takes what a budget owes as spent, for one account or for all, so that it blocks nothing any more but by what it leaves.
    /// Answers with how many accounts there were.
    ///
    /// # Errors
    ///
    /// There is no such budget; the accounts could not be written.
    pub async fn accept_debt(&self, budget: &str, scope: Option<&str>) -> Result<u64, BudgetError> {
        self.edit(budget, scope, Edit::AcceptDebt).await
    }

    async fn edit(
        &self,
        budget: &str,
        scope: Option<&str>,
        edit: Edit,
    ) -> Result<u64, BudgetError> {
        let Some(budget) = self.named(budget) else {
            return Err(BudgetError::invalid(format!(
                "there is no budget {budget:?}"
            )));
        };
        let now = self.now();
        match &self.inner.kept {
            Kept::Memory(memory) => Ok(memory.with(|book| {
                let mut changed = 0;
                for (_, account) in book
                    .of_mut(&budget.name)
                    .filter(|(of, _)| scope.is_none_or(|scope| scope == &***of))
                {
                    edit.apply(budget, account, now);
                    changed += 1;
                }
                changed
            })),
            Kept::Shared(shared) => {
                let scope = scope.map(Arc::from);
                shared.edit(budget.clone(), scope, edit, now).await
            }
        }
    }

    /// What was charged because nobody knows what became of it, the latest first; of a ledger in memory nothing, which ends with its
    /// process.
    ///
    /// # Errors
    ///
    /// The accounts could not be read.
    pub async fn in_doubt(&self, limit: usize) -> Result<Vec<InDoubt>, BudgetError> {
        match &self.inner.kept {
            Kept::Memory(_) => Ok(Vec::new()),
            Kept::Shared(shared) => {
                self.take_over().await?;
                shared.doubts(limit).await
            }
        }
    }

    /// How often each budget has refused something in this process.
    pub fn refusals(&self) -> BTreeMap<Arc<str>, u64> {
        self.inner.seen.refusals()
    }

    /// How many alerts each budget has given in this process, by budget and [kind](super::AlertKind::as_str).
    pub fn alerts(&self) -> BTreeMap<(Arc<str>, &'static str), u64> {
        self.inner.seen.alerts()
    }

    /// How many alerts did not reach an [`AlertSink`](super::AlertSink), counted for each by itself: it failed, took too long, or 1,024 others waited
    /// for it.
    pub fn alerts_lost(&self) -> u64 {
        self.inner.outlet.lost()
    }

    /// For each budget how the account stands that is nearest to its cap, as far as anything was spent or put aside. Does not wait.
    ///
    /// Of accounts in a store it is the nearest of those that this process used, as it stood then.
    pub fn latest(&self) -> Vec<Standing> {
        let now = self.now();
        match &self.inner.kept {
            Kept::Memory(memory) => memory.with(|book| {
                let budgets = self.budgets.iter();
                budgets
                    .filter_map(|budget| book.tightest(budget, now))
                    .collect()
            }),
            Kept::Shared(_) => self.inner.seen.latest(now),
        }
    }

    /// Waits until what was settled is charged, and every [`AlertSink`](super::AlertSink) is done with the alerts that were given before: it was told, failed, or took too long. Call it
    /// before the program ends; what waits then is lost, but for a ledger in a store.
    ///
    /// Alerts are delivered by tasks on the runtime in which the ledger was last used. Without one, nothing is waited for.
    pub async fn flush(&self) {
        if let Kept::Shared(shared) = &self.inner.kept
            && let Err(error) = shared.settled().await
        {
            tracing::warn!(target: "agent_sdk::budget", %error, "what was settled could not be waited for");
        }
        self.inner.outlet.flush().await;
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.inner.limits
    }

    pub(crate) fn degrades(&self) -> &[Degrade] {
        &self.inner.degrade
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Budget>> {
        self.budgets.iter().find(|budget| &*budget.name == name)
    }

    /// Whether any budget caps a measure, and would refuse.
    pub(crate) fn caps(&self, measure: Measure) -> bool {
        self.budgets
            .iter()
            .any(|budget| budget.caps.get(measure).is_some())
    }

    /// The accounts that something done under `context` is charged to.
    pub(crate) fn posts(&self, context: &RunContext) -> Vec<Post> {
        let mut posts = Vec::with_capacity(self.budgets.len());
        for budget in self.budgets.iter() {
            budget.scope.each_key(context, |scope| {
                posts.push(Post {
                    budget: budget.clone(),
                    scope,
                });
            });
        }
        posts
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(self.inner.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl From<BudgetError> for Denied {
    fn from(error: BudgetError) -> Self {
        Self {
            error,
            short: None,
            alerts: Vec::new(),
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.budgets.iter().map(|budget| &budget.name);
        f.debug_struct("Ledger")
            .field("budgets", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
