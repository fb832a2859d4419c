//! `agent budget`, and what the commands that ask models do with budgets.
//!
//! [`definitions`] reads budgets.toml, [`edit`] changes it, [`purse`] makes the ledger of a run out of it, [`list`] shows how the
//! accounts stand, [`told`] brings alerts to the terminal, [`alerts`] to whom else the file says.

mod alerts;
mod definitions;
mod edit;
mod list;
mod purse;
mod refusal;
#[cfg(test)]
mod tests;
mod told;

use agent_sdk::budget::{Budget, BudgetError, BudgetErrorKind, Dimension, Ledger, Scope};

use self::{definitions::Definitions, edit::Edit};
pub(crate) use self::{
    purse::{Purse, Stands},
    refusal::{advice, hint},
    told::Told,
};
use crate::{
    args::BudgetCommand,
    exit::{Exit, Failure},
    home::Home,
    output::Output,
    terminal::safe_line,
    text::counted,
};

/// The name of the budget that `--max-cost-usd` makes.
const OF_RUN: &str = "run";

/// Does what `agent budget` says.
///
/// # Errors
///
/// There is no such budget, budgets.toml has a mistake, or the accounts cannot be read or written.
pub(crate) fn run(what: &BudgetCommand, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    match what {
        BudgetCommand::Set(arguments) => {
            let before = Edit::begin(home.folder())?.set(arguments)?;
            set(&home, &arguments.name, before.as_ref(), output)?;
        }
        BudgetCommand::List { json } => list::run(&home, *json, output)?,
        BudgetCommand::Reset { name, scope } => {
            let (ledger, account) = accounts(&home, name, scope.as_deref())?;
            let reset = home.block_on(ledger.reset(name, account.as_deref()));
            changed(reset, scope.as_deref(), "begun anew", output)?;
        }
        BudgetCommand::AcceptDebt { name, scope } => {
            let (ledger, account) = accounts(&home, name, scope.as_deref())?;
            let accepted = home.block_on(ledger.accept_debt(name, account.as_deref()));
            changed(accepted, scope.as_deref(), "without a debt", output)?;
        }
        BudgetCommand::Remove { name } => {
            let edit = Edit::begin(home.folder())?;
            let (ledger, _) = accounts(&home, name, None)?;
            // If it comes back, it begins with nothing.
            let reset = home.block_on(ledger.reset(name, None));
            reset.map_err(|error| failure(&error))?;
            edit.remove(name)?;
            output.line(format_args!("removed budget {}", safe_line(name)))?;
        }
    }
    Ok(Exit::Ok)
}

/// Says what became of a budget. One that counts in another way begins anew.
fn set(
    home: &Home,
    name: &str,
    before: Option<&Budget>,
    output: &mut Output,
) -> Result<(), Failure> {
    let definitions = Definitions::read(home.folder())?;
    let shown = safe_line(name);
    let path = definitions.path.display();
    let Some(before) = before else {
        return output.line(format_args!("made budget {shown} in {path}"));
    };
    let now = definitions.get(name)?;
    if (&now.scope, &now.window) == (&before.scope, &before.window) {
        return output.line(format_args!("changed budget {shown} in {path}"));
    }
    let ledger = purse::open(home, definitions.budgets())?;
    home.block_on(ledger.reset(name, None))
        .map_err(|error| failure(&error))?;
    output.line(format_args!(
        "changed budget {shown} in {path}; it counts in another way now, and begins with nothing spent"
    ))
}

/// The ledger that has a budget, and the name of one of its accounts.
fn accounts(
    home: &Home,
    name: &str,
    scope: Option<&str>,
) -> Result<(Ledger, Option<String>), Failure> {
    if name == OF_RUN {
        let run = scope.ok_or_else(|| {
            Failure::usage("each run has a cap of its own").advice("Name it: `--scope RUN-ID`.")
        })?;
        let cap = Budget::per_run(OF_RUN).max_usd(agent_sdk::cost::Usd::MAX);
        let ledger = purse::open(home, [cap])?;
        return Ok((ledger, Some(run.to_owned())));
    }
    let definitions = Definitions::read(home.folder())?;
    let budget = definitions.get(name)?;
    let account = scope.map(|scope| account(&budget.scope, scope).to_owned());
    Ok((purse::open(home, definitions.budgets())?, account))
}

/// The account that is named: `alice`, or as a scope `user:alice`.
fn account<'a>(of: &Scope, named: &'a str) -> &'a str {
    if *of.dimension() == Dimension::Global && named == list::ALL {
        return "";
    }
    let dimension = Scope::each(of.dimension().clone()).to_string();
    let value = named.strip_prefix(&dimension);
    value
        .and_then(|value| value.strip_prefix(':'))
        .unwrap_or(named)
}

fn changed(
    accounts: Result<u64, BudgetError>,
    scope: Option<&str>,
    how: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    match (accounts.map_err(|error| failure(&error))?, scope) {
        (0, Some(scope)) => Err(Failure::usage(format!("there is no account {scope}"))
            .advice("`agent budget list` shows those that there are.")),
        (accounts, _) => output.line(format_args!("{} {how}", counted(accounts, "account"))),
    }
}

/// What a ledger says, as a failure of the command.
fn failure(error: &BudgetError) -> Failure {
    let exit = match error.kind() {
        BudgetErrorKind::Invalid => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string()).because(error)
}
