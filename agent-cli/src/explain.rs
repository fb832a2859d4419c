//! What to say of a run that failed, and what to do about it.

use agent_sdk::{
    model::{ModelError, ModelErrorKind},
    run::{Limit, RunError},
};

use crate::exit::{Exit, Failure};

/// A run's failure with its causes; `key` is the variable of the model's key, `address` where the model was asked.
pub(crate) fn explain(error: &RunError, exit: Exit, key: &str, address: &str) -> Failure {
    let failure = Failure::new(exit, error.to_string()).because(error);
    let advice = match (error.model_error(), error.limit()) {
        (Some(error), _) => for_model(error, key, address),
        (_, Some(Limit::MaxTurns(_))) => {
            "`--max-turns N` allows more model calls. What it spent is above.".to_owned()
        }
        _ => String::new(),
    };
    failure.advice(advice)
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
