//! `agent run`: asks a model, lets it use tools, and shows where time and money went.

use agent_sdk::{
    agent::Agent,
    message::{Conversation, Part},
    operation::RunContext,
};

use crate::{
    args::RunArguments,
    exit::{Exit, Failure},
    explain::explain,
    interrupt::{self, Interrupt},
    model::{self, Chosen, Tape},
    output::Output,
    prompt,
    screen::{Form, Screen},
    tools,
    watch::Watch,
};

/// The agent's name, in traces and messages.
const NAME: &str = "agent";

/// Does what `agent run` says.
///
/// # Errors
///
/// Something that was given cannot be used. Nothing was asked then.
pub(crate) fn run(arguments: RunArguments, mut output: Output) -> Result<Exit, Failure> {
    let prepared = prepare(&arguments, &mut output)?;
    interrupt::run(|interrupt| go(arguments, prepared, output, interrupt))
}

/// What a run needs.
struct Prepared {
    agent: Agent,
    prompt: String,
    chosen: Chosen,
    tape: Tape,
}

fn prepare(arguments: &RunArguments, output: &mut Output) -> Result<Prepared, Failure> {
    let tape = Tape::open(arguments.record.as_deref(), arguments.replay.as_deref())?;
    let chosen = model::choose(
        arguments.model.as_ref(),
        arguments.base_url.as_deref(),
        !arguments.no_stream,
        &tape,
        |name| std::env::var(name).ok(),
    )?;
    if let Some(path) = &arguments.replay {
        let path = path.display();
        output.note(format_args!(
            "replay: the answers come from `{path}`, no provider is asked"
        ));
    } else if let Some(warning) = &chosen.warning {
        output.note(warning);
    }
    let mut agent = Agent::builder(NAME, chosen.model.clone());
    if let Some(system) = &arguments.system {
        agent = agent.instructions(system);
    }
    if let Some(turns) = arguments.max_turns {
        agent = agent.max_turns(turns);
    }
    if let Some(workspace) = &arguments.workspace {
        let workspace = tools::workspace(workspace)?;
        agent = agent.tools(if arguments.write {
            workspace.tools()
        } else {
            workspace.read_tools()
        });
    }
    let agent = agent
        .build()
        .map_err(|error| Failure::usage(error.to_string()).because(&error))?;
    Ok(Prepared {
        agent,
        prompt: prompt::read(&arguments.prompt)?,
        chosen,
        tape,
    })
}

async fn go(
    arguments: RunArguments,
    prepared: Prepared,
    mut output: Output,
    interrupt: Interrupt,
) -> Exit {
    let watch = match Watch::start(arguments.metrics, arguments.verbose).await {
        Ok(watch) => watch,
        Err(failure) => {
            output.note(&failure);
            return failure.exit;
        }
    };
    if let Some(url) = watch.metrics_url() {
        output.note(format_args!("metrics: {url}"));
    }
    let form = if arguments.json {
        Form::Json
    } else {
        Form::Text
    };
    let mut screen = Screen::new(output, form, NAME, arguments.verbose, interrupt.clone());
    let observers = watch.observers().with_shared(screen.observer());
    let mut context = RunContext::builder()
        .observers(observers)
        .cancellation(interrupt.token().clone());
    for tag in arguments.tags {
        context = context.tag(tag.key, tag.value);
    }
    let exit = show(&mut screen, &prepared, &context.build(), &watch)
        .await
        .unwrap_or_else(|failure| {
            screen.output.note(&failure);
            failure.exit
        });
    for remark in prepared.tape.remarks() {
        screen.output.note(remark);
    }
    watch.end(&mut screen.output).await;
    exit
}

/// Runs the agent and shows all of it.
async fn show(
    screen: &mut Screen,
    prepared: &Prepared,
    context: &RunContext,
    watch: &Watch,
) -> Result<Exit, Failure> {
    let mut conversation = Conversation::from(prepared.prompt.as_str());
    let run = prepared
        .agent
        .run_with(&mut conversation)
        .context(context)
        .stream();
    let ended = screen.follow(run).await?;
    let report = match &ended {
        Ok(report) => report,
        Err(error) => error.report(),
    };
    let exit = screen.report(report)?;
    if watch.exports_traces() && !screen.output.is_closed() {
        screen
            .output
            .note(format_args!("trace: {}", report.trace_id));
    }
    match &ended {
        Ok(_) => {
            if let Some(refusal) = refusal(&conversation) {
                screen
                    .output
                    .note(format_args!("the model refused: {refusal}"));
            }
        }
        Err(_) if screen.output.is_closed() && exit == Exit::Ok => {}
        Err(error) => {
            let chosen = &prepared.chosen;
            let info = chosen.model.info();
            let host = info.server_address.as_deref().unwrap_or("the address");
            let address = match info.server_port {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            let failure = explain(error, exit, &chosen.key, &address);
            screen.output.note(&failure);
        }
    }
    Ok(exit)
}

/// What the model said in place of an answer.
fn refusal(conversation: &Conversation) -> Option<&str> {
    conversation
        .last()?
        .parts
        .iter()
        .find_map(|part| match part {
            Part::Refusal(refusal) => Some(refusal.as_str()),
            _ => None,
        })
}
