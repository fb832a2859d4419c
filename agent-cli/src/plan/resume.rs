//! `agent resume` of a plan's run.

use agent_sdk::journal::StoredRun;

use super::{
    perform::{PlanJob, perform},
    team::Team,
};
use crate::{
    args::ResumeArguments,
    budget::Purse,
    exit::{Exit, Failure},
    home::Home,
    interrupt,
    output::Output,
    perform::Work,
    recipe::Recipe,
    resume::spent,
};

/// Goes on with a plan. One that has succeeded is shown again: nothing is asked, and nothing is written.
///
/// # Errors
///
/// Its agents cannot be made again.
pub(crate) fn run(
    home: &Home,
    run: StoredRun,
    arguments: ResumeArguments,
    mut output: Output,
) -> Result<Exit, Failure> {
    let mut recipe = Recipe::kept_of_plan(&run)?;
    recipe.max_turns = arguments.max_turns.or(recipe.max_turns);
    recipe.max_cost_usd = arguments.max_cost_usd.or(recipe.max_cost_usd);
    recipe.base_url = arguments.base_url.or(recipe.base_url);
    let is_over = &*run.status == "ok" && arguments.from_steps.is_empty();
    let team = if is_over {
        output.note(format_args!(
            "run {} has ended already; this is what it came to",
            run.id
        ));
        Team::make_without_key(&recipe)?
    } else {
        Team::make(&recipe)?
    };
    let warning = team.chosen.as_ref();
    let warning = warning.and_then(|chosen| chosen.warning.as_ref());
    if let Some(warning) = warning.filter(|_| !is_over) {
        output.note(warning);
    }
    let purse = if is_over {
        None
    } else {
        Purse::of(Some(home), &recipe, &team.tape)?
    };
    if let Some(purse) = &purse {
        purse.count_earlier(home, &run.id, spent(home, &run)?)?;
    }
    let job = PlanJob {
        team,
        recipe,
        user: run.summary.user.as_deref().map(str::to_owned),
        id: run.id,
        purse,
        work: Work::GoOn {
            store: home.store(),
            accept_changes: arguments.accept_changes,
        },
        from_steps: arguments.from_steps,
        shown: arguments.shown,
        yes: arguments.yes,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}
