//! How the command ends: its exit codes, and what it says when it fails.

use std::{fmt, process::ExitCode};

use agent_sdk::operation::Outcome;

/// The exit codes. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// The run failed.
    Failed = 1,
    /// The command line, an environment variable or a file it names is wrong; nothing ran.
    Usage = 2,
    /// A budget refused to go on.
    Budget = 3,
    /// A limit was reached: turns, tool calls, depth.
    Limit = 4,
    /// The run is paused: it waits for an answer, or to be resumed.
    Paused = 5,
    /// The user interrupted it.
    Interrupted = 130,
    /// It was asked to end (`SIGTERM`).
    Terminated = 143,
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok | Outcome::Skipped => Self::Ok,
            Outcome::Paused => Self::Paused,
            Outcome::Budget => Self::Budget,
            Outcome::Limit => Self::Limit,
            Outcome::Cancelled => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command failed: what went wrong, where, and what to do about it. It prints as one paragraph,
/// with the causes below.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    advice: String,
    causes: Vec<String>,
}

impl Failure {
    /// A failure that ends the command with this code; `what` names the place.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            advice: String::new(),
            causes: Vec::new(),
        }
    }

    /// The user gave something that cannot be used.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Names what is behind it: the sources of an error, each on a line of its own.
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Self {
        let sources = std::iter::successors(error.source(), |error| error.source());
        for cause in sources.map(ToString::to_string) {
            // Some errors repeat their sources' words.
            if !self.causes.iter().any(|said| said.contains(&cause)) {
                self.causes.push(cause);
            }
        }
        self
    }

    /// Says in which place it went wrong.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// What went wrong and what to do, without its causes, for whoever says it in another way.
    pub(crate) fn into_words(self) -> String {
        format!("{}. {}", self.what.trim_end_matches('.'), self.advice)
            .trim_end()
            .to_owned()
    }

    /// Says what to do: whole sentences, after those that were said already.
    pub(crate) fn advice(mut self, advice: impl AsRef<str>) -> Self {
        if !self.advice.is_empty() {
            self.advice.push(' ');
        }
        self.advice.push_str(advice.as_ref());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}.", self.what.trim_end_matches('.'))?;
        if !self.advice.is_empty() {
            write!(f, " {}", self.advice)?;
        }
        for cause in &self.causes {
            write!(f, "\n  because: {cause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let code = |outcome| Exit::from(outcome) as u8;
        assert_eq!(code(Outcome::Ok), 0);
        assert_eq!(code(Outcome::Error), 1);
        assert_eq!(code(Outcome::Timeout), 1);
        assert_eq!(code(Outcome::Budget), 3);
        assert_eq!(code(Outcome::Limit), 4);
        assert_eq!(code(Outcome::Paused), 5);
        assert_eq!(code(Outcome::Cancelled), 130);
    }

    #[test]
    fn a_failure_is_one_paragraph() {
        let failure = Failure::usage("`--at` is no time").advice("Write it so.");
        assert_eq!(
            failure.to_string(),
            "error: `--at` is no time. Write it so."
        );
        assert_eq!(Failure::usage("no.").to_string(), "error: no.");
    }
}
