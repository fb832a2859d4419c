//! Settings for a new run.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Attempt, Baggage, Clock, Incoming, Labels, Observers, Run, RunContext, RunId, SystemClock,
    TraceContext, clock::RunClock, handed::Handed,
};
use crate::{budget::Ledger, cost::PriceBook};

/// Settings for a new run; made by [`RunContext::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RunContextBuilder {
    id: Option<RunId>,
    observers: Observers,
    prices: Option<PriceBook>,
    ledger: Option<Ledger>,
    clock: Arc<dyn Clock>,
    parent: Option<TraceContext>,
    incoming: Incoming,
    baggage: Baggage,
    labels: Labels,
    cancellation: CancellationToken,
    timeout: Option<Duration>,
}

impl Default for RunContextBuilder {
    fn default() -> Self {
        Self {
            id: None,
            observers: Observers::none(),
            prices: None,
            ledger: None,
            clock: Arc::new(SystemClock),
            parent: None,
            incoming: Incoming::default(),
            baggage: Baggage::default(),
            labels: Labels::default(),
            cancellation: CancellationToken::new(),
            timeout: None,
        }
    }
}

impl RunContextBuilder {
    /// Names the run. Default: a new random id.
    pub fn run_id(mut self, id: impl Into<RunId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets who watches. Default: nobody.
    pub fn observers(mut self, observers: Observers) -> Self {
        self.observers = observers;
        self
    }

    /// Sets the prices. Default: the embedded table.
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Sets what may be spent. Default: as much as the run's limits let it.
    pub fn ledger(mut self, ledger: &Ledger) -> Self {
        self.ledger = Some(ledger.clone());
        self
    }

    /// Sets the wall clock. Default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Hangs the run under a span of another process. Default: under the caller's current span, if there is one.
    pub fn parent(mut self, parent: TraceContext) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Takes from a request what it brings along: its trace is joined where it is [trusted](Incoming::trusted), and linked to where
    /// it is not.
    pub fn incoming(mut self, incoming: &Incoming) -> Self {
        self.incoming = incoming.clone();
        self
    }

    /// Sends this along with the trace, after what a trusted caller sends. Default: nothing.
    pub fn baggage(mut self, baggage: Baggage) -> Self {
        self.baggage = baggage;
        self
    }

    /// Attaches a tag to everything in the run.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.labels.tag(key, value);
        self
    }

    /// Names the conversation that the run belongs to.
    pub fn conversation(mut self, id: impl Into<crate::message::ConversationId>) -> Self {
        self.labels.conversation = Some(id.into());
        self
    }

    /// Names the session that the run belongs to.
    pub fn session(mut self, id: impl Into<Arc<str>>) -> Self {
        self.labels.session = Some(id.into());
        self
    }

    /// Names the user on whose behalf it runs.
    pub fn user(mut self, id: impl Into<Arc<str>>) -> Self {
        self.labels.user = Some(id.into());
        self
    }

    /// Lets the caller cancel the run with a token of its own.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// Sets until when the run must be done, from now. Default: no deadline here; agents have one of their own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Begins the run.
    pub fn build(self) -> RunContext {
        let incoming = self.incoming;
        let is_trusted = incoming.is_trusted();
        let joined = incoming.caller().filter(|_| is_trusted);
        let mut run = Run::new(
            self.id.unwrap_or_else(RunId::random),
            self.observers,
            self.prices.unwrap_or_else(PriceBook::embedded),
            RunClock::start(&*self.clock),
            self.parent.or(joined),
        );
        let mut baggage = self.baggage;
        if is_trusted {
            run.trace_state = incoming.trace_state().clone();
            baggage = incoming.baggage().clone().and(&baggage);
        } else {
            run.linked = incoming.caller();
        }
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        RunContext {
            run: Arc::new(run),
            operation: None,
            call: None,
            is_retried: false,
            handed: Arc::new(Handed {
                labels: Arc::new(self.labels),
                agent: None,
                step: None,
                cancellation: self.cancellation,
                deadline,
                depth: 0,
                pace: None,
                within: None,
                ledger: self.ledger,
                request_key: None,
                attempt: Attempt::first(None),
                baggage,
                priority: crate::tool::Priority::NORMAL,
                holding: None,
            }),
        }
    }
}
