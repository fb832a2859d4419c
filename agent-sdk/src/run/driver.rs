//! The run loop's actions.
//!
//! It asks the [`Machine`] what to do, does it, commits what came of it to the journal, and only then tells the machine. A run
//! whose future is dropped leaves its conversation with one result for each call.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::operation::InSpan;

use super::{
    Command, Durable, End, Limit, Machine, RunError, RunReport, Within, durable::Opened,
    error::Cause, outputs,
};
use crate::{
    agent::Settings,
    journal::{Answered, Definition, GiveBack, Journal, Record, VERSION},
    message::{Conversation, Message, Role},
    model::{ChatEvent, ChatRequest, ChatResponse, ModelError, ToolChoice},
    operation::{
        AgentDetails, Details, Failure, Kind, Meter, Operation, Outcome, Payload, RunContext,
        Totals, decision,
    },
    session::SharedState,
};

/// What a run begins with.
pub(crate) struct Launch<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) context: RunContext,
    /// The caller's way to cancel this run alone; what cancels `context` cancels it too.
    pub(crate) stop: Option<CancellationToken>,
    /// Where its outcomes are to be kept: of the outermost agent of a run only.
    pub(crate) durable: Option<Durable>,
}

/// Runs an agent on a conversation to its end, and gives the conversation back through `target`.
pub(crate) async fn drive(
    launch: Launch<'_>,
    target: &mut Conversation,
) -> Result<RunReport, RunError> {
    let Launch {
        settings,
        context,
        stop,
        durable,
    } = launch;
    let place = context.within().cloned();
    let acting = place.as_ref().map(|within| within.settings(settings));
    let settings = acting.as_deref().unwrap_or(settings);
    let Opened {
        journal,
        context,
        refused,
    } = Opened::of(durable, context, settings, target).await;
    // Whatever still holds a context of this run when it is over writes nothing more.
    let _given_back = journal.as_deref().map(GiveBack);
    if let Some(asked) = journal.as_ref().and_then(|journal| journal.asked()) {
        *target = asked;
    }
    let operation = begin(settings, &context, target, journal.as_deref());
    let machine = Machine::new(std::mem::take(target), settings.limits);
    let mut live = Live { machine, target };
    let inner = operation
        .context()
        .clone()
        .with_timeout(settings.limits.timeout);
    let mut inner = inner.with_child_cancellation();
    if let Some(within) = context.place(operation.info().trace.span_id) {
        inner = inner.with_within(within);
    }
    // Whatever the run has set going learns that it is over, also where the run is dropped.
    let _over = inner.cancellation().clone().drop_guard();
    let mut driver = Driver {
        span: operation.span(),
        meter: Meter::of(&operation),
        settings,
        context: &inner,
        partial: String::new(),
    };

    if let Some(journal) = &journal {
        let ask_before = context.within().map(|within| &*within.control.ask_before);
        journal.begin_life(
            Meter::of(&operation),
            operation.info().trace,
            ask_before.unwrap_or_default(),
        );
    }
    let mut over = if let Some(cause) = refused {
        Err(cause)
    } else {
        let work = driver.guarded(&mut live.machine, stop.as_ref(), journal.as_ref());
        work.await
    };
    live.machine
        .settle("interrupted: the run stopped before the call had a result");
    let text = match over {
        Err(_) if !driver.partial.is_empty() => driver.partial,
        _ => live.last_answer(),
    };
    if over.is_ok() {
        let saved = outputs::save_answer(settings, &context, &text).await;
        over = saved.map_err(Cause::Output);
    }
    drop(live);
    outputs::list(settings, &operation);

    if let Some(journal) = &journal {
        Box::pin(end_life(journal, &over, &text)).await;
    }
    let summed = |mut report: RunReport| {
        if let Some(journal) = &journal {
            report.add_earlier(journal.before());
        }
        if let Some(within) = context.within().filter(|within| within.path.is_empty()) {
            report.questions = within.control.questions();
        }
        report
    };
    match over {
        Ok(()) => {
            let report = summed(operation.report(Outcome::Ok, Payload::Answer(&text)));
            outputs::save_report(settings, &context, report).await
        }
        Err(cause) => {
            let class = cause.class();
            say(&operation, &cause, &context);
            if !matches!(cause, Cause::Paused) {
                operation.record(|facts| {
                    facts.error = Some(Failure::new(class, format!("the run failed: {class}")));
                });
            }
            let report = operation.report(cause.outcome(), Payload::Answer(&text));
            Err(RunError::new(&settings.name, cause, summed(report)))
        }
    }
}

/// Says why the run stops, where the run itself decided that.
fn say(operation: &Operation, cause: &Cause, context: &RunContext) {
    match cause {
        Cause::Limit(limit) => decision::run_limit(operation, *limit),
        Cause::Truncated | Cause::Filtered => {
            decision::answer_refused(operation.span(), cause.class());
        }
        Cause::Paused => {
            let within = context.within();
            let questions = within.map_or(0, |within| within.control.questions().len());
            decision::run_paused(operation, questions);
        }
        _ => {}
    }
}

