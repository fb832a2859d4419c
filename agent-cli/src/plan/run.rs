//! `agent plan run`.

use agent_sdk::plan::Open;

use super::{
    params,
    perform::{PlanJob, PlanWork, perform},
    source::{self, Source},
    team::{self, Team},
    walk::asks_model,
};
use crate::{
    args::RunPlanArguments,
    budget::Purse,
    exit::{Exit, Failure},
    interrupt,
    output::Output,
    perform::Keep,
    recipe::Recipe,
    run::{home_for, remark, run_id, with_own_workspace},
};

/// Runs a plan. It is read, held against what there is, and given its parameters before any model is asked; one whose steps ask none
/// needs none.
pub(super) fn run(arguments: RunPlanArguments, mut output: Output) -> Result<Exit, Failure> {
    let source = Source::read(&arguments.file)?;
    let plan = match source.plan(&Open) {
        Ok(plan) => plan,
        Err(mistakes) => return Err(source::failure(&source, &mistakes, &mut output)),
    };
    let given = params::of(&plan, &arguments.given)?;
    let params = params::filled(&plan, &given, &mut output)?;
    let with = arguments.with;
    let mut recipe = if asks_model(&plan) {
        Recipe::of_agents(&with)?
    } else {
        Recipe::of_tools(&with)?
    };
    let id = run_id(&with)?;
    let team = with_own_workspace(&mut recipe, &plan.name, &id, Team::make)?;
    if let Err(mistakes) = source.plan(&team.registry) {
        return Err(source::failure(&source, &mistakes, &mut output).advice(team::ADVICE));
    }
    remark(&with, team.chosen.as_ref(), &mut output);
    let application = recipe.to_value_of_plan(team.chosen.as_ref())?;
    let home = home_for(&with, &id)?;
    let purse = Purse::of(home.as_ref(), &recipe, &team.tape)?;
    let keep = home.as_ref().map(|home| Keep {
        store: home.store(),
        application,
    });
    let job = PlanJob {
        team,
        recipe,
        id,
        user: with.user,
        purse,
        work: PlanWork::Begin { plan, params, keep },
        shown: arguments.shown,
        yes: arguments.yes,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}
