//! Content in files, beside the spans.
//!
//! What is to be written waits in a bounded queue for a thread of its own: no run waits for a disk. What finds no room is dropped and
//! counted, and its span then names no file. A file appears whole under its name or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use agent_sdk::operation::TraceContext;
use serde_json::Value;

/// Where content is written, and how.
///
/// A file holds one piece: what an agent or a model was asked, the instructions, the answer, a tool's arguments or its result. Its name
/// is made of the ids of trace and span, and stands on the span: `agent_sdk.content.input_ref`, `.instructions_ref`, `.output_ref`,
/// `.arguments_ref`, `.result_ref`. The directory is not named there. Files are readable by their owner only; nobody deletes them here.
#[derive(Clone, Debug)]
pub struct ContentFiles {
    directory: PathBuf,
    format: FileFormat,
    queue: NonZeroUsize,
    most_bytes: u64,
}

/// How a file of content is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// One JSON value: `.json`.
    #[default]
    Json,
    /// A line of JSON for each message: `.jsonl`.
    JsonLines,
}

impl ContentFiles {
    /// Files in this directory, which is made where it is missing, for its owner only.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            format: FileFormat::default(),
            queue: NonZeroUsize::new(20).unwrap_or(NonZeroUsize::MIN),
            most_bytes: 1 << 30,
        }
    }

    /// How they are written. Default: [`FileFormat::Json`]. The variable is `OTEL_INSTRUMENTATION_GENAI_UPLOAD_FORMAT`: `json` or
    /// `jsonl`.
    #[must_use]
    pub fn format(mut self, format: FileFormat) -> Self {
        self.format = format;
        self
    }

    /// How many files may wait to be written; more are dropped and counted. Default: 20. The variable is
    /// `OTEL_INSTRUMENTATION_GENAI_UPLOAD_MAX_QUEUE_SIZE`.
    #[must_use]
    pub fn queue(mut self, files: NonZeroUsize) -> Self {
        self.queue = files;
        self
    }

    /// How many bytes this process writes in all; what is over is dropped and counted. Default: 1 GiB.
    #[must_use]
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most_bytes = bytes;
        self
    }
}

/// What became of the files of content. `offered = written + dropped + failed + waiting` once nothing is added any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentFilesAccount {
    /// Files that were to be written.
    pub offered: u64,
    /// Files that are there.
    pub written: u64,
    /// Files that found no room: in the queue, within the bytes that may be written, or after the shutdown.
    pub dropped: u64,
    /// Files that could not be written.
    pub failed: u64,
    /// Files that wait, or waited when time was up.
    pub waiting: u64,
}

/// A piece that waits to be written.
struct Job {
    name: String,
    body: Vec<u8>,
}

/// Writes files on a thread of its own. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ContentFiles,
    /// `None` after the shutdown.
    queue: Mutex<Option<SyncSender<Job>>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    offered: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    /// Whether the thread has ended.
    over: Mutex<bool>,
    changed: Condvar,
}

impl Writer {
    pub(crate) fn start(settings: ContentFiles) -> io::Result<Self> {
        make_directory(&settings.directory)?;
        let (sender, jobs) = sync_channel(settings.queue.get());
        let shared = Arc::new(Shared {
            settings,
            queue: Mutex::new(Some(sender)),
            counts: Counts::default(),
        });
        let writer = shared.clone();
        std::thread::Builder::new()
            .name("agent-sdk-content".into())
            .spawn(move || writer.write_all(&jobs))?;
        Ok(Self(shared))
    }

