//! Where the default store is.

use std::{ffi::OsString, path::PathBuf};

use crate::store::{StoreError, StoreErrorKind};

/// The variable that names the folder of the default store.
pub(super) const HOME: &str = "AGENT_SDK_HOME";

/// The folder of what outlives a process: what `AGENT_SDK_HOME` names, else `agent-sdk` in the user's data folder. That is
/// `$XDG_DATA_HOME`, else `~/.local/share`; on Windows `%LOCALAPPDATA%`. The folder need not exist.
///
/// # Errors
///
/// None of these variables is set.
pub fn home() -> Result<PathBuf, StoreError> {
    home_from(|name| std::env::var_os(name)).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Io,
            format!("no folder for the store is known: set {HOME} to one"),
        )
    })
}

pub(super) fn home_from(lookup: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| {
        lookup(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let data = || {
        if cfg!(windows) {
            return named("LOCALAPPDATA");
        }
        named("XDG_DATA_HOME")
            // A relative one is invalid by its specification.
            .filter(|path| path.is_absolute())
            .or_else(|| Some(named("HOME")?.join(".local/share")))
    };
    named(HOME).or_else(|| Some(data()?.join("agent-sdk")))
}
