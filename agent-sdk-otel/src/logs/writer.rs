//! Lines on their way to a file or a terminal: a bounded queue, a thread that writes, and an account that adds up.
//!
//! Whoever logs never waits for a disk or a pipe. A line that finds the queue full is dropped and counted; one that cannot be written
//! is counted too, and the next is tried all the same.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::TelemetryError;

/// What became of every line, at one instant: `logged` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLines {
    /// Lines that were logged.
    pub logged: u64,
    /// Waiting to be written.
    pub queued: u64,
    /// Written.
    pub written: u64,
    /// Found the queue full or closed.
    pub dropped: u64,
    /// Could not be written: the disk is full, or nobody reads any more.
    pub failed: u64,
}

impl LogLines {
    /// Whether `logged` is the sum of the others.
    pub const fn balances(&self) -> bool {
        self.logged == self.queued + self.written + self.dropped + self.failed
    }

    /// Lines that nobody will read.
    pub const fn lost(&self) -> u64 {
        self.dropped + self.failed
    }
}

/// Takes one whole line, its end included.
pub(super) trait WriteLine: Send + 'static {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()>;
}

impl WriteLine for Box<dyn io::Write + Send> {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.write_all(line)?;
        self.flush()
    }
}

impl WriteLine for Box<dyn WriteLine> {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        (**self).write_line(line)
    }
}

/// A handle to the queue; clones share it.
#[derive(Clone)]
pub(super) struct LineWriter(Arc<Shared>);

struct Shared {
    most_bytes: usize,
    state: Mutex<State>,
    /// The thread waits on it for lines or the end.
    work: Condvar,
    /// Whoever flushes waits on it for the thread.
    progress: Condvar,
}

struct State {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    lines: LogLines,
    is_open: bool,
    is_running: bool,
}

impl LineWriter {
    /// A queue of at most so many bytes, and its thread.
    pub(super) fn start(most_bytes: usize, to: impl WriteLine) -> Result<Self, TelemetryError> {
        let shared = Arc::new(Shared {
            most_bytes,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                lines: LogLines::default(),
                is_open: true,
                is_running: true,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("agent-sdk-log".into())
            .spawn(move || run(&own, to))
            .map_err(|error| TelemetryError::start("the log's thread").because(error))?;
        Ok(Self(shared))
    }

    /// Takes over a line, or drops and counts it.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        state.lines.logged += 1;
        if !state.is_open || state.bytes + line.len() > self.0.most_bytes {
            state.lines.dropped += 1;
            return;
        }
        state.lines.queued += 1;
        state.bytes += line.len();
        state.queue.push_back(line);
        let is_first = state.queue.len() == 1;
        drop(state);
        if is_first {
            self.0.work.notify_one();
        }
    }

    pub(super) fn lines(&self) -> LogLines {
        self.0.lock().lines
    }

    /// Waits until what was logged before is written, or could not be, at most for `limit`. Says whether it is.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.0.lock();
        let settled = |lines: &LogLines| lines.written + lines.failed;
        let target = settled(&state.lines) + state.lines.queued;
        while settled(&state.lines) < target && state.is_running {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        settled(&state.lines) >= target
    }

    /// Takes no more, and waits for what it has as [`flush`](Self::flush) does.
    pub(super) fn close(&self, limit: Duration) -> bool {
        self.0.lock().is_open = false;
        self.0.work.notify_one();
        self.flush(limit)
    }
}

impl fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LineWriter").field(&self.lines()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few additions that cannot panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes until the queue is closed and empty.
fn run(shared: &Shared, mut to: impl WriteLine) {
    let _end = End(shared);
    loop {
        let mut state = shared.lock();
        while state.queue.is_empty() {
            if !state.is_open {
                return;
            }
            let waited = shared.work.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let lines = std::mem::take(&mut state.queue);
        drop(state);
        for line in lines {
            let is_written = to.write_line(&line).is_ok();
            let mut state = shared.lock();
            state.bytes -= line.len();
            state.lines.queued -= 1;
            if is_written {
                state.lines.written += 1;
            } else {
                state.lines.failed += 1;
            }
            shared.progress.notify_all();
        }
    }
}

/// Closes the queue when the thread ends, for whatever reason.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let lost = std::mem::take(&mut state.lines.queued);
        state.lines.failed += lost;
        state.queue = VecDeque::new();
        state.is_open = false;
        state.is_running = false;
        self.0.progress.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Waits for the test's word before each line.
    struct Gated {
        begun: mpsc::Sender<()>,
        word: mpsc::Receiver<io::Result<()>>,
    }

    impl WriteLine for Gated {
        fn write_line(&mut self, _: &[u8]) -> io::Result<()> {
            self.begun.send(()).unwrap();
            self.word.recv().unwrap()
        }
    }

    #[test]
    fn a_burst_is_bounded_and_every_line_is_in_the_account() {
        let (begun, has_begun) = mpsc::channel();
        let (say, word) = mpsc::channel();
        let writer = LineWriter::start(100 * 10, Gated { begun, word }).unwrap();
        writer.push(vec![b'x'; 10]);
        has_begun.recv().unwrap();
        // Nothing is written meanwhile: 99 more fit.
        for _ in 0..10_000 {
            writer.push(vec![b'x'; 10]);
        }
        let lines = writer.lines();
        assert!(lines.balances(), "{lines:?}");
        assert_eq!((lines.queued, lines.dropped), (100, 9_901));
        for n in 0..100 {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            say.send(if n < 7 { Err(full) } else { Ok(()) }).unwrap();
        }
        assert!(writer.close(LIMIT));
        writer.push(vec![b'x']);
        let lines = writer.lines();
        assert!(lines.balances(), "{lines:?}");
        assert_eq!((lines.written, lines.failed, lines.dropped), (93, 7, 9_902));
    }

    #[test]
    fn a_writer_that_panics_loses_no_count() {
        struct Panicking;
        impl WriteLine for Panicking {
            fn write_line(&mut self, _: &[u8]) -> io::Result<()> {
                panic!("writer")
            }
        }
        let writer = LineWriter::start(100, Panicking).unwrap();
        for _ in 0..3 {
            writer.push(b"line\n".to_vec());
        }
        writer.close(LIMIT);
        let lines = writer.lines();
        assert!(lines.balances(), "{lines:?}");
        assert_eq!(lines.lost(), 3);
    }
}
