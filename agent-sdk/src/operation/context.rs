//! The context that is passed down through a run.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{
    Details, EventKind, Joined, Kind, Labels, Observer, Opening, Operation, OperationHandle,
    OperationInfo, Payload, Run, RunContextBuilder, RunId, Shared, SpanId, StepDetails,
    TraceContext, Watching,
    handed::{Attempt, Handed},
    shared::open_span,
};
use crate::{
    budget::{Ledger, Standing},
    run::{Pace, Within},
    tool::{Holding, Priority},
};

/// What is passed down through a run: who watches, who may cancel, until when, and under which operation.
///
/// It is explicit and cheap to clone; there is nothing global. The operation that a context belongs to is the parent of those
/// started from it. Each run has its own: [`RunContext::new`] begins one.
#[derive(Clone)]
pub struct RunContext {
    pub(super) run: Arc<Run>,
    pub(super) operation: Option<Arc<Shared>>,
    /// The place of the call whose code the context was given to, in a run that nobody keeps or steers.
    pub(super) call: Option<Arc<str>>,
    /// Whether what is around is tried again as a whole.
    pub(super) is_retried: bool,
    pub(super) handed: Arc<Handed>,
}

impl RunContext {
    /// A new run that nobody watches.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for a new run.
    pub fn builder() -> RunContextBuilder {
        RunContextBuilder::default()
    }

    /// The run's id.
    pub fn run_id(&self) -> &RunId {
        &self.run.id
    }

    /// What the caller attached to the run.
    pub fn labels(&self) -> &Labels {
        &self.handed.labels
    }

    /// Adds a tag to everything started from the context that is returned.
    #[must_use]
    pub fn with_tag(self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.with_labels(|labels| labels.tag(key, value))
    }

    /// Changes the labels of everything started from the context that is returned.
    #[must_use]
    pub(crate) fn with_labels(self, change: impl FnOnce(&mut Labels)) -> Self {
        self.with(|handed| change(Arc::make_mut(&mut handed.labels)))
    }

