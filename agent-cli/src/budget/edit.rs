//! Changes of budgets.toml. What they do not name stays as it is, comments included.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use agent_sdk::budget::{Budget, Measure};
use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value,
};

use super::definitions::{self, Definition};
use crate::{
    args::SetBudgetArguments,
    exit::{Exit, Failure},
    file,
};

/// The file, read and not yet written. No other command changes it meanwhile.
pub(super) struct Edit {
    path: PathBuf,
    /// The budgets that were there.
    before: Vec<Definition>,
    document: DocumentMut,
    _lock: File,
}

impl Edit {
    /// Reads the file in a folder, for this command alone.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a mistake.
    pub(super) fn begin(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(definitions::FILE);
        let lock = lock(&folder.join("budgets.lock")).map_err(|error| {
            let what = format!("{} cannot be locked: {error}", path.display());
            Failure::new(Exit::Failed, what)
        })?;
        let text = definitions::read(&path)?;
        let before = definitions::parse(&text).map_err(|mistake| mistake.at(&path))?;
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            Failure::usage(format!("{}: {}", path.display(), error.message()))
        })?;
        Ok(Self {
            path,
            before: before.all,
            document,
            _lock: lock,
        })
    }

    /// Makes a budget or changes one; answers with how it was before.
    ///
    /// # Errors
    ///
    /// It is no budget then, or the file cannot be written.
    pub(super) fn set(mut self, arguments: &SetBudgetArguments) -> Result<Option<Budget>, Failure> {
        let name = &arguments.name;
        let budgets = self.budgets()?;
        let known = position(budgets, name);
        if known.is_none() {
            let mut new = Table::new();
            new.insert("name", value(name));
            new.insert("caps", value(InlineTable::new()));
            budgets.push(new);
        }
        let last = budgets.len().saturating_sub(1);
        if let Some(budget) = budgets.get_mut(known.unwrap_or(last)) {
            change(budget, arguments);
        }
        self.write()?;
        let mut before = self.before.into_iter().map(|it| it.budget);
        Ok(before.find(|budget| *budget.name == **name))
    }

    /// Removes a budget.
    ///
    /// # Errors
    ///
    /// It is not there, or the file cannot be written.
    pub(super) fn remove(mut self, name: &str) -> Result<(), Failure> {
        let budgets = self.budgets()?;
        let Some(place) = position(budgets, name) else {
            return Err(definitions::unknown(name, &self.path));
        };
        budgets.remove(place);
        if budgets.is_empty() {
            self.document.remove("budget");
        }
        self.write()
    }

    fn budgets(&mut self) -> Result<&mut ArrayOfTables, Failure> {
        let path = &self.path;
        let item = self.document.entry("budget");
        let item = item.or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut().ok_or_else(|| {
            Failure::usage(format!("{} has its budgets in one array", path.display()))
                .advice("Write each as a table `[[budget]]`, or change the file by hand.")
        })
    }

    /// Writes the file, if it can be read again.
    fn write(&self) -> Result<(), Failure> {
        let text = self.document.to_string();
        definitions::parse(&text).map_err(|mistake| Failure::usage(mistake.what))?;
        file::write(&self.path, text.trim_end()).map(drop)
    }
}

fn position(budgets: &ArrayOfTables, name: &str) -> Option<usize> {
    let named = |table: &Table| table.get("name").and_then(Item::as_str) == Some(name);
    budgets.iter().position(named)
}

fn change(budget: &mut Table, arguments: &SetBudgetArguments) {
    if let Some(scope) = &arguments.scope {
        put(budget, "scope", scope.to_string());
    }
    if let Some(window) = &arguments.window {
        put(budget, "window", window.to_string());
    }
    let caps = budget.get_mut("caps").and_then(Item::as_table_like_mut);
    if let Some(caps) = caps {
        if let Some(usd) = arguments.usd {
            // As text: exact at any size.
            put(caps, Measure::Usd.as_str(), usd.to_string());
        }
        for (measure, cap) in [
            (Measure::Tokens, arguments.tokens),
            (Measure::Requests, arguments.requests),
            (Measure::ToolCalls, arguments.tool_calls),
        ] {
            if let Some(cap) = cap {
                // TOML has no larger numbers, and nobody has such a cap.
                put(
                    caps,
                    measure.as_str(),
                    i64::try_from(cap).unwrap_or(i64::MAX),
                );
            }
        }
    }
    if arguments.soft || arguments.hard {
        put(
            budget,
            "limit",
            if arguments.soft { "soft" } else { "hard" },
        );
    }
    if let Some(alerts) = &arguments.alerts {
        let alerts = alerts.iter().map(|percent| i64::from(*percent));
        put(budget, "alerts", alerts.collect::<Array>());
    }
    if let (Some(at), Some(to)) = (arguments.degrade_at, &arguments.degrade_to) {
        let mut degrade = InlineTable::new();
        degrade.insert("at", i64::from(at).into());
        degrade.insert("to", to.to_string().into());
        put(budget, "degrade", degrade);
    }
}

/// Sets a value; a comment beside it stays.
fn put(table: &mut dyn TableLike, key: &str, new: impl Into<Value>) {
    let mut new = new.into();
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => drop(table.insert(key, Item::Value(new))),
    }
}

/// Holds off others until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}
