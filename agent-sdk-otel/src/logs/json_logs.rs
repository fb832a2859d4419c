//! Structured logs in JSON, on standard error or in a file.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_sdk::operation::{Clock, SystemClock};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::entry::Entry;
use super::file::{RotatingFile, Rotation};
use super::filter::{DEFAULT, LogFilter};
use super::json;
use super::layer::{LogLayer, Sink};
use super::redact::Redact;
use super::writer::{LineWriter, LogLines, WriteLine};
use crate::error::TelemetryError;
use crate::telemetry::Telemetry;

/// How long dropping waits for what is not written yet.
const DROP_LIMIT: Duration = Duration::from_secs(2);

/// Structured logs: one JSON object a line, written by a thread of their own.
///
/// A line has `time` (RFC 3339, microseconds), `level`, `target`, the event's `name` where it has one of its own, `message`, `fields`
/// with their types, and where they are known `trace_id`, `span_id`, `trace_sampled`, `run_id`, `operation` (such as
/// `invoke_agent triage > chat gpt-5`) and `service`. The run and the operation come from
/// [`Telemetry::observers`](crate::Telemetry::observers), which must watch the run.
///
/// Whoever logs never waits: a line that finds the queue full is dropped and counted, as is one that cannot be written. Keep it until
/// the program ends: dropping it writes what waits, for at most 2 seconds.
///
/// # Example
///
/// ```
/// use agent_sdk_otel::JsonLogs;
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
/// let logs = JsonLogs::stderr().service_name("triage").filter("info").start()?;
/// let subscriber = tracing_subscriber::registry().with(logs.layer()?);
/// tracing::subscriber::with_default(subscriber, || tracing::info!(answer = 42, "ready"));
/// assert_eq!(logs.lines().logged, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the log"]
pub struct JsonLogs {
    writer: LineWriter,
    service: Option<Arc<str>>,
    filter: String,
    redact: Redact,
    clock: Arc<dyn Clock>,
}

impl JsonLogs {
    /// Logs to standard error.
    pub fn stderr() -> JsonLogsBuilder {
        JsonLogsBuilder::new(Target::Writer(Box::new(io::stderr())))
    }

    /// Logs to a file, which only the user may read. It gives way to a new one [by size](JsonLogsBuilder::max_bytes) and
    /// [by day](JsonLogsBuilder::daily): `NAME.1` is then the one before. Each process needs a file of its own.
    pub fn file(path: impl Into<PathBuf>) -> JsonLogsBuilder {
        JsonLogsBuilder::new(Target::File(path.into()))
    }

    /// Logs to anything; it is written from another thread, a whole line at a time.
    pub fn writer(writer: impl io::Write + Send + 'static) -> JsonLogsBuilder {
        JsonLogsBuilder::new(Target::Writer(Box::new(writer)))
    }

    /// The layer that logs. It brings the log's own filter, which touches no other layer: traces are whole whatever is logged.
    ///
    /// # Errors
    ///
    /// [`TelemetryErrorKind::Setting`](crate::TelemetryErrorKind::Setting) when the filter cannot be used.
    pub fn layer<S>(&self) -> Result<impl Layer<S> + Send + Sync + 'static, TelemetryError>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let filter = LogFilter::new(&self.filter, false)?;
        let sink = Arc::new(Lines {
            writer: self.writer.clone(),
            service: self.service.clone(),
        });
        let layer = LogLayer::new(sink, self.redact.clone(), self.clock.clone());
        Ok(layer.with_filter(filter))
    }

    /// What became of every line so far.
    pub fn lines(&self) -> LogLines {
        self.writer.lines()
    }

    /// Waits until what was logged before is written, at most for `limit`. Says whether it is. Blocks the thread.
    pub fn flush(&self, limit: Duration) -> bool {
        self.writer.flush(limit)
    }
}

impl Drop for JsonLogs {
    fn drop(&mut self) {
        self.writer.close(DROP_LIMIT);
    }
}

/// Settings for [`JsonLogs`].
#[must_use = "a builder does nothing until `start` is called"]
pub struct JsonLogsBuilder {
    target: Target,
    service: Option<Arc<str>>,
    filter: Option<String>,
    redact: Redact,
    clock: Arc<dyn Clock>,
    queue_bytes: usize,
    rotation: Rotation,
}

