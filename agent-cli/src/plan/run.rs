//! `agent plan run`.

use agent_sdk::plan::Open;

use super::{
    params,
    perform::{PlanJob, Start, perform},
    source::{self, Source},
    team::{self, Team},
    walk::asks_model,
};
use crate::{
    args::RunPlanArguments,
    exit::{Exit, Failure},
    interrupt,
    output::Output,
    recipe::Recipe,
    run::{remark, run_id, with_own_workspace},
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
    let start = Start::Plan { plan, params };
    let (shown, yes) = (arguments.shown, arguments.yes);
    let job = PlanJob::new(with, id, recipe, team, start, shown, yes)?;
    interrupt::run(|interrupt| perform(job, output, interrupt))
}
