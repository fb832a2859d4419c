//! What a program is told of this process.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use tokio::process::Command;

use crate::tool::builtin::{BuiltinError, BuiltinErrorKind};

/// Where programs are, where nobody says otherwise.
pub(super) const WHERE: &str = "/usr/bin:/bin";

/// Words of which a variable with one in its name is taken to be a secret.
const WORDS: &[&str] = &[
    "KEY",
    "KEYS",
    "TOKEN",
    "TOKENS",
    "PASS",
    "PASSPHRASE",
    "PAT",
    "AUTH",
    "COOKIE",
    "DSN",
];

/// As [`WORDS`], also inside of others.
const PARTS: &[&str] = &[
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "APIKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
    "TOKEN",
];

/// The variables of a program.
#[derive(Default)]
pub(super) struct Environment {
    set: Vec<(String, String)>,
    kept: Vec<String>,
    secret: Vec<(String, SecretString)>,
}

impl Environment {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.set.push((name, value));
    }

    pub(super) fn keep(&mut self, name: String) {
        self.kept.push(name);
    }

    pub(super) fn secret(&mut self, name: String, value: SecretString) {
        self.secret.push((name, value));
    }

    pub(super) fn check(&self) -> Result<(), BuiltinError> {
        let plain = self.set.iter().map(|(name, _)| name).chain(&self.kept);
        if let Some(name) = plain.clone().find(|name| is_secret(name)) {
            return Err(BuiltinError::new(
                BuiltinErrorKind::Secret,
                format!(
                    "the variable {name:?} has the name of a secret: give its value with `secret` where a program shall have it"
                ),
            ));
        }
        let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        let mut names = plain.chain(self.secret.iter().map(|(name, _)| name));
        if let Some(name) = names.find(|name| !is_name(name)) {
            return Err(BuiltinError::invalid(format!(
                "{name:?} is no variable's name"
            )));
        }
        let values = self.set.iter().map(|(name, value)| (name, value.as_str()));
        let secrets = self.secret.iter();
        let mut values = values.chain(secrets.map(|(name, value)| (name, value.expose_secret())));
        match values.find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(BuiltinError::invalid(format!(
                "the value of the variable {name:?} holds a NUL character"
            ))),
            None => Ok(()),
        }
    }

    /// Gives a program its variables and no other.
    pub(super) fn give(&self, command: &mut Command, directory: &Path) {
        command
            .env_clear()
            .env("PATH", WHERE)
            .env("LANG", "C.UTF-8")
            .env("HOME", directory);
        for name in &self.kept {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in &self.set {
            command.env(name, value);
        }
        for (name, value) in &self.secret {
            command.env(name, value.expose_secret());
        }
    }

    pub(super) fn secrets(&self) -> Vec<SecretString> {
        let secrets = self.secret.iter().map(|(_, value)| value);
        secrets.cloned().collect()
    }
}

/// Whether a variable of this name is one of those that hold secrets.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| WORDS.contains(&word)) || PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_variables_with_names_of_secrets_are_known() {
        for name in [
            "OPENAI_API_KEY",
            "github_token",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "MY_SECRETS",
            "PGPASSWORD",
            "DB_PASS",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "SSH_AUTH_SOCK",
            "APIKEY",
            "Npm-Token",
            "SENTRY_DSN",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PATH",
            "LANG",
            "TERM",
            "CARGO_HOME",
            "KEYBOARD",
            "MONKEY",
            "PWD",
            "PATH_INFO",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