enum Target {
    Writer(Box<dyn io::Write + Send>),
    File(PathBuf),
}

impl JsonLogsBuilder {
    fn new(target: Target) -> Self {
        Self {
            target,
            service: None,
            filter: None,
            redact: Redact::default(),
            clock: Arc::new(SystemClock::default()),
            queue_bytes: 8 * 1024 * 1024,
            rotation: Rotation {
                max_bytes: 64 * 1024 * 1024,
                daily: true,
                keep: 7,
            },
        }
    }

    /// The name of the service, on each line. Default: none.
    pub fn service_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// What is logged, by target, such as `warn,agent_sdk=debug`. Default: the variable `RUST_LOG`, or else `info`.
    pub fn filter(mut self, levels: impl Into<String>) -> Self {
        self.filter = Some(levels.into());
        self
    }

    /// Lets a function look at each text before it is logged, and take out what must not be. Default: none. A text is then
    /// cut to 16 KiB.
    pub fn redact(
        mut self,
        function: impl for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync + 'static,
    ) -> Self {
        self.redact = self.redact.with(function);
        self
    }

    /// Names a secret, which is then logged neither as it is nor in base64, percent-encoded or in hex.
    pub fn secret(mut self, secret: &str) -> Self {
        self.redact = self.redact.with_secret(secret);
        self
    }

    /// Names the secrets that a telemetry was [told](crate::TelemetryBuilder::secret) of, so that none has to be named twice. Default: none.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::{JsonLogs, Telemetry};
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().secret("a-key-without-any-prefix").build()?;
    /// let logs = JsonLogs::stderr().secrets_of(&telemetry).start()?;
    /// # drop(logs);
    /// # Ok(())
    /// # }
    /// ```
    pub fn secrets_of(mut self, telemetry: &Telemetry) -> Self {
        let known = &telemetry.settings.capture.redactor;
        self.redact = self.redact.with_secrets_of(known);
        self
    }

    /// Sets the clock. Default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many bytes may wait to be written; more are dropped and counted. Default: 8 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long a file may get before it gives way. Default: 64 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.rotation.max_bytes = bytes;
        self
    }

    /// Whether a file gives way at the end of each day, in UTC. Default: yes.
    pub fn daily(mut self, on: bool) -> Self {
        self.rotation.daily = on;
        self
    }

    /// How many old files stay. Default: 7.
    pub fn keep(mut self, files: u32) -> Self {
        self.rotation.keep = files;
        self
    }

    /// Starts the log.
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting) when the filter cannot be used,
    /// [`Start`](crate::TelemetryErrorKind::Start) when the file cannot be opened or the thread cannot start.
    pub fn start(self) -> Result<JsonLogs, TelemetryError> {
        let filter = self.filter.or_else(|| {
            let levels = std::env::var("RUST_LOG").ok();
            levels.filter(|levels| !levels.trim().is_empty())
        });
        let filter = filter.unwrap_or_else(|| DEFAULT.to_owned());
        LogFilter::new(&filter, false)?;
        let to: Box<dyn WriteLine> = match self.target {
            Target::Writer(writer) => Box::new(writer),
            Target::File(path) => {
                let shown = format!("the log file {}", path.display());
                let file = RotatingFile::open(path, self.rotation, self.clock.clone());
                Box::new(file.map_err(|error| TelemetryError::start(shown).because(error))?)
            }
        };
        Ok(JsonLogs {
            writer: LineWriter::start(self.queue_bytes, to)?,
            service: self.service,
            filter,
            redact: self.redact,
            clock: self.clock,
        })
    }
}

impl fmt::Debug for JsonLogsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLogsBuilder")
            .field("service", &self.service)
            .field("filter", &self.filter)
            .field("rotation", &self.rotation)
            .finish_non_exhaustive()
    }
}

/// Turns entries into lines.
struct Lines {
    writer: LineWriter,
    service: Option<Arc<str>>,
}

impl Sink for Lines {
    fn take(&self, entry: &Entry) {
        self.writer.push(json::line(entry, self.service.as_deref()));
    }
}
