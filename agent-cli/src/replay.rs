//! `agent replay`: runs a run that is kept again, against what was recorded.

use agent_sdk::{run::Replayed, text::escape_json};
use serde_json::json;

use crate::{
    args::ReplayArguments,
    exit::{Exit, Failure},
    home::Home,
    interrupt,
    output::Output,
    recipe::Recipe,
    screen::{Form, Screen},
    terminal::{Paint, safe},
    text::counted,
};

/// Does what `agent replay` says.
///
/// # Errors
///
/// The run is not there, or its agent cannot be made again.
pub(crate) fn run(arguments: &ReplayArguments, output: Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let run = home.run(&arguments.id)?;
    if Recipe::is_of_plan(&run) {
        return Err(Failure::usage(format!(
            "run {} is a plan's, and plans are not replayed",
            run.id
        ))
        .advice("`agent runs show ID` has what happened."));
    }
    let mut recipe = Recipe::kept(&run)?;
    recipe.max_turns = arguments.max_turns.or(recipe.max_turns);
    let made = recipe.make_to_replay()?;
    let name = recipe.name().to_owned();
    let (store, id, json) = (home.store(), run.id.clone(), arguments.json);
    let mut request = made.agent.replay(run.id, store);
    if let Some(speed) = arguments.speed {
        request = request.speed(speed);
    }
    interrupt::run(|interrupt| async move {
        let mut screen = Screen::new(output, Form::Text, &name, true, interrupt.clone());
        let stopped = interrupt.token().clone();
        let replayed = tokio::select! {
            () = stopped.cancelled() => return interrupt.exit().unwrap_or(Exit::Interrupted),
            replayed = request => replayed,
        };
        let shown = match replayed {
            Ok(replayed) if json => print(&mut screen.output, &replayed),
            Ok(replayed) => show(&mut screen, id.as_str(), &replayed),
            Err(error) => Err(crate::home::failure(&error)),
        };
        shown.unwrap_or_else(|failure| {
            screen.output.note(&failure);
            failure.exit
        })
    })
}

fn exit(replayed: &Replayed) -> Exit {
    if replayed.differences.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    }
}

fn print(output: &mut Output, replayed: &Replayed) -> Result<Exit, Failure> {
    let json = json!({"report": replayed.report, "differences": replayed.differences});
    output.line(escape_json(&json.to_string()))?;
    Ok(exit(replayed))
}

fn show(screen: &mut Screen, id: &str, replayed: &Replayed) -> Result<Exit, Failure> {
    // How it ended is among the differences where that is another than it was.
    screen.report(&replayed.report)?;
    let differences = &replayed.differences;
    let style = screen.output.out_style;
    if differences.is_empty() {
        let label = style.paint(Paint::Strong, "Replay:");
        screen
            .output
            .line(format_args!("{label} run {id} goes as it went."))?;
        return Ok(Exit::Ok);
    }
    let count = counted(differences.len() as u64, "difference");
    let label = style.paint(Paint::Bad, "Replay:");
    screen.output.line(format_args!(
        "{label} run {id} does not go as it went: {count}."
    ))?;
    for difference in differences {
        let line = difference.to_string();
        screen.output.line(format_args!(
            "  {}: {}",
            difference.kind.as_str(),
            safe(&line).replace('\n', "\n    ")
        ))?;
    }
    Ok(Exit::Failed)
}