    /// Puts a piece into the queue and gives back the name of its file, or `None` where it was dropped. Never waits for the disk.
    pub(crate) fn offer(&self, trace: TraceContext, ending: &str, value: &Value) -> Option<String> {
        let Shared {
            settings,
            queue,
            counts,
        } = &*self.0;
        counts.offered.fetch_add(1, Ordering::Relaxed);
        let (body, extension) = match (settings.format, value) {
            (FileFormat::JsonLines, Value::Array(items)) => (lines(items), "jsonl"),
            (FileFormat::JsonLines, value) => (lines(std::slice::from_ref(value)), "jsonl"),
            (FileFormat::Json, value) => (value.to_string().into_bytes(), "json"),
        };
        let name = format!("{}-{}-{ending}.{extension}", trace.trace_id, trace.span_id);
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let before = counts.bytes.fetch_add(length, Ordering::Relaxed);
        let fits = before.saturating_add(length) <= settings.most_bytes;
        let job = Job {
            name: name.clone(),
            body,
        };
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match &*queue {
            Some(queue) if fits => queue.try_send(job),
            _ => Err(TrySendError::Disconnected(job)),
        };
        if sent.is_err() {
            counts.bytes.fetch_sub(length, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(name)
    }

    /// What became of them so far.
    pub(crate) fn account(&self) -> ContentFilesAccount {
        let counts = &self.0.counts;
        let [written, dropped, failed, offered] = [
            &counts.written,
            &counts.dropped,
            &counts.failed,
            &counts.offered,
        ]
        .map(|count| count.load(Ordering::SeqCst));
        ContentFilesAccount {
            offered,
            written,
            dropped,
            failed,
            waiting: offered.saturating_sub(written + dropped + failed),
        }
    }

    /// Takes no more, and waits until what waits is written, at most for `limit`.
    pub(crate) fn shutdown(&self, limit: Duration) -> ContentFilesAccount {
        let queue = self.0.queue.lock();
        drop(queue.unwrap_or_else(PoisonError::into_inner).take());
        let counts = &self.0.counts;
        let over = counts.over.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            counts
                .changed
                .wait_timeout_while(over, limit, |over| !*over)
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.account()
    }
}

impl Shared {
    /// The thread: until nobody can add any more.
    fn write_all(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            let written = write(&self.settings.directory, &job);
            let counter = if written.is_ok() {
                &self.counts.written
            } else {
                &self.counts.failed
            };
            counter.fetch_add(1, Ordering::SeqCst);
        }
        let over = self.counts.over.lock();
        *over.unwrap_or_else(PoisonError::into_inner) = true;
        self.counts.changed.notify_all();
    }
}

fn lines(items: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    for item in items {
        body.extend_from_slice(item.to_string().as_bytes());
        body.push(b'\n');
    }
    body
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut directory = DirBuilder::new();
    directory.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
    directory.create(path)
}

/// Under another name first: whoever sees a file sees all of it.
fn write(directory: &Path, job: &Job) -> io::Result<()> {
    let hidden = directory.join(format!(".{}.{}", job.name, std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&hidden)
        .and_then(|mut file| file.write_all(&job.body))
        .and_then(|()| fs::rename(&hidden, directory.join(&job.name)));
    if written.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    written
}

#[cfg(test)]
mod tests {
    use agent_sdk::operation::{SpanId, TraceContext, TraceId};
    use serde_json::json;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn trace() -> TraceContext {
        TraceContext::new(TraceId(1), SpanId(2), false)
    }

    #[test]
    fn files_are_whole_and_their_owner_s_only() {
        let outside = tempfile::tempdir().unwrap();
        let directory = outside.path().join("a/b");
        let files = ContentFiles::new(&directory).format(FileFormat::JsonLines);
        let writer = Writer::start(files).unwrap();
        let said = json!([{"role": "user"}, {"role": "assistant"}]);
        let name = writer.offer(trace(), "input", &said).unwrap();
        assert_eq!(
            name,
            format!("{}1-{}2-input.jsonl", "0".repeat(31), "0".repeat(15))
        );
        let account = writer.shutdown(LIMIT);
        assert_eq!(
            (account.offered, account.written, account.waiting),
            (1, 1, 0)
        );
        let text = fs::read_to_string(directory.join(&name)).unwrap();
        assert_eq!(text, "{\"role\":\"user\"}\n{\"role\":\"assistant\"}\n");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        #[cfg(unix)]
        for (path, expected) in [(directory.join(&name), 0o600), (directory, 0o700)] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected);
        }
        assert_eq!(writer.offer(trace(), "output", &said), None, "it is over");
        assert_eq!(writer.account().dropped, 1);
    }

    #[test]
    fn what_finds_no_room_and_what_cannot_be_written_is_counted() {
        let outside = tempfile::tempdir().unwrap();
        let directory = outside.path().join("gone");
        let writer = Writer::start(ContentFiles::new(&directory).most_bytes(10)).unwrap();
        fs::remove_dir(&directory).unwrap();
        assert_eq!(
            writer.offer(trace(), "input", &json!("longer than ten")),
            None
        );
        assert!(writer.offer(trace(), "input", &json!("short")).is_some());
        let account = writer.shutdown(LIMIT);
        let counts = [
            account.offered,
            account.written,
            account.dropped,
            account.failed,
        ];
        assert_eq!((counts, account.waiting), ([2, 0, 1, 1], 0));
        // Nor can a directory be made where a file is.
        let file = outside.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Writer::start(ContentFiles::new(file)).is_err());
    }
}
