//! What the operations of one run share: its clock, its observers, its open operations.
//!
//! One lock per run orders everything that observers see. It is held while they are called and never across an await. That is
//! what makes "children end before their parents" true for every observer, also when two threads end operations at once.

use std::{
    cell::Cell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::time::Instant;

use super::{
    Event, EventKind, Facts, Interests, Kind, Observer, Observers, OperationId, OperationInfo,
    OperationRecord, Outcome, Payload, RunId, Totals, TraceContext, TraceState,
    asked::AskedModels,
    clock::RunClock,
    inside::{self, Joined},
    observer::Watcher,
    shared::Shared,
};
use crate::{
    cost::{Cost, PriceBook, PriceRequest, Usd},
    model::{ChatResponse, ModelInfo, SideUsage, Usage},
    profile::{Profile, ProfiledOperation},
    run::RunReport,
};

/// How many finished operations a run keeps for its profile.
const MAX_PROFILED: usize = 100_000;

/// What the operations of one run share.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) observers: Observers,
    pub(crate) prices: PriceBook,
    pub(crate) clock: RunClock,
    /// The caller's place in a trace, in this process or another.
    pub(crate) parent: Option<TraceContext>,
    /// A caller that is not believed.
    pub(crate) linked: Option<TraceContext>,
    pub(crate) trace_state: TraceState,
    interests: AtomicU8,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_operation: u64,
    seq: u64,
    open: BTreeMap<OperationId, Open>,
    /// How many operations without a parent have started.
    roots: u64,
    finished: Vec<ProfiledOperation>,
    not_profiled: u64,
    subscribers: Vec<Watcher>,
}

/// What an operation came to.
pub(crate) struct Ended {
    pub(crate) closed: Closed,
    /// Where it was asked for, or the run's observers want it.
    pub(crate) report: Option<Box<RunReport>>,
}

/// When an operation ended, and what it and everything inside it add up to.
pub(crate) struct Closed {
    pub(crate) at: Instant,
    /// `None` where that is nothing.
    totals: Option<Box<Totals>>,
}

impl Closed {
    /// What ended now and adds up to nothing.
    pub(super) fn now() -> Self {
        let at = Instant::now();
        Self { at, totals: None }
    }

    pub(crate) fn totals(self) -> Totals {
        self.totals.map(|totals| *totals).unwrap_or_default()
    }
}

struct Open {
    shared: Arc<Shared>,
    /// `None` while there is nothing in it.
    totals: Option<Box<Totals>>,
    children: u32,
    /// What an agent's own chat requests asked.
    asked: AskedModels,
}