    /// A context that hands on something else.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Handed)) -> Self {
        change(Arc::make_mut(&mut self.handed));
        self
    }

    /// Tells whoever works under this context to stop.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.handed.cancellation
    }

    /// A context whose cancellation is its own, and follows this one's.
    #[must_use]
    pub fn with_child_cancellation(self) -> Self {
        self.with(|handed| handed.cancellation = handed.cancellation.child_token())
    }

    /// Until when the work must be done.
    pub fn deadline(&self) -> Option<Instant> {
        self.handed.deadline
    }

    /// The time left until the deadline.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// A context that must be done within this time, or by its own deadline where that is earlier.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return self;
        };
        self.with(|handed| {
            let earlier = handed.deadline.unwrap_or(deadline);
            handed.deadline = Some(earlier.min(deadline));
        })
    }

    /// A context that nobody but its holder cancels, with a deadline of its own or none: for work that others wait for as well.
    #[must_use]
    pub(crate) fn detached(self, limit: Option<Duration>) -> Self {
        let detached = self.with(|handed| {
            handed.cancellation = CancellationToken::new();
            handed.deadline = None;
        });
        match limit {
            Some(limit) => detached.with_timeout(limit),
            None => detached,
        }
    }

    /// How much the tool calls matter that are made under this context, where they wait for a
    /// [`ToolScheduler`](crate::tool::ToolScheduler).
    pub fn priority(&self) -> Priority {
        self.handed.priority
    }

    /// A context whose tool calls matter so much.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        self.with(|handed| handed.priority = priority)
    }

    /// What the tool calls around this context hold.
    pub(crate) fn holding(&self) -> Option<&Arc<Holding>> {
        self.handed.holding.as_ref()
    }

    /// The context of a tool call that holds something.
    #[must_use]
    pub(crate) fn with_holding(self, holding: Arc<Holding>) -> Self {
        self.with(|handed| handed.holding = Some(holding))
    }

    /// Whether what is around this context is tried again as a whole where it fails: then nothing inside is, so that tries of one
    /// layer are not multiplied by those of another.
    pub(crate) fn is_retried(&self) -> bool {
        self.is_retried
    }

    /// The context of what is tried again as a whole.
    #[must_use]
    pub(crate) fn retried(mut self) -> Self {
        self.is_retried = true;
        self
    }

    /// What may be spent.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.handed.ledger.as_ref()
    }

    /// Whether somebody is asked before a request is sent.
    pub(crate) fn admits(&self) -> bool {
        self.ledger().is_some() || self.run.prices.denies_unknown()
    }

    /// A context whose spending is admitted by another ledger, or by none.
    #[must_use]
    pub fn with_ledger(self, ledger: Option<Ledger>) -> Self {
        self.with(|handed| handed.ledger = ledger)
    }

    /// The names of the operations of a kind around this context, each once, the innermost first.
    pub(crate) fn names_around(&self, kind: Kind) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        let mut above = self.operation.as_ref();
        while let Some(shared) = above {
            if shared.info.kind == kind && !names.contains(&shared.info.name) {
                names.push(shared.info.name.clone());
            }
            above = shared.parent.as_ref();
        }
        names
    }

    /// Tells the agents and workflows around this context how a budget stands.
    pub(crate) fn stands(&self, standing: &Standing) {
        self.watching().stands(standing);
    }

    /// Who watches, for whoever tells them something later.
    pub(crate) fn watching(&self) -> Watching {
        Watching::new(&self.run, self.operation.clone())
    }

    /// Streams what models write, no faster than the reader of `pace` takes it.
    #[must_use]
    pub(crate) fn with_pace(self, pace: Arc<Pace>) -> Self {
        self.run.subscribe(pace.clone());
        self.with_room(pace)
    }

    /// Streams what models write, no faster than `pace` lets it; whoever reads that is told by somebody else.
    #[must_use]
    pub(crate) fn with_room(self, pace: Arc<Pace>) -> Self {
        self.with(|handed| handed.pace = Some(pace))
    }

    /// A context of another run in the same trace, with the same observers, prices, deadline and cancellation.
    pub(crate) fn with_own_run(&self, id: Option<RunId>) -> Self {
        let mut run = Run::new(
            id.unwrap_or_else(RunId::random),
            self.run.observers.clone(),
            self.run.prices.clone(),
            self.run.clock.restarted(),
            self.trace(),
        );
        run.trace_state = self.run.trace_state.clone();
        Self {
            run: Arc::new(run),
            operation: None,
            call: None,
            is_retried: self.is_retried,
            handed: Arc::new(Handed {
                agent: self.agent().cloned(),
                step: self.step().cloned(),
                pace: None,
                within: None,
                request_key: None,
                attempt: Attempt::first(None),
                ..Handed::clone(&self.handed)
            }),
        }
    }

    /// Lets the run's events go on after this number, where an earlier life had others.
    pub(crate) fn continue_seq(&self, seq: u64) {
        self.run.continue_seq(seq);
    }

    pub(crate) fn pace(&self) -> Option<&Pace> {
        self.handed.pace.as_deref()
    }

    /// Says where the agent of this context stands in its run.
    #[must_use]
    pub(crate) fn with_within(self, within: Within) -> Self {
        self.with(|handed| handed.within = Some(Arc::new(within)))
    }

    /// Where the agent of this context stands in its run; `None` outside of agents.
    pub(crate) fn within(&self) -> Option<&Arc<Within>> {
        self.handed.within.as_ref()
    }

    /// Where an agent that begins here stands in its run; `None` where it is the outermost of one that nobody keeps or steers.
    pub(crate) fn place(&self, span: SpanId) -> Option<Within> {
        match (self.within(), &self.call) {
            (Some(within), _) => Some(within.begin(span)),
            (None, Some(call)) => Some(Within::default().inside_tool(call).begin(span)),
            (None, None) => None,
        }
    }

    /// The context of an agent inside a call.
    #[must_use]
    pub(crate) fn inside_call(self, path: &str) -> Self {
        let within = self.handed.within.as_deref().cloned();
        self.with_within(within.unwrap_or_default().inside(path))
    }

    /// The context of a tool's own code.
    #[must_use]
    pub(crate) fn inside_tool(mut self, path: &Arc<str>) -> Self {
        if let Some(within) = self.within() {
            let inside = within.inside_tool(path);
            return self.with_within(inside);
        }
        self.call = Some(path.clone());
        self
    }

    /// The place in the run of a call that the agent of this context makes.
    pub(crate) fn call_path(&self, turn: u32, call: &str) -> Arc<str> {
        let around = self.within().map_or("", |within| &within.path);
        // The id is the model's, and may not pass for two.
        let escaped;
        let call = if call.contains('/') {
            escaped = call.replace('/', "%2F");
            &escaped
        } else {
            call
        };
        match around {
            "" => format!("{turn}/{call}").into(),
            around => format!("{around}/{turn}/{call}").into(),
        }
    }

    /// Gives the next model request a key that is the same in every process that makes it.
    #[must_use]
    pub(crate) fn with_request_key(self, key: impl Into<Arc<str>>) -> Self {
        self.with(|handed| handed.request_key = Some(key.into()))
    }

    /// A context for one try of a model request.
    #[must_use]
    pub(crate) fn with_attempt(self, attempt: Attempt) -> Self {
        self.with(|handed| handed.attempt = attempt)
    }

    /// Which try of its request a [`Model`](crate::model::Model) is asked for, from 1.
    pub fn attempt_number(&self) -> u32 {
        self.handed.attempt.number
    }

    /// The key that all tries of one model request share, where it may be tried again: for the model to send along, so that a
    /// provider that knows such keys answers them once.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.handed.attempt.idempotency_key.as_deref()
    }

    /// How many agents are around this context, one inside the other.
    pub fn depth(&self) -> u8 {
        self.handed.depth
    }

    /// The agent that operations of this context belong to.
    fn agent(&self) -> Option<&Arc<str>> {
        match &self.operation {
            Some(shared) => shared.info.agent.as_ref(),
            None => self.handed.agent.as_ref(),
        }
    }

    /// The id of the plan's step that operations of this context belong to.
    fn step(&self) -> Option<&Arc<str>> {
        match &self.operation {
            Some(shared) => shared.info.step.as_ref(),
            None => self.handed.step.as_ref(),
        }
    }

    /// The trace that operations of this context belong to, once there is one.
    pub fn trace(&self) -> Option<TraceContext> {
        self.operation
            .as_ref()
            .map(|shared| shared.info.trace)
            .or(self.run.parent)
    }

    /// The span of the operation that this context belongs to; a disabled one outside of all.
    pub(crate) fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.operation
            .as_ref()
            .map_or(&NONE, |shared| &shared.info.span)
    }

    /// The operation that this context belongs to.
    pub fn operation(&self) -> Option<OperationHandle> {
        let shared = self.operation.clone()?;
        Some(OperationHandle {
            run: self.run.clone(),
            shared,
            context: self.clone(),
            joined: None,
        })
    }

    /// Begins to describe an operation under this one.
    pub fn start(&self, kind: Kind, name: impl Into<Arc<str>>) -> Start<'_> {
        Start {
            context: self,
            kind,
            name: name.into(),
            details: Details::None,
            links: Vec::new(),
            payload: Payload::None,
        }
    }

    /// Adds an observer to the run, from now on.
    pub fn subscribe(&self, observer: Arc<dyn Observer>) {
        self.run.subscribe(observer);
    }

    /// Publishes an event of the operation that this context belongs to; built only where somebody listens.
    pub fn publish(&self, event: impl FnOnce() -> EventKind) {
        self.run
            .publish(self.operation.as_ref().map(|shared| &shared.info), event);
    }
}

