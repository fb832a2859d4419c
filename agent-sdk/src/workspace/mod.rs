//! A directory for each run; no path leads out of it.
//!
//! [`Workspaces`] makes one directory after another, under names that say when and what for. A [`Workspace`] is one of them, by a handle
//! that was opened once: names are looked up one after the other from that handle, and links are not followed, so what somebody swaps
//! in between leads nowhere else. Its [tools](Workspace::tools) let a model list, read, search and write there.
//!
//! An agent that is [given](crate::agent::AgentBuilder::workspace) a workspace has its tools, names the files that a run wrote in its
//! [report](crate::run::RunReport::artifacts), and saves the answer and the report beside them.
//!
//! What it promises, whatever path a model writes: nothing outside is read or changed; a file is replaced whole or not at all; an
//! answer that names a file names one that was written. It never asks for the time.
//!
//! Everything here blocks while the file system works: from async code, call it on Tokio's blocking pool. The tools do.
//!
//! # Example
//!
//! ```
//! use agent_sdk::{agent::Agent, testing::{ScriptedModel, Turn}, workspace::{Named, Workspaces}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! let task = "Write a haiku into haiku.txt.";
//! let workspace = Workspaces::new(root).create(&Named::new(task, "2026-11-20T14:29:05Z".parse()?))?;
//! let model = ScriptedModel::new([
//!     Turn::new().tool_call("call-1", "write_file", r#"{"path":"haiku.txt","content":"An old silent pond"}"#),
//!     Turn::from("It is written."),
//! ]);
//! let agent = Agent::builder("poet", model).workspace(workspace.clone()).build()?;
//! let report = agent.run(task).await?;
//! let written: Vec<_> = report.artifacts.iter().map(|file| file.path.as_str()).collect();
//! assert_eq!(written, ["answer.md", "haiku.txt"]);
//! assert_eq!(workspace.read("haiku.txt")?, b"An old silent pond");
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```

mod error;
mod jail;
mod listing;
mod name;
mod record;
mod template;
#[cfg(test)]
mod tests;
mod tools;
mod walk;
mod workspaces;
mod write;

use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use error::{WorkspaceError, WorkspaceErrorKind};
use jail::Jail;
pub use listing::{Entry, EntryKind, Listing};
use record::{Record, Runs};
pub use workspaces::{Named, Workspaces};
use write::{How, Mode};

use crate::{operation::RunId, run::Artifact, tool::ToolHandle};

/// The files in which a run's answer and report are saved; a run cannot write them otherwise.
pub(crate) const ANSWER_TEXT: &str = "answer.md";
pub(crate) const ANSWER_JSON: &str = "answer.json";
pub(crate) const REPORT: &str = "report.json";
const OUTPUTS: [&str; 3] = [ANSWER_TEXT, ANSWER_JSON, REPORT];

/// The directory of a run, by a handle to it. Cheap to clone; clones share everything but their limits.
#[derive(Clone)]
pub struct Workspace {
    inner: Arc<Inner>,
    limits: Limits,
    /// The run that this handle was given to.
    record: Option<Arc<Record>>,
}

struct Inner {
    path: PathBuf,
    jail: Jail,
    /// Held while a file is written: what is appended to does not change meanwhile.
    writing: Mutex<()>,
    /// How many files were made.
    made: AtomicUsize,
    runs: Runs,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    max_file_bytes: u64,
    max_entries: usize,
    sync: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 8 * 1024 * 1024,
            max_entries: 10_000,
            sync: true,
        }
    }
}

impl Workspace {
    /// A folder that exists, as a workspace. The path is the developer's: links in it are followed.
    ///
    /// # Errors
    ///
    /// The folder cannot be opened.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, WorkspaceError> {
        let folder = folder.as_ref();
        let jail = Jail::open(folder).map_err(|error| {
            WorkspaceError::io(jail::shown(&folder.to_string_lossy()), "opened", error)
        })?;
        Ok(Self::of(jail, folder.to_owned()))
    }

    fn of(jail: Jail, path: PathBuf) -> Self {
        let inner = Inner {
            path,
            jail,
            writing: Mutex::default(),
            made: AtomicUsize::default(),
            runs: Runs::default(),
        };
        Self {
            inner: Arc::new(inner),
            limits: Limits::default(),
            record: None,
        }
    }

    /// Sets the largest file that is written or read whole, in bytes. Default: 8 MiB. Holds for this handle and its clones, and for the
    /// tools made of them.
    #[must_use]
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Self {
        self.limits.max_file_bytes = bytes;
        self
    }

    /// Sets the most files that are made, and the most entries that are listed. Default: 10,000. Holds as
    /// [`with_max_file_bytes`](Self::with_max_file_bytes) does.
    #[must_use]
    pub fn with_max_entries(mut self, entries: usize) -> Self {
        self.limits.max_entries = entries;
        self
    }

    /// Sets whether a file that was written survives a loss of power. Default: yes, which waits for the disk.
    #[must_use]
    pub fn with_sync(mut self, sync: bool) -> Self {
        self.limits.sync = sync;
        self
    }

    /// Where it is, for people. What happens in it goes through the handle, also where the path came to mean something else.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads a file, whole.
    ///
    /// # Errors
    ///
    /// [`WorkspaceErrorKind::Limit`] where it is larger than the largest file that is read; [`WorkspaceErrorKind::Refused`] where the
    /// path leads out, over a link, or to what is no regular file with one name.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, WorkspaceError> {
        let (file, size) = self.inner.jail.file(path)?;
        let limit = self.limits.max_file_bytes;
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| WorkspaceError::io(jail::shown(path), "read", error))?;
        if bytes.len() as u64 > limit {
            return Err(WorkspaceError::limit(format!(
                "{} holds {size} bytes; a file of up to {limit} is read",
                jail::shown(path)
            )));
        }
        Ok(bytes)
    }

    /// Writes a file in place of what it held; folders on the way are made. The bytes are written as they are.
    ///
    /// Whoever reads meanwhile sees the old file or the new one, never a part. A file that is replaced keeps who may read and write
    /// it. On a handle that was given to a run, as [`ToolContext::state`](crate::tool::ToolContext::state) gives it to tools, the
    /// file is listed among the run's artifacts.
    ///
    /// # Errors
    ///
    /// [`WorkspaceErrorKind::Limit`] where it is too large or there are too many; [`WorkspaceErrorKind::Refused`] where the path leads out,
    /// over a link, to what is no regular file with one name, has a name that not every system allows, or is where the run's answer
    /// or report will be saved. The old file is then as it was.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<Artifact, WorkspaceError> {
        self.put(path, bytes.as_ref(), Mode::Overwrite)
    }

    /// What lies in a folder, sorted by name; `.` is the workspace itself. Links are listed and not followed.
    ///
    /// # Errors
    ///
    /// The path leads to no folder of the workspace.
    pub fn list(&self, path: &str) -> Result<Listing, WorkspaceError> {
        let folder = self.inner.jail.folder(path)?;
        Ok(Listing::of_folder(&folder, path, self.limits.max_entries))
    }

    /// All files, sorted by path; those of version control are left out, and links are not followed.
    ///
    /// # Errors
    ///
    /// The directory cannot be opened any more.
    pub fn files(&self) -> Result<Listing, WorkspaceError> {
        let folder = self.inner.jail.folder(".")?;
        Ok(Listing::of_files(&folder, self.limits.max_entries))
    }

    /// All file tools: [`read_tools`](Self::read_tools), and `write_file` and `append_file`.
    ///
    /// What they write is text: [control sequences](crate::text::strip_controls) are left out. Making the same `write_file` call again
    /// changes nothing more; `append_file` would append again.
    pub fn tools(&self) -> Vec<ToolHandle> {
        let mut tools = self.read_tools();
        tools.extend(tools::writing(self));
        tools
    }

    /// The file tools that only read: `list_files`, `read_file` and `search_files`.
    pub fn read_tools(&self) -> Vec<ToolHandle> {
        tools::reading(self)
    }

    fn jail(&self) -> &Jail {
        &self.inner.jail
    }

    /// As [`write`](Self::write), in one of its modes.
    fn put(&self, path: &str, bytes: &[u8], mode: Mode) -> Result<Artifact, WorkspaceError> {
        if self.record.is_some()
            && let [name] = jail::names(path)?.as_slice()
            && let Some(kept) = OUTPUTS.iter().find(|kept| name.eq_ignore_ascii_case(kept))
        {
            return Err(WorkspaceError::refused(format!(
                "`{kept}` is where the run's own answer or report will be saved: choose another name"
            )));
        }
        self.save(path, bytes, mode, self.limits)
    }

    /// As [`put`](Self::put), whatever the name, within these limits.
    fn save(
        &self,
        path: &str,
        bytes: &[u8],
        mode: Mode,
        limits: Limits,
    ) -> Result<Artifact, WorkspaceError> {
        let Limits {
            max_file_bytes,
            max_entries,
            sync,
        } = limits;
        let written = jail::names_to_make(path)?.join("/");
        write::check_size(path, bytes.len() as u64, max_file_bytes)?;
        let inner = &*self.inner;
        let _writing = inner.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.made.load(Ordering::Relaxed) >= max_entries && inner.jail.find(path).is_err() {
            return Err(WorkspaceError::limit(format!(
                "{} would be one file more than the {max_entries} that may be made",
                jail::shown(path)
            )));
        }
        let target = inner.jail.target(path)?;
        let is_new = target.folder.symlink_metadata(target.name).is_err();
        let how = How {
            mode,
            max_bytes: max_file_bytes,
            sync,
        };
        let size = write::write(path, &target, bytes, how)?;
        inner.made.fetch_add(usize::from(is_new), Ordering::Relaxed);
        if let Some(record) = &self.record {
            record.wrote(written.clone(), size);
        }
        Ok(Artifact::new(written, size))
    }

    /// The handle of a run, which notes what it writes.
    pub(crate) fn begin(&self, run: &RunId) -> Self {
        let record = Some(self.inner.runs.begin(run));
        Self {
            record,
            ..self.clone()
        }
    }

    /// The handle of a run, where the run was given this workspace.
    fn within(&self, run: &RunId) -> Self {
        let record = self.inner.runs.find(run);
        Self {
            record: record.or_else(|| self.record.clone()),
            ..self.clone()
        }
    }

    /// The files that the run of this handle wrote, ordered by path.
    pub(crate) fn artifacts(&self) -> Vec<Artifact> {
        let record = self.record.as_ref();
        record.map(|record| record.artifacts()).unwrap_or_default()
    }

    /// What of that nobody has asked for yet.
    pub(crate) fn new_artifacts(&self) -> Vec<Artifact> {
        let record = self.record.as_ref();
        record.map(|record| record.take_new()).unwrap_or_default()
    }

    /// Notes what earlier lives of the run wrote.
    pub(crate) fn remember(&self, files: &[Artifact]) {
        if let Some(record) = &self.record {
            for file in files {
                record.remember(file);
            }
        }
    }

    /// Writes one of the files that a run leaves behind, whatever its name; the limits are on what tools write.
    pub(crate) fn leave(&self, path: &str, text: &str) -> Result<(), WorkspaceError> {
        let limits = Limits {
            max_file_bytes: u64::MAX,
            max_entries: usize::MAX,
            ..self.limits
        };
        self.save(path, text.as_bytes(), Mode::Overwrite, limits)
            .map(|_| ())
    }
}

/// Says what is wrong with the path of a file that shall be written in a workspace.
pub(crate) fn check_path(path: &str) -> Result<(), WorkspaceError> {
    jail::names_to_make(path).map(|_| ())
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("path", &self.inner.path)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
