//! The files of a folder, and who owns which.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError as Busy};
use std::time::{Duration, Instant};

use agent_sdk::monitor::{LiveOperation, LiveOperations, LiveSnapshot};
use agent_sdk::operation::{Clock, RunId, SystemClock};
use agent_sdk::redact::Redactor;

use super::record::{self, CrashReason, CrashedOperation};

/// How many operations are written, the oldest ones.
const MOST_OPERATIONS: usize = 10_000;

/// How many files of earlier processes are read at a start.
const MOST_FILES: usize = 64;

/// How old a panic is that did not end the process.
pub(crate) const OUTLIVED: Duration = Duration::from_secs(2);

/// How much of a file is read.
const MOST_BYTES: u64 = 16 << 20;

/// What ends the names of the files of a process: what it says, who owns it, what is not finished.
const WORDS: &str = "jsonl";
const LOCK: &str = "lock";
const PART: &str = "part";

/// The crash file of this process.
#[derive(Debug)]
pub(crate) struct CrashFile {
    path: PathBuf,
    lock_path: PathBuf,
    /// Locked as long as this process lives.
    _lock: File,
    /// What names and ids pass before they are written.
    redactor: Redactor,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_there: bool,
    /// Why the process is expected to end, once it is, and since when.
    alarm: Option<(CrashReason, Instant)>,
}

impl CrashFile {
    /// Makes the folder, for its owner only, and takes a name in it. Nothing is written yet.
    pub(crate) fn create(folder: &Path, redactor: Redactor) -> io::Result<Self> {
        make_folder(folder)?;
        let name = format!("{}-{}", std::process::id(), RunId::random());
        let lock_path = folder.join(&name).with_extension(LOCK);
        // It gets its name when it is locked, so that nobody finds it and takes it for one whose owner is gone.
        let unlocked = folder.join(format!(".{name}"));
        let lock = create(&unlocked)?;
        lock.lock()?;
        fs::rename(&unlocked, &lock_path)?;
        Ok(Self {
            path: folder.join(name).with_extension(WORDS),
            lock_path,
            _lock: lock,
            redactor,
            state: Mutex::default(),
        })
    }

    /// Writes down what runs, because the process is about to end.
    pub(crate) fn alarm(&self, reason: CrashReason, live: &LiveOperations) -> io::Result<()> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(Busy::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is writing. To wait for it from a panic hook could be to wait for oneself.
            Err(Busy::WouldBlock) => return Ok(()),
        };
        state.alarm = Some((reason, Instant::now()));
        self.put(&mut state, reason, &live.snapshot().operations)
    }

    /// Whether what the file says may no longer be so.
    pub(crate) fn needs_refresh(&self) -> bool {
        self.lock().is_there
    }

    /// Writes down what has been running for `min_age`, or after a signal all that runs. Where there is no such age, nothing is written
    /// without an alarm.
    ///
    /// A panic that the process has outlived by now is none that ended it.
    pub(crate) fn refresh(
        &self,
        live: &LiveOperations,
        min_age: Option<Duration>,
        now: Instant,
    ) -> io::Result<()> {
        let mut state = self.lock();
        state.alarm = state.alarm.filter(|(reason, since)| {
            *reason != CrashReason::Panic || now.saturating_duration_since(*since) < OUTLIVED
        });
        let (reason, running) = match (state.alarm, min_age) {
            (Some((reason, _)), _) => (reason, live.snapshot()),
            (None, Some(age)) => (CrashReason::Interval, live.older_than(age)),
            (None, None) => (CrashReason::Interval, LiveSnapshot::default()),
        };
        self.put(&mut state, reason, &running.operations)
    }

    /// The last word: what still runs stays written, and where nothing does there is no file.
    pub(crate) fn close(&self, live: &LiveOperations) -> io::Result<()> {
        let mut state = self.lock();
        let reason = state
            .alarm
            .map_or(CrashReason::Shutdown, |(reason, _)| reason);
        self.put(&mut state, reason, &live.snapshot().operations)
    }

    fn put(
        &self,
        state: &mut State,
        reason: CrashReason,
        operations: &[LiveOperation],
    ) -> io::Result<()> {
        if operations.is_empty() {
            if std::mem::take(&mut state.is_there) {
                fs::remove_file(&self.path)?;
            }
            return Ok(());
        }
        let oldest = operations.get(..MOST_OPERATIONS).unwrap_or(operations);
        let text = record::write(reason, SystemClock::default().now(), oldest, &self.redactor)?;
        // Put in place at once: a process that is killed while it writes leaves the words of before.
        let unfinished = self.path.with_extension(PART);
        let mut file = create(&unfinished)?;
        file.write_all(&text)?;
        drop(file);
        fs::rename(&unfinished, &self.path)?;
        state.is_there = true;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Takes over the files of a folder whose owners are gone, and hands each one's operations to `taken` before it is removed.
///
/// What cannot be read or removed is left where it is; a folder that is not there has nothing in it.
pub(crate) fn claim(folder: &Path, mut taken: impl FnMut(Vec<CrashedOperation>)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    let ends = |path: &Path, end: &str| path.extension().is_some_and(|own| own == end);
    for path in paths
        .iter()
        .filter(|path| ends(path, WORDS))
        .take(MOST_FILES)
    {
        let lock_path = path.with_extension(LOCK);
        // Without a lock its owner said its last word in order.
        let lock = File::open(&lock_path).ok();
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        let mut text = Vec::new();
        let file = File::open(path);
        let read = file.and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text));
        // Whoever was faster has it.
        if read.is_err() {
            continue;
        }
        taken(record::read(&String::from_utf8_lossy(&text)));
        let _ = fs::remove_file(path);
    }
    // What is left of owners that are gone: their locks, and what they had not finished writing.
    for path in paths.iter().filter(|path| ends(path, LOCK)) {
        let is_gone = File::open(path).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_gone && !path.with_extension(WORDS).exists() {
            let _ = fs::remove_file(path.with_extension(PART));
            let _ = fs::remove_file(path);
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new or emptied file that only its owner reads.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