fn begin(
    settings: &Settings,
    context: &RunContext,
    conversation: &Conversation,
    journal: Option<&Journal>,
) -> Operation {
    let context = context.clone().with_labels(|labels| {
        for (key, value) in &settings.tags {
            labels.tag(key.clone(), value.clone());
        }
        if let Some(id) = conversation.id() {
            labels.conversation = Some(id.clone());
        }
        if let Some(kept) = journal.map(Journal::summary) {
            labels.user = labels.user.take().or_else(|| kept.user.clone());
            labels.session = labels.session.take().or_else(|| kept.session.clone());
        }
    });
    let details = AgentDetails {
        agent_type: settings.agent_type.clone(),
        description: settings.description.clone(),
        json_output: settings.output.is_json(),
        output_file: settings.output_file.clone(),
        model: Some(settings.model.info().clone()),
    };
    let mut start = context
        .start(Kind::Agent, settings.name.clone())
        .details(Details::Agent(details))
        .payload(Payload::Prompt(conversation));
    if let Some(earlier) = journal.and_then(|journal| journal.before().trace) {
        start = start.link(earlier);
    }
    start.begin()
}

/// A machine whose conversation goes back to its owner, however the run ends.
struct Live<'a> {
    machine: Machine,
    target: &'a mut Conversation,
}

impl Live<'_> {
    fn last_answer(&self) -> String {
        let last = self.machine.conversation().last();
        last.filter(|last| last.role == Role::Assistant)
            .map(Message::text)
            .unwrap_or_default()
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.machine
            .settle("interrupted: the run was dropped before the call had a result");
        *self.target = self.machine.take_conversation();
    }
}

/// Keeps how a life ended. One in which nothing was done is none.
async fn end_life(journal: &Journal, over: &Result<(), Cause>, text: &str) {
    if matches!(over, Ok(()) | Err(Cause::Changed(_))) && !journal.has_begun_life() {
        return;
    }
    let outcome = over.as_ref().map_or_else(Cause::outcome, |()| Outcome::Ok);
    let class = over.as_ref().err().map(|cause| cause.class().to_owned());
    if let Err(error) = journal.end_life(outcome, class, text).await {
        // Each outcome is kept already: whoever resumes the run finds it where it is.
        tracing::warn!(target: "agent_sdk::journal", error = &error as &dyn std::error::Error, "the end of a run was not kept");
    }
}

pub(super) struct Driver<'a> {
    span: &'a Span,
    /// What the agent and everything inside it came to.
    meter: Meter,
    pub(super) settings: &'a Settings,
    pub(super) context: &'a RunContext,
    /// What the model has written of an answer that is not whole yet.
    partial: String,
}