thread_local! {
    /// Whether this thread is inside an observer, which must not use the run.
    static OBSERVING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside an observer.
pub(super) fn is_observing() -> bool {
    OBSERVING.get()
}

/// Marks this thread as inside an observer, until dropped.
struct Observing;

impl Observing {
    fn enter() -> Self {
        OBSERVING.set(true);
        Self
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        OBSERVING.set(false);
    }
}

impl Run {
    pub(crate) fn new(
        id: RunId,
        observers: Observers,
        prices: PriceBook,
        clock: RunClock,
        parent: Option<TraceContext>,
    ) -> Self {
        let interests = AtomicU8::new(observers.interests().bits());
        Self {
            id,
            observers,
            prices,
            clock,
            parent,
            linked: None,
            trace_state: TraceState::default(),
            interests,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody wants any of this.
    pub(crate) fn wants(&self, interests: Interests) -> bool {
        Interests::from_bits(self.interests.load(Ordering::Relaxed)).intersects(interests)
    }

    /// Adds a subscriber to a run that may already be under way; from inside an observer it does nothing.
    pub(crate) fn subscribe(&self, observer: Arc<dyn Observer>) {
        if OBSERVING.get() {
            return;
        }
        let watcher = Watcher::new(observer);
        self.interests
            .fetch_or(watcher.interests.bits(), Ordering::Relaxed);
        self.lock().subscribers.push(watcher);
    }

    /// Whether a new operation of this kind is a request inside the request that `asked` is.
    pub(crate) fn is_inside_its_like(&self, asked: &Shared, kind: Kind) -> bool {
        kind.is_priced()
            && asked.info.kind == kind
            && !OBSERVING.get()
            && self.lock().open.contains_key(&asked.info.id)
    }

    /// Registers a new operation and tells everybody; `build` makes it once its number and its parent are known.
    ///
    /// The parent is the nearest operation at or above `asked` that is still open. Called from inside an observer, it makes an
    /// operation that nobody hears of.
    pub(crate) fn start(
        &self,
        asked: Option<&Arc<Shared>>,
        payload: Payload<'_>,
        build: impl FnOnce(OperationId, Option<Arc<Shared>>) -> Shared,
    ) -> Arc<Shared> {
        if OBSERVING.get() {
            return Arc::new(build(OperationId(0), None));
        }
        let mut state = self.lock();
        state.last_operation += 1;
        let id = OperationId(state.last_operation);
        let mut parent = asked;
        while let Some(closed) = parent.filter(|above| !state.open.contains_key(&above.info.id)) {
            parent = closed.parent.as_ref();
        }
        let observing = Observing::enter();
        let shared = Arc::new(build(id, parent.cloned()));
        drop(observing);
        match shared.info.parent {
            Some(id) => {
                if let Some(open) = state.open.get_mut(&id) {
                    open.children += 1;
                }
            }
            None => state.roots += 1,
        }
        let open = Open {
            shared: shared.clone(),
            totals: None,
            children: 0,
            asked: AskedModels::None,
        };
        state.open.insert(shared.info.id, open);
        let info = &shared.info;
        if self.wants(Interests::OPERATIONS) {
            self.tell(&state, Interests::OPERATIONS, |observer| {
                observer.started(info, payload);
            });
        }
        if self.wants(Interests::EVENTS) {
            if info.parent.is_none() {
                let started = EventKind::run_started(payload);
                self.send(&mut state, Some(info), started);
            }
            if let Some(kind) = EventKind::of_start(info, payload) {
                self.send(&mut state, Some(info), kind);
            }
        }
        shared
    }

    /// Ends an operation after its open descendants; `None` if it had ended already.
    pub(crate) fn end(
        &self,
        shared: &Arc<Shared>,
        outcome: Outcome,
        payload: Payload<'_>,
        report: bool,
    ) -> Option<Ended> {
        if OBSERVING.get() {
            return None;
        }
        let mut state = self.lock();
        // Read under the lock: a child that ended before its parent also has the earlier time.
        let now = Instant::now();
        let open = state.open.get(&shared.info.id)?;
        if open.children > 0 {
            let id = shared.info.id;
            let inside: Vec<_> = state
                .open
                .range(id..)
                .rev()
                .filter(|(_, open)| open.shared.is_inside(id))
                .map(|(_, open)| open.shared.clone())
                .collect();
            let given_up = if outcome == Outcome::Paused {
                outcome
            } else {
                Outcome::Cancelled
            };
            for descendant in inside {
                self.finish(&mut state, &descendant, given_up, Payload::None, now, false);
            }
        }
        self.finish(&mut state, shared, outcome, payload, now, report)
    }

    fn finish(
        &self,
        state: &mut State,
        shared: &Arc<Shared>,
        outcome: Outcome,
        payload: Payload<'_>,
        now: Instant,
        report: bool,
    ) -> Option<Ended> {
        let open = state.open.remove(&shared.info.id)?;
        let mut totals = open.totals;
        let info = &shared.info;
        let mut facts = shared.facts();
        let mut cost = None;
        if let Some(facts) = facts.as_deref_mut() {
            cost = self.settle(shared, shared.info.details.model(), facts);
            cost = inside::enrich(facts, outcome, cost);
        }
        let facts = facts.as_deref().unwrap_or(Facts::nothing());
        let end = facts
            .last_byte
            .map_or(now, |byte| byte.clamp(info.started_at, now));
        let own = own_totals(info.kind, outcome, facts, cost.as_ref());
        if !own.is_empty() {
            totals.get_or_insert_default().add(&own);
        }
        roll_up(state, shared, own);

        let profiled = ProfiledOperation {
            id: info.id,
            parent: info.parent,
            kind: info.kind,
            name: info.name.clone(),
            span_id: info.trace.span_id,
            start: self.clock.since_start(info.started_at),
            end: self.clock.since_start(end),
            outcome,
            cost: cost.as_ref().map(|cost| cost.total),
            usage: facts.usage,
        };
        if state.finished.len() < MAX_PROFILED || info.parent.is_none() || report {
            state.finished.push(profiled);
        } else {
            state.not_profiled += 1;
        }
        let is_root = info.parent.is_none();
        let profile = (is_root || report).then(|| {
            let left_out = state.not_profiled;
            Arc::new(if is_root && state.roots == 1 {
                Profile::of_all(std::mem::take(&mut state.finished), left_out)
            } else {
                Profile::of(info.id, &state.finished, left_out)
            })
        });
        let nothing = Totals::default();

        let record = OperationRecord {
            info,
            facts,
            outcome,
            duration: end.saturating_duration_since(info.started_at),
            ended: self.clock.wall(end),
            cost: cost.as_ref(),
            totals: totals.as_deref().unwrap_or(&nothing),
            only_model: open.asked.only(),
            profile: profile.as_ref(),
        };
        if self.wants(Interests::OPERATIONS) {
            self.tell(state, Interests::OPERATIONS, |observer| {
                observer.ended(&record, payload);
            });
        }
        let wants_events = self.wants(Interests::EVENTS);
        if wants_events && let Some(kind) = EventKind::of_end(&record, payload) {
            self.send(state, Some(info), kind);
        }
        let report = (report || (is_root && wants_events))
            .then(|| Box::new(RunReport::of(&record, payload)));
        if is_root
            && wants_events
            && let Some(report) = &report
        {
            self.send(state, Some(info), EventKind::RunReport(report.clone()));
        }
        let closed = Closed { at: now, totals };
        Some(Ended { closed, report })
    }

    /// What an open operation and everything in it came to so far; nothing once it has ended.
    pub(crate) fn totals(&self, id: OperationId) -> Totals {
        let state = self.lock();
        state
            .open
            .get(&id)
            .and_then(|open| open.totals.as_deref().copied())
            .unwrap_or_default()
    }

    /// The number of the last event.
    pub(crate) fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// The number that the last event will have once an open operation has ended: what its own end says, and the run's report
    /// where it is the outermost.
    pub(crate) fn seq_after(&self, id: OperationId) -> u64 {
        let state = self.lock();
        match state.open.get(&id) {
            Some(open) if self.wants(Interests::EVENTS) => {
                state.seq + 1 + u64::from(open.shared.info.parent.is_none())
            }
            _ => state.seq,
        }
    }

    /// Numbers the next event after this one, where it has not come so far.
    pub(crate) fn continue_seq(&self, seq: u64) {
        let mut state = self.lock();
        state.seq = state.seq.max(seq);
    }

    /// Hands text to those who listen; costs one atomic load where nobody does.
    pub(crate) fn text(&self, info: &OperationInfo, delta: &str, reasoning: bool) {
        if !self.wants(Interests::TEXT | Interests::EVENTS) || OBSERVING.get() {
            return;
        }
        let mut state = self.lock();
        if !reasoning && self.wants(Interests::TEXT) {
            self.tell(&state, Interests::TEXT, |observer| {
                observer.text(info, delta);
            });
        }
        if self.wants(Interests::EVENTS) {
            let kind = EventKind::chunk(delta, reasoning);
            self.send(&mut state, Some(info), kind);
        }
    }

    /// Publishes an event that is neither a start nor an end.
    pub(crate) fn publish(&self, info: Option<&OperationInfo>, kind: impl FnOnce() -> EventKind) {
        if self.wants(Interests::EVENTS) && !OBSERVING.get() {
            let kind = kind();
            self.send(&mut self.lock(), info, kind);
        }
    }

    fn send(&self, state: &mut State, info: Option<&OperationInfo>, kind: EventKind) {
        state.seq += 1;
        let time = self.clock.wall(Instant::now());
        let event = Arc::new(Event::new(state.seq, time, self.id.clone(), info, kind));
        self.tell(state, Interests::EVENTS, |observer| observer.event(&event));
    }

    fn tell(&self, state: &State, interest: Interests, call: impl Fn(&dyn Observer)) {
        let _observing = Observing::enter();
        for watcher in self.observers.list().iter().chain(&state.subscribers) {
            if watcher.interests.contains(interest)
                && catch_unwind(AssertUnwindSafe(|| call(&*watcher.observer))).is_err()
            {
                tracing::error!(target: "agent_sdk::observer", "an observer panicked; the run goes on without its answer");
            }
        }
    }

    /// Ends a request inside a request: what it came to goes to the one around it.
    pub(crate) fn end_joined(
        &self,
        shared: &Arc<Shared>,
        joined: &Joined,
        outcome: Outcome,
        payload: Payload<'_>,
        report: bool,
    ) -> Option<Ended> {
        let mut facts = joined.take()?;
        let now = Instant::now();
        let cost = self.settle(shared, joined.model.as_ref(), &mut facts);
        let totals = own_totals(shared.info.kind, outcome, &facts, cost.as_ref());
        let record = OperationRecord {
            info: &shared.info,
            facts: &facts,
            outcome,
            duration: now.saturating_duration_since(joined.started),
            ended: self.clock.wall(now),
            cost: cost.as_ref(),
            totals: &totals,
            only_model: None,
            profile: None,
        };
        let report = report.then(|| Box::new(RunReport::of(&record, payload)));
        shared.record(|around| around.inside.get_or_insert_default().add(facts, cost));
        let totals = Some(Box::new(totals));
        let closed = Closed { at: now, totals };
        Some(Ended { closed, report })
    }

    /// What a request cost, all its tries together.
    fn settle(
        &self,
        shared: &Shared,
        model: Option<&Arc<ModelInfo>>,
        facts: &mut Facts,
    ) -> Option<Cost> {
        let last = facts.estimate.as_deref().cloned();
        let last = last.or_else(|| self.price(shared, model, &Billed::of_facts(facts)));
        if facts.tries.is_empty() {
            last
        } else {
            facts.add_last_try(last)
        }
    }

    /// What a request to a model cost; `None` where nobody knows, and of what has no price.
    pub(crate) fn price(
        &self,
        shared: &Shared,
        model: Option<&Arc<ModelInfo>>,
        billed: &Billed<'_>,
    ) -> Option<Cost> {
        let info = &shared.info;
        let prices = shared.prices.as_ref().unwrap_or(&self.prices);
        let model = model.filter(|_| info.kind.is_priced())?;
        if let Some(reported) = billed.provider_cost {
            return Some(Cost::reported(
                reported,
                model.provider.clone(),
                model.model.clone(),
            ));
        }
        if billed.usage.is_unknown() {
            return None;
        }
        let price = |name, usage| {
            let mut request = PriceRequest::new(&model.provider, name, info.started);
            if let Some(tier) = billed.service_tier {
                request = request.with_context("service_tier", tier);
            }
            prices.price(&request, usage)
        };
        // The model that answered, or else the one that was asked.
        let own = |usage| {
            let answered = billed.response_model.and_then(|name| price(name, usage));
            answered.or_else(|| price(&model.model, usage))
        };
        let side = billed.side_usage.iter();
        side.map(|side| match side.model.as_deref() {
            Some(other) => price(other, &side.usage),
            None => own(&side.usage),
        })
        .try_fold(own(billed.usage)?, |sum, more| sum.checked_add(&more?))
    }
}

/// What the price of a request depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Billed<'a> {
    pub(crate) usage: &'a Usage,
    pub(crate) side_usage: &'a [SideUsage],
    pub(crate) response_model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) provider_cost: Option<Usd>,
}

impl<'a> Billed<'a> {
    pub(crate) fn of(response: &'a ChatResponse) -> Self {
        Self {
            usage: &response.usage,
            side_usage: &response.side_usage,
            response_model: response.model.as_deref(),
            service_tier: response.service_tier.as_deref(),
            provider_cost: response.provider_cost,
        }
    }

    fn of_facts(facts: &'a Facts) -> Self {
        Self {
            usage: &facts.usage,
            side_usage: &facts.side_usage,
            response_model: facts.response_model.as_deref(),
            service_tier: facts.service_tier.as_deref(),
            provider_cost: facts.provider_cost,
        }
    }
}

/// Adds an operation's own sums to those of everything around it.
fn roll_up(state: &mut State, shared: &Shared, mut own: Totals) {
    let is_nothing = own.is_empty();
    let is_chat = shared.info.kind == Kind::Chat;
    let mut model = shared.info.details.model().filter(|_| is_chat);
    let mut above = shared.parent.as_ref();
    while let Some(parent) = above {
        if let Some(open) = state.open.get_mut(&parent.info.id) {
            if Some(parent.info.id) == shared.info.parent {
                open.children = open.children.saturating_sub(1);
            }
            if is_nothing {
                // Nor does what is further up change.
                return;
            }
            open.totals.get_or_insert_default().add(&own);
            if parent.info.kind == Kind::Agent
                && let Some(model) = model
            {
                open.asked.add(model);
            }
        }
        if parent.info.kind == Kind::Agent {
            model = None;
            own.own_model_calls = 0;
            own.own_tool_calls = 0;
        }
        above = parent.parent.as_ref();
    }
}

/// What one operation adds to the sums.
fn own_totals(kind: Kind, outcome: Outcome, facts: &Facts, cost: Option<&Cost>) -> Totals {
    let mut own = Totals::default();
    for (_, charge) in &facts.charges {
        own.cost = own.cost.saturating_add(*charge);
    }
    if kind.is_priced() {
        own.usage = facts.usage;
        if let Some(cost) = cost {
            own.cost = own.cost.saturating_add(cost.total);
        }
        own.unpriced_calls = facts.unpriced_requests(cost);
        own.model_calls = 1;
        own.own_model_calls = 1;
    }
    // A call that paused counts when it goes on.
    if kind == Kind::Tool && outcome != Outcome::Paused {
        own.tool_calls = 1;
        own.own_tool_calls = 1;
    }
    own
}
