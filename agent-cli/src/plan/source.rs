//! The file that a plan is in, and what is wrong with it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use agent_sdk::plan::{Catalog, Plan, PlanError};
use serde::{Serialize, de::IgnoredAny};
use toml::de::{DeTable, DeValue};

use super::place;
use crate::{exit::Failure, output::Output, text::counted};

/// The longest file that is read, in bytes.
const BYTES: u64 = 16 << 20;

/// The most mistakes that are told: they must be found in the file, and read by somebody.
const TOLD: usize = 100;

/// A plan as it is written.
pub(super) struct Source {
    /// Which file, for people.
    name: String,
    text: String,
    is_json: bool,
}

/// A mistake in a plan, and where it is in the file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mistake {
    /// From 1, as the column is, in characters.
    line: usize,
    column: usize,
    /// Where in the plan, such as `steps[2].input`; empty for what is wrong with the file as a whole.
    place: String,
    message: String,
}

impl Source {
    /// Reads a file, or standard input where it is `-`. It is JSON or TOML by its ending, and if that says neither, JSON if it begins
    /// with a brace: no TOML does.
    ///
    /// # Errors
    ///
    /// It cannot be read, is too long, or is no text.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let is_input = path.as_os_str() == "-";
        let name = if is_input {
            "<stdin>".to_owned()
        } else {
            path.display().to_string()
        };
        let mut bytes = Vec::new();
        let read = if is_input {
            io::stdin().lock().take(BYTES + 1).read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|file| file.take(BYTES + 1).read_to_end(&mut bytes))
        };
        read.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
        if bytes.len() as u64 > BYTES {
            return Err(Failure::usage(format!("{name} is longer than 16 MiB"))
                .advice("Split the plan into several."));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::usage(format!("{name} is no UTF-8 text: byte {at} is wrong"))
                .advice("Convert it to UTF-8 first.")
        })?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        };
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let is_json = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        Ok(Self {
            name,
            text,
            is_json,
        })
    }

    /// The plan, which can be run with what is in the catalog.
    ///
    /// # Errors
    ///
    /// Every mistake in it.
    pub(super) fn plan(&self, catalog: &dyn Catalog) -> Result<Plan, Vec<Mistake>> {
        if self.is_json {
            let _: IgnoredAny =
                serde_json::from_str(&self.text).map_err(|error| vec![broken_json(&error)])?;
            checked(Plan::from_json(&self.text), catalog)
                .map_err(|wrong| self.located(&wrong, |place| place::in_json(&self.text, place)))
        } else {
            let (table, errors) = DeTable::parse_recoverable(&self.text);
            if !errors.is_empty() {
                let errors = errors.iter().take(TOLD);
                let mut mistakes: Vec<_> = errors.map(|error| self.broken_toml(error)).collect();
                mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
                return Err(mistakes);
            }
            let document = DeValue::Table(table.into_inner());
            checked(Plan::from_toml(&self.text), catalog)
                .map_err(|wrong| self.located(&wrong, |place| place::in_toml(&document, place)))
        }
    }

    fn located(&self, wrong: &PlanError, find: impl Fn(&str) -> usize) -> Vec<Mistake> {
        let problems = wrong.problems().iter().take(TOLD);
        let mut mistakes: Vec<_> = problems
            .map(|problem| self.at(find(&problem.place), &problem.place, &problem.message))
            .collect();
        let more = wrong.problems().len() - mistakes.len();
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        if let Some(last) = mistakes.last_mut().filter(|_| more > 0) {
            let more = counted(more as u64, "mistake");
            last.message = format!("{}; and {more} more", last.message);
        }
        mistakes
    }

    fn at(&self, offset: usize, place: &str, message: &str) -> Mistake {
        let before = self.text.get(..offset).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        Mistake {
            line: before.matches('\n').count() + 1,
            column: before.get(start..).unwrap_or_default().chars().count() + 1,
            place: place.to_owned(),
            message: one_line(message),
        }
    }

    fn broken_toml(&self, error: &toml::de::Error) -> Mistake {
        let offset = error.span().map_or(0, |span| span.start);
        let message = format!("this is no TOML: {}", error.message());
        self.at(offset, "", &message)
    }
}

fn checked(plan: Result<Plan, PlanError>, catalog: &dyn Catalog) -> Result<Plan, PlanError> {
    let plan = plan?;
    plan.check(catalog)?;
    Ok(plan)
}

fn broken_json(error: &serde_json::Error) -> Mistake {
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or(&text);
    Mistake {
        line: error.line().max(1),
        column: error.column().max(1),
        place: String::new(),
        message: format!("this is no JSON: {words}"),
    }
}

/// The lines of a message as one, without those that draw where in a text it is.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('|'));
    lines.collect::<Vec<_>>().join("; ")
}

/// Tells each mistake on a line of its own, and makes a failure of them.
pub(super) fn failure(source: &Source, mistakes: &[Mistake], output: &mut Output) -> Failure {
    let name = &source.name;
    for mistake in mistakes {
        let Mistake {
            line,
            column,
            place,
            message,
        } = mistake;
        let place = if place.is_empty() {
            String::new()
        } else {
            format!("{place}: ")
        };
        output.note(format_args!("{name}:{line}:{column}: {place}{message}"));
    }
    let many = counted(mistakes.len() as u64, "mistake");
    Failure::usage(format!("{name} is no plan that can be run: {many}"))
}
