//! The run loop's actions.
//!
//! It asks the [`Machine`] what to do, does it, commits what came of it to the journal, and only then tells the machine. A run
//! whose future is dropped leaves its conversation with one result for each call.

use futures_util::StreamExt;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{Command, End, Limit, Machine, RunError, RunReport, error::Cause, outputs};
use crate::{
    agent::Settings,
    journal::{self, Record},
    message::{Conversation, Message, Role, ToolCall},
    model::{ChatEvent, ChatRequest, ChatResponse, ModelError, ToolChoice},
    operation::{AgentDetails, Details, Failure, Kind, Operation, Outcome, Payload, RunContext},
    tool::Batch,
};

/// Runs an agent on a conversation to its end, and gives the conversation back through `target`.
///
/// `stop` is the caller's way to cancel this run alone; what cancels `context` cancels it too.
pub(crate) async fn drive(
    settings: &Settings,
    context: &RunContext,
    stop: Option<&CancellationToken>,
    target: &mut Conversation,
) -> Result<RunReport, RunError> {
    let operation = begin(settings, context, target);
    let machine = Machine::new(std::mem::take(target), settings.limits);
    let mut live = Live { machine, target };
    let inner = operation
        .context()
        .clone()
        .with_timeout(settings.limits.timeout);
    let inner = inner.with_child_cancellation();
    // Whatever the run has set going learns that it is over, also where the run is dropped.
    let _over = inner.cancellation().clone().drop_guard();
    let mut driver = Driver {
        span: operation.span(),
        settings,
        context: &inner,
        partial: String::new(),
    };

    let mut over = driver.guarded(&mut live.machine, stop).await;
    live.machine.settle("not finished: the run was stopped");
    let text = match over {
        Err(_) if !driver.partial.is_empty() => driver.partial,
        _ => live.last_answer(),
    };
    if over.is_ok() {
        let saved = outputs::save_answer(settings, context, &text).await;
        over = saved.map_err(Cause::Output);
    }
    drop(live);
    outputs::list(settings, &operation);

    match over {
        Ok(()) => {
            let report = operation.report(Outcome::Ok, Payload::Answer(&text));
            outputs::save_report(settings, context, report).await
        }
        Err(cause) => {
            let class = cause.class();
            operation.record(|facts| {
                facts.error = Some(Failure::new(class, format!("the run failed: {class}")));
            });
            let report = operation.report(cause.outcome(), Payload::Answer(&text));
            Err(RunError::new(&settings.name, cause, report))
        }
    }
}

fn begin(settings: &Settings, context: &RunContext, conversation: &Conversation) -> Operation {
    let context = context.clone().with_labels(|labels| {
        for (key, value) in &settings.tags {
            labels.tag(key.clone(), value.clone());
        }
        if let Some(id) = conversation.id() {
            labels.conversation = Some(id.clone());
        }
    });
    let details = AgentDetails {
        agent_type: settings.agent_type.clone(),
        description: settings.description.clone(),
        json_output: settings.output.is_json(),
        output_file: settings.output_file.clone(),
    };
    context
        .start(Kind::Agent, settings.name.clone())
        .details(Details::Agent(details))
        .payload(Payload::Prompt(conversation))
        .begin()
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
        self.machine.settle("not finished: the run was dropped");
        *self.target = self.machine.take_conversation();
    }
}

struct Driver<'a> {
    span: &'a Span,
    settings: &'a Settings,
    context: &'a RunContext,
    /// What the model has written of an answer that is not whole yet.
    partial: String,
}

impl Driver<'_> {
    /// Runs until the end, the deadline or the cancellation.
    async fn guarded(
        &mut self,
        machine: &mut Machine,
        stop: Option<&CancellationToken>,
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
        tokio::select! {
            biased;
            () = context.cancellation().cancelled() => Err(Cause::Cancelled),
            () = stopped => Err(Cause::Cancelled),
            () = time_is_up => Err(Cause::Timeout),
            ended = work => ended,
        }
    }

    async fn run(&mut self, machine: &mut Machine) -> Result<(), Cause> {
        if self.context.journal().is_some() {
            let conversation = machine.conversation().clone();
            self.commit(&Record::Started {
                version: journal::VERSION,
                conversation,
            })
            .await?;
        }
        loop {
            match machine.command() {
                Command::CallModel => {
                    let response = self.ask(machine).await.map_err(Cause::Model)?;
                    self.apply(machine, Record::Answered(Box::new(response)))
                        .await?;
                }
                Command::CallTools(calls) => self.call(machine, &calls).await?,
                Command::Finish(End::Answered) => match self.settings.output.check(machine) {
                    Ok(()) => return Ok(()),
                    Err(reason) => {
                        self.apply(machine, Record::OutputRejected { reason })
                            .await?;
                    }
                },
                Command::Finish(End::Truncated) => return Err(Cause::Truncated),
                Command::Finish(End::Filtered) => return Err(Cause::Filtered),
                Command::Finish(End::Limit(limit)) => return Err(Cause::Limit(limit)),
                Command::Finish(End::InvalidOutput) => return Err(Cause::InvalidOutput),
            }
        }
    }

    async fn commit(&self, record: &Record) -> Result<(), Cause> {
        let Some((journal, path)) = self.context.journal() else {
            return Ok(());
        };
        let kept = journal
            .commit(path, record)
            .instrument(self.span.clone())
            .await;
        kept.map_err(Cause::Journal)
    }

    async fn apply(&self, machine: &mut Machine, record: Record) -> Result<(), Cause> {
        self.commit(&record).await?;
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
        };
        let Some(pace) = self.context.pace() else {
            return settings.model.chat(self.context, request).await;
        };
        let mut stream = settings.model.stream(self.context, request).await?;
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

    async fn call(&self, machine: &mut Machine, calls: &[ToolCall]) -> Result<(), Cause> {
        let Self {
            settings, context, ..
        } = self;
        let width = settings.limits.parallel_tools.get();
        let places = machine.pending();
        let mut batch = Batch::new(
            context,
            &settings.tools,
            &settings.state,
            width,
            calls,
            &places,
        );
        while let Some((place, result)) = batch.next().await {
            self.apply(machine, Record::ToolReturned { place, result })
                .await?;
        }
        Ok(())
    }
}
