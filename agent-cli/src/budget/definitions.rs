//! What budgets.toml says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_sdk::budget::{Budget, Caps, Limit, Scope, Window};
use serde::Deserialize;
use toml::Spanned;

use super::{OF_RUN, alerts::AlertTo};
use crate::{args::ModelName, exit::Failure};

/// The file in the folder of the store.
pub(super) const FILE: &str = "budgets.toml";

/// The longest file that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What is wrong with the file, and where.
#[derive(Debug)]
pub(super) struct Mistake {
    /// The line and the column, both from 1.
    pub(super) place: Option<(usize, usize)>,
    pub(super) what: String,
}

/// The user's budgets.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(super) path: PathBuf,
    pub(super) all: Vec<Definition>,
    /// Who is told of alerts, beside the terminal and the log.
    pub(super) alerts: Vec<AlertTo>,
}

/// A budget of the user's.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) budget: Budget,
    /// From which part of a cap on which other model is asked.
    pub(super) degrade: Option<(u8, ModelName)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    budget: Vec<Spanned<Entry>>,
    #[serde(default)]
    alert: Vec<Spanned<AlertTo>>,
}

/// A budget as the SDK writes one, and which model is asked at last.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<Arc<str>>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    window: Window,
    caps: Caps,
    #[serde(default)]
    limit: Limit,
    alerts: Option<Vec<u8>>,
    degrade: Option<Spanned<Degrade>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Degrade {
    at: u8,
    to: String,
}

impl Definitions {
    /// Reads the file in a folder; there need not be one.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a mistake; the failure names the place.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let text = read(&path)?;
        let parsed = parse(&text).map_err(|mistake| mistake.at(&path))?;
        Ok(Self { path, ..parsed })
    }

    /// Whether there is no budget.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All budgets.
    pub(super) fn budgets(&self) -> impl Iterator<Item = Budget> {
        self.all.iter().map(|definition| definition.budget.clone())
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub(super) fn get(&self, name: &str) -> Result<&Budget, Failure> {
        let found = self.all.iter().find(|it| &*it.budget.name == name);
        found
            .map(|definition| &definition.budget)
            .ok_or_else(|| unknown(name, &self.path))
    }
}

/// What a text defines.
pub(super) fn parse(text: &str) -> Result<Definitions, Mistake> {
    let wrong = |offset: Option<usize>, what: &str| Mistake {
        place: offset.map(|offset| place(text, offset)),
        what: what.trim_end().replace('\n', "; "),
    };
    let document: Document = toml::from_str(text)
        .map_err(|error| wrong(error.span().map(|span| span.start), error.message()))?;
    let mut all: Vec<Definition> = Vec::new();
    for entry in document.budget {
        let start = entry.span().start;
        let entry = entry.into_inner();
        let at_name = Some(entry.name.span().start);
        let name = entry.name.into_inner();
        if &*name == OF_RUN {
            let what = "`run` is the name of the cap that `--max-cost-usd` sets; choose another";
            return Err(wrong(at_name, what));
        }
        if all.iter().any(|other| other.budget.name == name) {
            return Err(wrong(
                at_name,
                &format!("two budgets have the name {name:?}"),
            ));
        }
        let mut budget = Budget::new(name).scope(entry.scope).window(entry.window);
        budget.caps = entry.caps;
        budget.limit = entry.limit;
        if let Some(alerts) = entry.alerts {
            budget = budget.alerts(alerts);
        }
        budget
            .check()
            .map_err(|error| wrong(Some(start), &error.to_string()))?;
        let degrade = match entry.degrade {
            None => None,
            Some(degrade) => {
                let start = degrade.span().start;
                let read = model(&degrade.into_inner());
                Some(read.map_err(|what| wrong(Some(start), &what))?)
            }
        };
        all.push(Definition { budget, degrade });
    }
    let mut alerts = Vec::new();
    for alert in document.alert {
        if let Some(mistake) = alert.get_ref().mistake() {
            return Err(wrong(Some(alert.span().start), mistake));
        }
        alerts.push(alert.into_inner());
    }
    Ok(Definitions {
        path: PathBuf::new(),
        all,
        alerts,
    })
}

impl Mistake {
    /// As a failure to use the file.
    pub(super) fn at(&self, path: &Path) -> Failure {
        let path = path.display();
        let failure = match self.place {
            Some((line, column)) => Failure::usage(format!(
                "{path}, line {line}, column {column}: {}",
                self.what
            )),
            None => Failure::usage(format!("{path}: {}", self.what)),
        };
        failure.advice("No model is asked until it is mended.")
    }
}

/// There is no such budget.
pub(super) fn unknown(name: &str, path: &Path) -> Failure {
    Failure::usage(format!("there is no budget {name} in {}", path.display()))
        .advice("`agent budget list` shows those that there are.")
}

/// The text of the file; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |what: &str| Failure::usage(format!("{} {what}", path.display()));
    match fs::metadata(path) {
        Ok(known) if known.len() > MOST_BYTES => return Err(failed("is larger than 1 MiB")),
        // Where there is no folder there is no file.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(String::new());
        }
        _ => {}
    }
    fs::read_to_string(path).map_err(|error| failed(&format!("cannot be read: {error}")))
}

fn model(degrade: &Degrade) -> Result<(u8, ModelName), String> {
    let Degrade { at, to } = degrade;
    if !(1..=100).contains(at) {
        return Err(format!("`at` is {at}, and should be from 1 to 100 percent"));
    }
    let model = to.parse();
    let model = model.map_err(|error| format!("`to` is {to:?}: {error}"))?;
    Ok((*at, model))
}

/// The line and the column of a byte, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
