//! The ledger: what may be spent is put aside before it is.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    Alert, AlertSink, Amounts, Budget, BudgetError, Measure, Reservation, Standing,
    account::Charge,
    alerts::Outlet,
    book::{self, Book, Denied, Grant, Post, Settled, Shelf},
    degrade::Degrade,
};
use crate::{
    model::{ChatRequest, ModelHandle, ModelInfo},
    operation::{Clock, RunContext, SystemClock},
};

/// Budgets, and the accounts in which they are kept. Cheap to clone; clones share the accounts.
///
/// A run is given one by [`AgentBuilder::ledger`](crate::agent::AgentBuilder::ledger), by
/// [`RunContextBuilder::ledger`](crate::operation::RunContextBuilder::ledger), or for one more budget by
/// [`RunRequest::budget`](crate::run::RunRequest::budget). From then on each try of a model request is admitted before it is sent:
/// the most that it can take is put aside in every account that it belongs to, or in none, and what it took in truth is charged when
/// it is over. What of it is not known, of an answer that broke off, is charged as the most that it can have been.
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
/// let refused = agent.run("x".repeat(1_000)).await.unwrap_err();
/// assert_eq!(refused.kind(), RunErrorKind::Budget);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
    budgets: Arc<[Arc<Budget>]>,
}

/// Counts the input tokens of a request: no fewer than the provider will.
type CountInput = dyn Fn(&ModelInfo, &ChatRequest) -> Option<u64> + Send + Sync;

struct Inner {
    kept: Kept,
    clock: Arc<dyn Clock>,
    outlet: Outlet,
    /// What was refused in this process, by budget.
    refusals: Mutex<BTreeMap<Arc<str>, u64>>,
    degrade: Vec<Degrade>,
    limits: Bounds,
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
enum Kept {
    Memory(Mutex<Book>),
    Shared(Arc<dyn SharedAccounts>),
}

/// Accounts that several processes share.
pub(crate) trait SharedAccounts: fmt::Debug + Send + Sync + 'static {
    /// Puts so much aside in all accounts, or in none. What was put aside by a process that is gone is charged.
    fn reserve(&self, demand: Demand) -> BoxFuture<'_, Result<Reserved, BudgetError>>;

    /// Charges what something came to, sooner or later; `tell` is called when that is done. Does not block.
    fn settle(&self, settlement: Settlement, tell: Tell);

    /// How accounts stand: all, or those of posts.
    fn standings(
        &self,
        posts: Option<Vec<Post>>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Standing>, BudgetError>>;

    /// Changes the accounts of a budget: of one scope, or all.
    fn edit(
        &self,
        budget: Arc<Budget>,
        scope: Option<Arc<str>>,
        edit: Edit,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, BudgetError>>;

    /// What was charged because nobody knows what became of it, the latest first.
    fn doubts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<InDoubt>, BudgetError>>;

    /// Alerts of processes that ended before they were delivered; they are this one's now.
    fn undelivered(&self) -> BoxFuture<'_, Result<Vec<Alert>, BudgetError>>;

    /// These alerts were delivered. Does not block.
    fn delivered(&self, alerts: Vec<Arc<str>>);
}

/// The number of a reservation and what was granted, or why nothing was.
pub(crate) type Reserved = Result<(u64, Grant), Denied>;

/// What is done when a settlement is.
pub(crate) type Tell = Box<dyn FnOnce(Settled) + Send>;

/// What is to be put aside.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) posts: Vec<Post>,
    pub(crate) ask: Amounts,
    pub(crate) what: What,
    pub(crate) now: Timestamp,
}

/// What is to be charged.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    /// The number of its reservation, where it has one.
    pub(crate) reservation: Option<u64>,
    pub(crate) posts: Vec<Post>,
    pub(crate) admitted: Vec<Timestamp>,
    pub(crate) charge: Charge,
    pub(crate) now: Timestamp,
}

/// What a reservation is for, in words for whoever finds it in doubt.
#[derive(Clone, Debug)]
pub(crate) struct What {
    pub(crate) run: Arc<str>,
    /// The model, or the label of what is paid for.
    pub(crate) name: Arc<str>,
}

/// How an account is changed by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Reset,
    AcceptDebt,
}

