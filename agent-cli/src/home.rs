//! The store that runs are kept in, for commands that are over soon and for those that run an agent.

use std::{future::Future, io, path::Path, sync::Arc};

use agent_sdk::{
    journal::{Runs, StoredRun},
    operation::{Clock, SystemClock},
    store::{SqliteStore, Store, StoreError, StoreErrorKind},
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::exit::{Exit, Failure};

/// The user's store, open.
pub(crate) struct Home {
    store: Arc<SqliteStore>,
    runtime: Runtime,
}

impl Home {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    ///
    /// It cannot be opened; the failure says what, where and what to do.
    pub(crate) fn open() -> Result<Self, Failure> {
        let store = SqliteStore::open_default().map_err(|error| {
            Failure::usage(format!("the store cannot be opened: {error}"))
                .because(&error)
                .advice("AGENT_SDK_HOME names its folder.")
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error: io::Error| {
                Failure::new(Exit::Failed, format!("no runtime can be started: {error}"))
            })?;
        Ok(Self {
            store: Arc::new(store),
            runtime,
        })
    }

    /// The store itself.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The store itself, where ledgers are kept too.
    pub(crate) fn sqlite(&self) -> &SqliteStore {
        &self.store
    }

    /// The folder that it is in.
    pub(crate) fn folder(&self) -> &Path {
        self.store.path().parent().unwrap_or(Path::new("."))
    }

    /// The runs in it.
    pub(crate) fn runs(&self) -> Runs {
        Runs::new(self.store())
    }

    /// Waits for something.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits for an answer of the store.
    ///
    /// # Errors
    ///
    /// The store refused or failed.
    pub(crate) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(work).map_err(|error| failure(&error))
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub(crate) fn run(&self, id: &str) -> Result<StoredRun, Failure> {
        let found = self.runtime.block_on(self.runs().get(id));
        found.map_err(|error| match error.kind() {
            StoreErrorKind::NotFound => Failure::usage(format!(
                "there is no run {id} in {}",
                self.store.path().display()
            ))
            .advice("`agent runs list` shows those that there are."),
            _ => failure(&error),
        })
    }
}

/// There is a run of that name.
pub(crate) fn exists(id: &str) -> Failure {
    Failure::usage(format!("there is a run {id} already")).advice(format!(
        "Choose another `--id`; `agent resume {id}` goes on with that one."
    ))
}

/// What the store says, as a failure of the command.
pub(crate) fn failure(error: &StoreError) -> Failure {
    let exit = match error.kind() {
        StoreErrorKind::NotFound
        | StoreErrorKind::Exists
        | StoreErrorKind::Conflict
        | StoreErrorKind::InvalidId
        | StoreErrorKind::Newer
        | StoreErrorKind::Permission => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string()).because(error)
}

/// This moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemClock::default().now()).unwrap_or_default()
}

/// How a run stands, in the words of `agent runs list`.
pub(crate) fn status(run: &StoredRun, now: Timestamp) -> &str {
    if run.was_interrupted(now) {
        "interrupted"
    } else {
        &run.status
    }
}

/// Who uses this command, as the system says.
pub(crate) fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(named)
        .unwrap_or_else(|| "somebody".to_owned())
}
