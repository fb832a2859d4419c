//! `agent approve`: answers what a run asks about a tool call.

use agent_sdk::journal::Verdict;

use crate::{
    args::{Answer, ApproveArguments},
    exit::{Exit, Failure},
    home::{self, Home},
    output::Output,
    questions,
};

/// Does what `agent approve` says.
///
/// # Errors
///
/// There is no such run or no such question.
pub(crate) fn run(arguments: ApproveArguments, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let run = home.run(&arguments.id)?;
    let verdict = match (arguments.answer, arguments.reason) {
        (Answer::Yes, None) => Verdict::allow(),
        (Answer::Yes, Some(_)) => {
            return Err(Failure::usage("`--reason` goes with `no`")
                .advice("The model is told why a call may not be made."));
        }
        (Answer::No, reason) => Verdict::deny(reason.unwrap_or_default()),
    };
    let said = if verdict.allowed { "yes" } else { "no" };
    let verdict = verdict.by(home::user());
    let id = run.id.as_str();
    let question = home
        .wait(home.runs().answer(id, &arguments.call, verdict))
        .map_err(|failure| failure.advice(format!("`agent runs show {id}` lists what it asks.")))?;
    output.line(format_args!(
        "answered with {said}: {}",
        questions::call(&question)
    ))?;
    let open = home.wait(home.runs().questions(id))?;
    let then = match (home::status(&run, home::now()), open.as_slice()) {
        ("running", _) => "the run is under way, and takes the answer at once".to_owned(),
        (_, []) => format!("go on with: agent resume {id}"),
        (_, open) => format!(
            "{}\n{}",
            questions::waits(open),
            questions::list(id, open).trim_end()
        ),
    };
    output.line(then)?;
    Ok(Exit::Ok)
}