impl Default for RunContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext")
            .field("run_id", &self.run.id)
            .field(
                "operation",
                &self.operation.as_ref().map(|shared| shared.info.id),
            )
            .field("deadline", &self.handed.deadline)
            .field("depth", &self.handed.depth)
            .finish_non_exhaustive()
    }
}

/// An operation that is about to start; made by [`RunContext::start`].
#[derive(Debug)]
#[must_use = "nothing starts until `begin` is called"]
pub struct Start<'a> {
    context: &'a RunContext,
    kind: Kind,
    name: Arc<str>,
    details: Details,
    links: Vec<TraceContext>,
    payload: Payload<'a>,
}

impl<'a> Start<'a> {
    /// What only its kind has.
    pub fn details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// Links it to an operation that it waited for or replaces.
    pub fn link(mut self, other: TraceContext) -> Self {
        self.links.push(other);
        self
    }

    /// The content that goes with the start.
    pub fn payload(mut self, payload: Payload<'a>) -> Self {
        self.payload = payload;
        self
    }

    /// Starts it: its span opens and observers hear of it.
    ///
    /// Where the context's own operation has ended already, it hangs under the nearest one that is still open; where none is,
    /// it starts a root of its own, linked to the operation that it came from.
    pub fn begin(self) -> Operation {
        let Self {
            context,
            kind,
            name,
            details,
            mut links,
            payload,
        } = self;
        let run = &context.run;
        let asked = context.operation.as_ref();
        if let Some(around) = asked.filter(|asked| run.is_inside_its_like(asked, kind)) {
            return join(context, around, &details);
        }
        let speaks = matches!(payload, Payload::Request(_));
        let agent = if kind == Kind::Agent {
            Some(name.clone())
        } else {
            context.agent().cloned()
        };
        let step = match &details {
            Details::Step(StepDetails { id: Some(id), .. }) => Some(id),
            _ => context.step(),
        };
        let step = step.cloned();
        let shared = run.start(asked, payload, |id, parent| {
            match (asked, &parent) {
                (Some(asked), None) => links.push(asked.info.trace),
                (None, None) => links.extend(run.linked),
                _ => {}
            }
            let above = parent.as_deref();
            let ids = run.observers.ids();
            let identity = ids.identify(&Opening {
                kind,
                name: &name,
                details: &details,
                agent: agent.as_deref(),
                parent: above.map(|above| &above.info),
                caller: run.parent,
                run_id: &run.id,
                labels: &context.handed.labels,
                baggage: &context.handed.baggage,
                trace_state: &run.trace_state,
            });
            let span = open_span(
                kind,
                &name,
                &details,
                agent.as_deref(),
                above.map(|above| &above.info.span),
            );
            ids.opened(&identity, &span);
            let started_at = Instant::now();
            let info = OperationInfo {
                id,
                parent: parent.as_ref().map(|parent| parent.info.id),
                run_id: run.id.clone(),
                kind,
                name,
                trace: identity.trace,
                parent_trace: identity.parent,
                links,
                started: run.clock.wall(started_at),
                started_at,
                agent,
                step,
                labels: context.handed.labels.clone(),
                details,
                span,
                attachment: identity.attachment,
            };
            // A refresh meanwhile changes nothing for a request that is under way.
            let prices = kind.is_priced().then(|| run.prices.snapshot());
            Shared::new(info, parent, prices, speaks)
        });
        let context = context.inside(kind, &shared);
        Operation {
            handle: OperationHandle {
                run: run.clone(),
                shared,
                context,
                joined: None,
            },
        }
    }
}

/// A request inside a request of its kind, which is the operation of both.
fn join(context: &RunContext, around: &Arc<Shared>, details: &Details) -> Operation {
    Operation {
        handle: OperationHandle {
            run: context.run.clone(),
            shared: around.clone(),
            context: context.inside(around.info.kind, around),
            joined: Some(Arc::new(Joined::new(details.model().cloned()))),
        },
    }
}

impl RunContext {
    /// A context for what is inside an operation. Another request is no try of the one around it, and must not have its key.
    fn inside(&self, kind: Kind, shared: &Arc<Shared>) -> Self {
        let context = Self {
            operation: Some(shared.clone()),
            ..self.clone()
        };
        match kind {
            Kind::Agent => context.with(|handed| handed.depth = handed.depth.saturating_add(1)),
            Kind::Chat => context.with(|handed| {
                let key = handed.request_key.take();
                let key = key.map(|key| format!("{key}:{}", shared.info.name).into());
                handed.attempt = Attempt::first(key);
            }),
            _ => context,
        }
    }
}
