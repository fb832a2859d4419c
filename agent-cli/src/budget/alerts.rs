//! Who else is told of alerts, as budgets.toml says.

use agent_sdk::budget::{CommandAlerts, LedgerBuilder, WebhookAlerts};
use serde::Deserialize;

use super::failure;
use crate::exit::Failure;

/// An entry `[[alert]]`. A URL and a secret are named by the environment variable that has them: the file holds neither.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTo {
    webhook: Option<String>,
    #[serde(default)]
    form: Form,
    secret: Option<String>,
    command: Option<Vec<String>>,
}

/// The body of a webhook's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Slack,
}

impl AlertTo {
    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        match (&self.webhook, &self.command) {
            (Some(_), None) => None,
            (None, Some(_)) if self.secret.is_some() || self.form != Form::Json => {
                Some("`form` and `secret` belong to a `webhook`")
            }
            (None, Some(command)) if command.first().is_some_and(|it| !it.is_empty()) => None,
            (None, Some(_)) => {
                Some("`command` is a program and its arguments, such as [\"notify\", \"--urgent\"]")
            }
            _ => Some("an alert goes to a `webhook` or to a `command`: give one of them"),
        }
    }

    /// A ledger that tells it too.
    ///
    /// # Errors
    ///
    /// The variable is not set, or what it has is no URL to send to.
    pub(super) fn add(&self, ledger: LedgerBuilder) -> Result<LedgerBuilder, Failure> {
        if let Some(command) = &self.command {
            let (program, arguments) = command.split_first().unzip();
            let program = program.map_or("", String::as_str);
            let arguments = arguments.unwrap_or_default();
            return Ok(ledger.alert(CommandAlerts::new(program, arguments)));
        }
        let url = self.webhook.as_deref().unwrap_or_default();
        let mut webhook = WebhookAlerts::builder(variable("webhook", url)?);
        if self.form == Form::Slack {
            webhook = webhook.slack();
        }
        if let Some(secret) = &self.secret {
            webhook = webhook.secret(variable("secret", secret)?);
        }
        Ok(ledger.alert(webhook.build().map_err(|error| failure(&error))?))
    }
}

/// What an environment variable has.
fn variable(key: &str, name: &str) -> Result<String, Failure> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        Failure::usage(format!(
            "the environment variable {name}, which `{key}` of an alert in budgets.toml names, is not set"
        ))
        .advice("Set it, or take the alert out of the file.")
    })
}
