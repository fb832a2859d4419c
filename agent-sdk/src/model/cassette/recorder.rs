//! Writing exchanges down.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderMap;
use reqwest::Url;

use super::{
    CassetteError, CassetteErrorKind, Tape,
    format::{Exchange, VERSION},
};
use crate::model::wire::Secrets;

/// Writes every exchange of the clients that it is given to, without their secrets. Cheap to clone; clones write to one file.
///
/// A line is written when an exchange ends, also where it broke off or was given up. An exchange is never failed by its recording: what
/// could not be written is counted by [`failed`](Self::failed) and warned of. One process writes to a file at a time.
///
/// # Example
///
/// ```
/// use agent_sdk::model::{Recorder, Replay, provider::OpenAi};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("answers.cassette");
/// let recorder = Recorder::open(&path)?;
/// let live = OpenAi::builder("m").api_key("secret").recorder(recorder).build()?;
/// // … and later, without a key and without a network:
/// let offline = OpenAi::builder("m").replay(Replay::open(&path)?).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    file: Mutex<File>,
    written: AtomicU64,
    failed: AtomicU64,
}

impl Recorder {
    /// Opens a file to add exchanges to; it is made where it is not there, and its mode becomes 0600.
    ///
    /// # Errors
    ///
    /// [`CassetteErrorKind::Io`] where it cannot be opened, [`CassetteErrorKind::Malformed`] where it holds something else and
    /// [`CassetteErrorKind::NewerVersion`] where a newer version wrote it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CassetteError> {
        let path = path.as_ref();
        let file = open(path).map_err(|error| CassetteError::io(path, error))?;
        Self::of(path, file)
    }

    pub(super) fn of(path: &Path, mut file: File) -> Result<Self, CassetteError> {
        let io = |error| CassetteError::io(path, error);
        let mut first = Vec::new();
        (&mut file).take(64).read_to_end(&mut first).map_err(io)?;
        if !first.is_empty() {
            check(path, &first)?;
            // A line that was not written to its end is left alone; the next one begins anew.
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).map_err(io)?;
            file.read_exact(&mut last).map_err(io)?;
            if last != *b"\n" {
                file.write_all(b"\n").map_err(io)?;
            }
        }
        close_to_others(&file).map_err(io)?;
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                file: Mutex::new(file),
                written: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            }),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// How many exchanges were written.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// How many exchanges could not be written.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Begins to record a request that is about to be sent.
    pub(in crate::model) fn begin(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &Secrets,
    ) -> Tape {
        Tape::new(self.clone(), url, headers, body, secrets)
    }

    pub(super) fn write(&self, exchange: &Exchange) {
        let written = serde_json::to_vec(exchange)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                let mut file = lock(&self.shared.file);
                let end = file.metadata()?.len();
                let written = file.write_all(&line);
                if written.is_err() {
                    // Half a line would spoil the next one.
                    let _ = file.set_len(end);
                }
                written
            });
        match written {
            Ok(()) => {
                self.shared.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                let path = self.shared.path.display();
                tracing::warn!(%path, %error, "an exchange could not be recorded");
            }
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("path", &self.shared.path)
            .field("written", &self.written())
            .field("failed", &self.failed())
            .finish()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses to write into a file that is something else, by how it begins.
fn check(path: &Path, first: &[u8]) -> Result<(), CassetteError> {
    let text = String::from_utf8_lossy(first);
    let rest = text.strip_prefix("{\"cassette\":");
    let number = rest.and_then(|rest| rest.split([',', '}']).next());
    // Fewer bytes than that are a line that was not written to its end.
    let is_begun = "{\"cassette\":".starts_with(&*text);
    match number.map(str::parse::<u32>) {
        Some(Ok(version)) if version > VERSION => {
            let message = format!("{} was written by a newer version", path.display());
            Err(CassetteError::new(CassetteErrorKind::NewerVersion, message))
        }
        Some(Ok(_)) => Ok(()),
        _ if is_begun || number == Some("") => Ok(()),
        _ => {
            let message = format!(
                "{} is no cassette: nothing is written there",
                path.display()
            );
            Err(CassetteError::new(CassetteErrorKind::Malformed, message))
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode == 0o600 || !file.metadata()?.is_file() {
        return Ok(());
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close_to_others(_file: &File) -> io::Result<()> {
    Ok(())
}
