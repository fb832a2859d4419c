//! What to do where a budget refused.

use agent_sdk::{
    budget::{BudgetError, BudgetErrorKind},
    operation::RunId,
};

use super::OF_RUN;

/// What can be done about a refusal, in sentences.
pub(crate) fn advice(error: &BudgetError) -> String {
    let is_of_run = error.budget() == Some(OF_RUN);
    let name = error.budget().unwrap_or("NAME");
    match error.kind() {
        BudgetErrorKind::Exhausted if is_of_run => {
            "Nothing was sent. A larger `--max-cost-usd` admits it; a shorter prompt or a cheaper model takes less.".to_owned()
        }
        BudgetErrorKind::Exhausted => format!(
            "Nothing was sent. `agent budget list` shows how it stands; `agent budget set {name}` raises a cap, `agent budget reset {name}` \
             begins it anew."
        ),
        BudgetErrorKind::Debt => {
            let scope = error.scope().map(|scope| format!(" --scope {scope}"));
            let scope = scope.unwrap_or_default();
            format!("Nothing was sent. `agent budget accept-debt {name}{scope}` takes it as spent.")
        }
        BudgetErrorKind::PriceUnknown => {
            "Nothing was sent. AGENT_SDK_PRICES names a file with prices of your own, and `agent prices` shows those that are known."
                .to_owned()
        }
        _ => String::new(),
    }
}

/// How a run goes on that a budget stopped.
pub(crate) fn hint(run: &RunId, error: Option<&BudgetError>) -> String {
    let go_on = format!("agent resume {run}");
    match error {
        Some(error)
            if error.budget() == Some(OF_RUN) && error.kind() == BudgetErrorKind::Exhausted =>
        {
            format!("run {run} can go on with a larger cap: {go_on} --max-cost-usd X")
        }
        _ => format!("run {run} can go on when there is budget again: {go_on}"),
    }
}
