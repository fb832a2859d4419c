//! `agent resume`: goes on with a run where it was.

use agent_sdk::{
    cost::Usd,
    journal::{Record, StoredRecord, StoredRun},
    message::Message,
    session::{Session, SessionErrorKind},
    text::escape_json,
};
use serde_json::json;

use crate::{
    args::ResumeArguments,
    budget::Purse,
    exit::{Exit, Failure},
    home::{self, Home},
    interrupt,
    output::Output,
    perform::{Job, Work, perform},
    plan,
    recipe::Recipe,
    sessions,
    terminal::safe,
    tree,
};

/// Does what `agent resume` says.
///
/// # Errors
///
/// The run is not there, is another process's, or cannot be made again.
pub(crate) fn run(arguments: ResumeArguments, mut output: Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let run = home.run(&arguments.id)?;
    let is_of_plan = Recipe::is_of_plan(&run);
    if !is_of_plan && (arguments.yes || !arguments.from_steps.is_empty()) {
        return Err(Failure::usage(format!("run {} is no plan's", run.id))
            .advice("`--from-step` and `--yes` are for plans."));
    }
    let session = session(&home, &run)?;
    // Where its session has not taken the answer in yet, it goes on to its end once more.
    if &*run.status == "ok" && session.is_none() && !is_of_plan {
        return again(&home, &run, arguments.shown.json, &mut output);
    }
    if let Some(holder) = run
        .holder
        .as_ref()
        .filter(|holder| holder.until > home::now())
    {
        return Err(Failure::new(
            Exit::Failed,
            format!("run {} is in the hands of {holder}", run.id),
        )
        .advice(format!(
            "`agent interrupt {}` asks it to pause; or wait for its end.",
            run.id
        )));
    }
    if is_of_plan {
        return plan::resume(&home, run, arguments, output);
    }
    let mut recipe = Recipe::kept(&run)?;
    recipe.max_turns = arguments.max_turns.or(recipe.max_turns);
    recipe.max_cost_usd = arguments.max_cost_usd.or(recipe.max_cost_usd);
    recipe.base_url = arguments.base_url.or(recipe.base_url);
    let made = recipe.make()?;
    if let Some(warning) = &made.chosen.warning {
        output.note(warning);
    }
    let purse = Purse::of(Some(&home), &recipe, &made.tape)?;
    if let Some(purse) = &purse {
        purse.count_earlier(&home, &run.id, spent(&home, &run)?)?;
    }
    let job = Job {
        made,
        recipe,
        id: run.id,
        user: run.summary.user.as_deref().map(str::to_owned),
        session,
        purse,
        work: Work::GoOn {
            store: home.store(),
            accept_changes: arguments.accept_changes,
        },
        shown: arguments.shown,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}

/// Prints the answer of a run that has ended. Nobody is asked, and nothing is written.
fn again(home: &Home, run: &StoredRun, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let records = home.wait(home.runs().records(run.id.as_str()))?;
    let answer = last_said(&records).map(Message::text).unwrap_or_default();
    let lives = records
        .iter()
        .filter(|record| matches!(record.record, Record::LifeBegan { .. }))
        .count();
    let id = &run.id;
    output.note(format_args!(
        "run {id} has ended already; this is its answer"
    ));
    let totals = &run.summary.totals;
    if json {
        let report = json!({
            "type": "run_report",
            "run_id": id,
            "outcome": run.status,
            "text": answer,
            "usage": totals.usage,
            "cost_usd": totals.cost,
            "unpriced_calls": totals.unpriced_calls,
            "model_calls": totals.model_calls,
            "tool_calls": totals.tool_calls,
            "lives": lives,
        });
        output.line(escape_json(&report.to_string()))?;
        return Ok(Exit::Ok);
    }
    output.line(safe(answer.trim_end()))?;
    let time = run.updated.duration_since(run.created);
    let sums = tree::Totals::of(totals, time.try_into().unwrap_or_default());
    output.line(format_args!("\n{}", sums.line(output.out_style)))?;
    Ok(Exit::Ok)
}

/// What all lives of a run have cost, killed ones included.
pub(crate) fn spent(home: &Home, run: &StoredRun) -> Result<Usd, Failure> {
    let records = home.wait(home.runs().records(run.id.as_str()))?;
    Ok(records.last().map_or(Usd::ZERO, |last| last.totals.cost))
}

/// What the outermost agent's model said last.
fn last_said(records: &[StoredRecord]) -> Option<&Message> {
    let own = records.iter().rev().filter(|it| it.path.is_empty());
    own.map(|it| &it.record).find_map(|record| match record {
        Record::Answered(answered) => Some(&answered.response.message),
        _ => None,
    })
}

/// The session that a run is under way in.
fn session(home: &Home, run: &StoredRun) -> Result<Option<Session>, Failure> {
    let Some(id) = &run.summary.session else {
        return Ok(None);
    };
    let user = run.summary.user.as_deref().map(str::to_owned);
    let session = home.block_on(sessions::of_user(home, user).open(id));
    match session {
        Ok(session) => Ok(Some(session).filter(|session| session.open_run() == Some(&run.id))),
        // The run can go on without it.
        Err(error) if error.kind() == SessionErrorKind::NotFound => Ok(None),
        Err(error) => Err(sessions::failure(&error)),
    }
}