/// Something that was charged because nobody knows what became of it: its process ended between reservation and settlement.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct InDoubt {
    /// The run.
    pub run_id: Arc<str>,
    /// The model that was asked, or the label of what was to be paid.
    pub what: Arc<str>,
    /// What was put aside, and is charged.
    pub charged: Amounts,
    /// When it was put aside.
    pub reserved_at: Timestamp,
    /// When it was found and charged.
    pub found_at: Timestamp,
    /// The budgets it is charged to.
    pub budgets: Vec<Arc<str>>,
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
        let what = What {
            run: context.run_id().as_str().into(),
            name: what.into(),
        };
        let posts = self.posts(context);
        self.put_aside(context, posts, ask, what)
            .await
            .map_err(|denied| denied.error)
    }

    pub(crate) async fn put_aside(
        &self,
        context: &RunContext,
        posts: Vec<Post>,
        ask: Amounts,
        what: What,
    ) -> Result<Reservation, Denied> {
        let now = self.now();
        let (number, granted) = match &self.inner.kept {
            Kept::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let granted = book::reserve(&mut *book, &posts, &ask, now);
                (None, granted.map_err(Denied::from)?)
            }
            Kept::Shared(shared) => {
                let demand = Demand {
                    posts: posts.clone(),
                    ask,
                    what,
                    now,
                };
                // Boxed by the trait: what is not used takes no room in the future of a request.
                match shared.reserve(demand).await.map_err(Denied::from)? {
                    Ok((number, grant)) => (Some(number), Ok(grant)),
                    Err(denied) => (None, Err(denied)),
                }
            }
        };
        match granted {
            Ok(grant) => Ok(Reservation::new(self, context, posts, ask, number, grant)),
            Err(mut denied) => {
                if let Some(budget) = denied.error.budget() {
                    let mut refusals = self
                        .inner
                        .refusals
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    *refusals.entry(budget.into()).or_default() += 1;
                }
                self.tell(Some(context), std::mem::take(&mut denied.alerts));
                Err(denied)
            }
        }
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
            Kept::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let settled = book::settle(&mut *book, &posts, &admitted, &charge, now);
                drop(book);
                // An account that was reserved in is there, and one that has no room for a charge admits nothing either.
                if let Ok(settled) = settled {
                    self.settled(context, settled);
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
                let (ledger, context) = (self.clone(), context.clone());
                shared.settle(
                    settlement,
                    Box::new(move |settled| ledger.settled(&context, settled)),
                );
            }
        }
    }

    fn settled(&self, context: &RunContext, settled: Settled) {
        if let Some(standing) = settled.tightest {
            context.stands(&standing);
        }
        self.tell(Some(context), settled.alerts);
    }

    fn tell(&self, context: Option<&RunContext>, alerts: Vec<Alert>) {
        for alert in alerts {
            if let Some(context) = context {
                context.publish(|| (&alert).into());
            }
            self.inner.outlet.deliver(alert, self.shared());
        }
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
            Kept::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let mut all = Vec::new();
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
                all.sort_by(|a, b| (&a.budget, &a.scope).cmp(&(&b.budget, &b.scope)));
                Ok(all)
            }
            Kept::Shared(shared) => {
                let mut all = shared.standings(None, now).await?;
                all.retain(|standing| self.named(&standing.budget).is_some());
                Ok(all)
            }
        }
    }

    /// How the accounts stand that `context` belongs to.
    pub(crate) async fn standings_of(
        &self,
        context: &RunContext,
    ) -> Result<Vec<Standing>, BudgetError> {
        let (posts, now) = (self.posts(context), self.now());
        match &self.inner.kept {
            Kept::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let stands = |post: &Post| {
                    book.with(post, now, |account| {
                        account.turn(&post.budget, now);
                        book::standing(post, &account.current)
                    })
                };
                posts.iter().map(stands).collect()
            }
            Kept::Shared(shared) => shared.standings(Some(posts), now).await,
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
            Kept::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let mut changed = 0;
                for (_, account) in book
                    .of_mut(&budget.name)
                    .filter(|(of, _)| scope.is_none_or(|scope| scope == &***of))
                {
                    edit.apply(budget, account, now);
                    changed += 1;
                }
                Ok(changed)
            }
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
            Kept::Shared(shared) => shared.doubts(limit).await,
        }
    }

    /// How often each budget has refused something in this process.
    pub fn refusals(&self) -> BTreeMap<Arc<str>, u64> {
        let refusals = &self.inner.refusals;
        refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the alerts that were given have been delivered, or given up.
    pub async fn flush(&self) {
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
            for scope in budget.scope.keys(context) {
                posts.push(Post {
                    budget: budget.clone(),
                    scope,
                });
            }
        }
        posts
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(self.inner.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Edit {
    pub(crate) fn apply(
        self,
        budget: &Budget,
        account: &mut super::account::Account,
        now: Timestamp,
    ) {
        account.turn(budget, now);
        match self {
            Self::Reset => account.reset(),
            Self::AcceptDebt => account.accept_debt(),
        }
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

/// Settings for a ledger; made by [`Ledger::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct LedgerBuilder {
    budgets: Vec<Budget>,
    shared: Option<Arc<dyn SharedAccounts>>,
    clock: Arc<dyn Clock>,
    sinks: Vec<Arc<dyn AlertSink>>,
    degrade: Vec<Degrade>,
    limits: Bounds,
}

impl Default for LedgerBuilder {
    fn default() -> Self {
        Self {
            budgets: Vec::new(),
            shared: None,
            clock: Arc::new(SystemClock),
            sinks: Vec::new(),
            degrade: Vec::new(),
            limits: Bounds {
                count_input: None,
                output_tokens: 4_096,
                clamp: false,
            },
        }
    }
}

impl LedgerBuilder {
    /// Adds a budget.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Adds somebody who is told of alerts. Default: the log alone, which is always told.
    pub fn alert(mut self, sink: impl AlertSink) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// Asks another, cheaper model in place of every other from when a budget has reached a part of its cap, in percent, until its
    /// period ends.
    pub fn degrade(
        mut self,
        budget: impl Into<Arc<str>>,
        percent: u8,
        model: impl Into<ModelHandle>,
    ) -> Self {
        self.degrade.push(Degrade {
            budget: budget.into(),
            percent,
            model: model.into(),
        });
        self
    }

    /// Sets how long an answer may be, in tokens, where the request does not say and a hard budget caps money or tokens: as long as
    /// this, or as what is left allows. Default: 4,096.
    pub fn output_tokens(mut self, tokens: u32) -> Self {
        self.limits.output_tokens = tokens;
        self
    }

    /// Lets the longest answer that a request asks for be cut to what is left. Default: such a request is refused.
    pub fn clamp_output(mut self) -> Self {
        self.limits.clamp = true;
        self
    }

    /// Counts the input tokens of a request with a tokenizer: no fewer than the provider will. Where it gives `None`, and by default,
    /// each byte of the request counts as a token, and what surrounds the messages is added.
    pub fn count_input(
        mut self,
        count: impl Fn(&ModelInfo, &ChatRequest) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.limits.count_input = Some(Arc::new(count));
        self
    }

    /// Sets the wall clock, which says when periods begin. Default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn shared(mut self, shared: Arc<dyn SharedAccounts>) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Makes the ledger.
    ///
    /// # Errors
    ///
    /// A budget is not [one](Budget::check), two have the same name, or another model is to be asked for a budget that there is not.
    pub fn build(self) -> Result<Ledger, BudgetError> {
        for (place, budget) in self.budgets.iter().enumerate() {
            budget.check()?;
            let mut before = self.budgets.iter().take(place);
            if before.any(|other| other.name == budget.name) {
                return Err(BudgetError::invalid(format!(
                    "two budgets have the name {:?}",
                    budget.name
                )));
            }
        }
        for degrade in &self.degrade {
            degrade.check(&self.budgets)?;
        }
        let kept = match self.shared {
            Some(shared) => Kept::Shared(shared),
            None => Kept::Memory(Mutex::default()),
        };
        Ok(Ledger {
            inner: Arc::new(Inner {
                kept,
                clock: self.clock,
                outlet: Outlet::new(self.sinks),
                refusals: Mutex::default(),
                degrade: self.degrade,
                limits: self.limits,
            }),
            budgets: self.budgets.into_iter().map(Arc::new).collect(),
        })
    }
}

impl fmt::Debug for LedgerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerBuilder")
            .field("budgets", &self.budgets)
            .finish_non_exhaustive()
    }
}
