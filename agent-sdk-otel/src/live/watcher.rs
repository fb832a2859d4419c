//! The thread that looks at what runs every now and then.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent_sdk::monitor::LiveOperations;
use opentelemetry::Context;

use super::crash::CrashFile;
use super::pending::Pending;
use crate::error::TelemetryError;

/// How soon a crash file that a panic left follows what still runs.
const REFRESH: Duration = Duration::from_secs(1);

/// What the thread looks after.
pub(super) struct Watched {
    pub(super) operations: LiveOperations,
    pub(super) pending: Option<Pending>,
    pub(super) crash: Option<Arc<CrashFile>>,
    /// How often it is written down what runs, and from which age on.
    pub(super) interval: Option<(Duration, Duration)>,
}

/// The thread, until it is stopped.
pub(super) struct Watcher {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Watcher {
    /// `None` where there is nothing to look after.
    pub(super) fn start(mut watched: Watched) -> Result<Option<Self>, TelemetryError> {
        if watched.pending.is_none() && watched.crash.is_none() {
            return Ok(None);
        }
        let stop = Arc::new(Stop::default());
        let until = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("agent-sdk-live".into())
            .spawn(move || {
                let _quiet = Context::enter_telemetry_suppressed_scope();
                watched.run(&until);
            })
            .map_err(|error| {
                TelemetryError::start("the thread that watches what runs").because(error)
            })?;
        Ok(Some(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Returns when the thread has ended.
    pub(super) fn stop(&self) {
        *self.stop.lock() = true;
        self.stop.changed.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Stop {
    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long; whether to go on.
    fn wait(&self, limit: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), limit, |is_set| !*is_set)
            .unwrap_or_else(PoisonError::into_inner);
        !*waited.0
    }
}

impl Watched {
    fn run(&mut self, stop: &Stop) {
        let every = self.interval.map_or(REFRESH, |(every, _)| every);
        let mut look = Due::every(self.pending.as_ref().map(Pending::period));
        let mut write = Due::every(self.crash.as_ref().map(|_| every));
        // Said once, not once a second.
        let mut has_complained = false;
        loop {
            let now = Instant::now();
            let left = [look.left(now), write.left(now)]
                .into_iter()
                .flatten()
                .min();
            if !stop.wait(left.unwrap_or(REFRESH)) {
                return;
            }
            let now = Instant::now();
            if look.is_over(now)
                && let Some(pending) = &mut self.pending
            {
                pending.look(&self.operations);
            }
            if write.is_over(now)
                && let Some(crash) = &self.crash
                && (self.interval.is_some() || crash.needs_refresh())
                && let Err(error) =
                    crash.refresh(&self.operations, self.interval.map(|(_, age)| age), now)
                && !std::mem::replace(&mut has_complained, true)
            {
                complain(&error);
            }
        }
    }
}

/// Something that is due again and again.
struct Due {
    every: Option<Duration>,
    next: Instant,
}

impl Due {
    fn every(every: Option<Duration>) -> Self {
        let next = Instant::now() + every.unwrap_or_default();
        Self { every, next }
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        self.every.map(|_| self.next.saturating_duration_since(now))
    }

    fn is_over(&mut self, now: Instant) -> bool {
        match self.every {
            Some(every) if self.next <= now => {
                self.next = now + every;
                true
            }
            _ => false,
        }
    }
}

/// Says that the crash file cannot be written; what runs goes on.
pub(super) fn complain(error: &io::Error) {
    tracing::warn!(
        target: "agent_sdk_otel",
        %error,
        "the crash file cannot be written: what runs would not be known after a crash"
    );
}