impl Driver<'_> {
    /// Runs until the end, the deadline or the cancellation.
    async fn guarded(
        &mut self,
        machine: &mut Machine,
        stop: Option<&CancellationToken>,
        journal: Option<&Arc<Journal>>,
    ) -> Result<(), Cause> {
        let context = self.context;
        let depth = self.settings.limits.max_depth;
        if context.depth() > depth {
            return Err(Cause::Limit(Limit::MaxDepth(depth)));
        }
        let work = self.run(machine);
        let time_is_up = async {
            match context.deadline() {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            match stop {
                Some(stop) => stop.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let lost = async {
            match (journal, context.within()) {
                (Some(journal), Some(within)) => {
                    Box::pin(journal.keep(&within.control.pausing)).await
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = context.cancellation().cancelled() => Err(Cause::Cancelled),
            error = lost => Err(Cause::Journal(error)),
            () = stopped => Err(Cause::Cancelled),
            () = time_is_up => Err(Cause::Timeout),
            ended = work => ended,
        }
    }

    async fn run(&mut self, machine: &mut Machine) -> Result<(), Cause> {
        if self.journal().is_some() {
            Box::pin(self.begin_or_go_on(machine)).await?;
        }
        loop {
            let command = machine.command();
            if self.is_pausing() && !matches!(command, Command::Finish(_)) {
                return Err(Cause::Paused);
            }
            match command {
                Command::CallModel => {
                    let (asked, before) = (Instant::now(), self.meter.totals());
                    let response = self.ask(machine).await.map_err(Cause::Model)?;
                    let took_ms = asked.elapsed().as_secs_f64() * 1e3;
                    let answered = Answered { response, took_ms };
                    let spent = self.meter.totals().since(&before);
                    self.apply(machine, Record::Answered(Box::new(answered)), spent)
                        .await?;
                    if let Command::CallTools(calls) = machine.command() {
                        let tools = &self.settings.tools;
                        decision::tools_chosen(self.context, machine.turns(), &calls, |name| {
                            tools.get(name).is_some()
                        });
                    }
                }
                Command::CallTools(calls) => self.call(machine, &calls).await?,
                Command::Finish(End::Answered) => match self.settings.output.check(machine) {
                    Ok(()) => return Ok(()),
                    Err(reason) => {
                        decision::answer_refused(self.span, "invalid_output");
                        let record = Record::OutputRejected { reason };
                        self.apply(machine, record, Totals::default()).await?;
                    }
                },
                Command::Finish(End::Truncated) => return Err(Cause::Truncated),
                Command::Finish(End::Filtered) => return Err(Cause::Filtered),
                Command::Finish(End::Limit(limit)) => return Err(Cause::Limit(limit)),
                Command::Finish(End::InvalidOutput) => return Err(Cause::InvalidOutput),
            }
        }
    }

    /// Brings a machine to where the journal says that the agent was, or journals that it begins.
    async fn begin_or_go_on(&self, machine: &mut Machine) -> Result<(), Cause> {
        let Some((within, journal)) = self.journal() else {
            return Ok(());
        };
        let now = Definition::of(self.settings);
        let earlier = journal.take_earlier(&within.path);
        let Some(Record::Started { definition, .. }) = earlier.first() else {
            let session = journal.session().filter(|_| within.path.is_empty());
            let started = Record::Started {
                version: VERSION,
                definition: now,
                conversation: match session {
                    Some(_) => Conversation::new(),
                    None => machine.conversation().clone(),
                },
                session: session.cloned(),
            };
            return self.commit(&[started], Totals::default()).await;
        };
        let changes = definition.changes(&now);
        if !changes.is_empty() && !within.control.accept_changes {
            return Err(Cause::Changed(changes));
        }
        for record in &earlier {
            self.share(record);
            if let Record::ToolReturned { files, .. } = record {
                outputs::remember(self.settings, files);
            }
        }
        decision::run_resumed(self.context, earlier.len());
        machine.fold(earlier).map_err(|number| {
            Cause::Changed(vec![format!(
                "the agent's limits are lower than they were: its record {number} does not fit them"
            )])
        })
    }

    pub(super) fn journal(&self) -> Option<(&Within, &Arc<Journal>)> {
        let within = self.context.within()?;
        Some((within, within.journal.as_ref()?))
    }

    pub(super) fn is_pausing(&self) -> bool {
        let pausing = self.context.within().and_then(|within| within.pausing());
        pausing.is_some_and(CancellationToken::is_cancelled)
    }

    pub(super) async fn commit(&self, records: &[Record], spent: Totals) -> Result<(), Cause> {
        let Some((within, journal)) = self.journal() else {
            return Ok(());
        };
        let kept = journal.commit(&within.path, records, spent);
        let kept = Box::pin(kept.in_span(self.span)).await;
        kept.map_err(Cause::Journal)
    }

    /// Lets a call's changes of the shared state be seen by the calls after it.
    fn share(&self, record: &Record) {
        if let Record::ToolReturned { changes, .. } = record
            && !changes.is_empty()
            && let Some(shared) = self.settings.state.get::<SharedState>()
        {
            shared.adopt(changes);
        }
    }

    /// Keeps a record, and what it took to come to it, and then tells the machine.
    pub(super) async fn apply(
        &self,
        machine: &mut Machine,
        record: Record,
        spent: Totals,
    ) -> Result<(), Cause> {
        self.commit(std::slice::from_ref(&record), spent).await?;
        self.share(&record);
        machine.apply(record);
        Ok(())
    }

    async fn ask(&mut self, machine: &Machine) -> Result<ChatResponse, ModelError> {
        let settings = self.settings;
        self.partial.clear();
        let request = ChatRequest {
            instructions: settings.instructions.clone(),
            conversation: machine.conversation().clone(),
            tools: settings.tools.specs().clone(),
            // A forced call is forced once: the answer to its result is the model's own.
            tool_choice: match &settings.tool_choice {
                ToolChoice::Required | ToolChoice::Tool(_) if machine.turns() > 0 => {
                    ToolChoice::Auto
                }
                choice => choice.clone(),
            },
            output: settings.output.format().clone(),
            settings: settings.chat.clone(),
            prompt: settings.prompt.clone(),
        };
        let keyed;
        let context = match self.journal() {
            // Asked again by another process, it is the same request.
            Some((within, _)) => {
                let key = within.request_key(self.context.run_id(), machine.turns() + 1);
                keyed = self.context.clone().with_request_key(key);
                &keyed
            }
            None => self.context,
        };
        let Some(pace) = context.pace() else {
            return settings.model.chat(context, request).await;
        };
        let mut stream = settings.model.stream(context, request).await?;
        while let Some(event) = stream.next().await {
            match event? {
                ChatEvent::Text(text) => self.partial.push_str(&text),
                ChatEvent::Done(response) => {
                    self.partial.clear();
                    return Ok(*response);
                }
                _ => {}
            }
            pace.room().await;
        }
        Err(ModelError::truncated(
            "the stream ended without its last event",
        ))
    }
}
