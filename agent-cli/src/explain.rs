//! What to say of a run that failed, and what to do about it.

use agent_sdk::{
    model::{ModelError, ModelErrorKind},
    run::{Limit, RunError, RunErrorKind},
    store::{StoreError, StoreErrorKind},
};

use crate::{
    budget,
    exit::{Exit, Failure},
    home,
    model::Chosen,
};

/// A run's failure with its causes; `exit` is the code of how it ended, `chosen` what was asked.
pub(crate) fn explain(error: &RunError, exit: Exit, chosen: &Chosen) -> Failure {
    let id = &error.report().run_id;
    if let Some(refused) = error.store_error() {
        return for_store(error, refused, exit);
    }
    if error.kind() == RunErrorKind::Changed {
        return Failure::usage(error.to_string()).advice(format!(
            "`agent resume {id} --accept-changes` goes on all the same, and `--max-turns N` raises a limit."
        ));
    }
    if let Some(refused) = error.budget_error() {
        let failure = Failure::new(exit, format!("the run stopped: {refused}")).because(refused);
        return failure.advice(budget::advice(refused));
    }
    let failure = Failure::new(exit, error.to_string()).because(error);
    match (error.model_error(), error.limit()) {
        (Some(error), _) => failure.advice(for_model(error, &chosen.key, &address(chosen))),
        (_, Some(Limit::MaxTurns(_))) => {
            failure.advice("`--max-turns N` allows more model calls. What it spent is above.")
        }
        _ => failure,
    }
}

fn for_store(error: &RunError, refused: &StoreError, exit: Exit) -> Failure {
    let id = &error.report().run_id;
    match refused.kind() {
        StoreErrorKind::Exists => home::exists(id.as_str()),
        StoreErrorKind::Held => Failure::new(exit, error.to_string())
            .because(error)
            .advice(format!("`agent interrupt {id}` asks it to pause.")),
        _ => Failure::new(exit, error.to_string()).because(error),
    }
}

/// Where the model is asked.
fn address(chosen: &Chosen) -> String {
    let info = chosen.model.info();
    let host = info.server_address.as_deref().unwrap_or("the address");
    match info.server_port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn for_model(error: &ModelError, key: &str, address: &str) -> String {
    match error.kind() {
        ModelErrorKind::Authentication => {
            format!("Look at the key in {key}, and at what it may do.")
        }
        ModelErrorKind::RateLimited => match error.retry_after() {
            Some(wait) => format!("Try again in {} s.", wait.as_secs_f64().ceil()),
            None => "Try again later.".to_owned(),
        },
        ModelErrorKind::Overloaded => "The server failed on its side: try again later.".to_owned(),
        ModelErrorKind::Quota => "The account has no quota left; waiting does not help.".to_owned(),
        ModelErrorKind::NotFound => {
            "Look at the name in `--model` and at the path of `--base-url`.".to_owned()
        }
        ModelErrorKind::Transport => format!("Is {address} right, and does it run?"),
        ModelErrorKind::Timeout => format!("{address} did not answer in time: try again later."),
        ModelErrorKind::ContextLength => {
            "Shorten the prompt, or take a model that reads more.".to_owned()
        }
        ModelErrorKind::Decode => {
            format!("Does {address} speak the OpenAI Chat Completions API at this path?")
        }
        _ => String::new(),
    }
}
