//! The lines of a crash file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_sdk::message::ConversationId;
use agent_sdk::monitor::LiveOperation;
use agent_sdk::operation::{Kind, SpanId, TraceContext};
use agent_sdk::redact::Redactor;
use serde::{Deserialize, Serialize};

use crate::live::spans::nanos;

/// The form of the file; another one is not read.
const FORMAT: u32 = 1;

/// The longest name and id that is written, in characters. They are a developer's, but for tools that a model made up.
const LONGEST: usize = 256;

/// An operation of an earlier process that was still running when that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashedOperation {
    /// The process.
    pub pid: u32,
    /// What made the process write it down.
    pub reason: CrashReason,
    /// The run.
    pub run_id: String,
    /// Its number within the run.
    pub operation_id: u64,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: String,
    /// Its place in the trace.
    pub trace: TraceContext,
    /// The span it hung under.
    pub parent_span_id: Option<SpanId>,
    /// When it started.
    pub started: SystemTime,
    /// The last moment of which it is known that it ran.
    pub last_seen: SystemTime,
    /// The first word of its span's name, where that is another than its kind's.
    pub(crate) called: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) conversation: Option<String>,
    pub(crate) session: Option<String>,
}

/// What made a process write down what ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CrashReason {
    /// A panic, which the process did not survive for long.
    Panic,
    /// It was told to end.
    Signal,
    /// It does so every now and then; then it ended without a word, as by `SIGKILL`.
    Interval,
    /// Its telemetry was shut down while this ran.
    Shutdown,
}

impl CrashReason {
    /// The value recorded as `agent_sdk.crash.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Signal => "signal",
            Self::Interval => "interval",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The file's first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: u32,
    pid: u32,
    reason: CrashReason,
    written: u64,
}

/// One operation. Names and ids, nothing else.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// As `traceparent` has it: ids and whether it is sampled.
    trace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<u64>,
    run_id: String,
    operation_id: u64,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    called: Option<String>,
    name: String,
    started: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

/// The file's text.
pub(super) fn write(
    reason: CrashReason,
    now: SystemTime,
    operations: &[LiveOperation],
    redactor: &Redactor,
) -> serde_json::Result<Vec<u8>> {
    let head = Head {
        format: FORMAT,
        pid: std::process::id(),
        reason,
        written: nanos(now),
    };
    let mut text = serde_json::to_vec(&head)?;
    text.push(b'\n');
    for operation in operations {
        serde_json::to_writer(&mut text, &Line::of(operation, redactor))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// What a file says. Lines that cannot be read are left out: the process may have ended while it wrote.
pub(super) fn read(text: &str) -> Vec<CrashedOperation> {
    let mut lines = text.lines();
    let head = lines.next().map(serde_json::from_str::<Head>);
    let Some(Ok(head)) = head else {
        return Vec::new();
    };
    if head.format != FORMAT {
        return Vec::new();
    }
    lines
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .filter_map(|line| line.read(&head))
        .collect()
}

impl Line {
    fn of(operation: &LiveOperation, redactor: &Redactor) -> Self {
        // What is cut first could keep the half of a key.
        let short = |text: &str| {
            redactor
                .text(text)
                .chars()
                .take(LONGEST)
                .collect::<String>()
        };
        let labels = &operation.labels;
        let provider = operation.model.as_ref().map(|model| &*model.provider);
        let conversation = labels.conversation.as_ref().map(ConversationId::as_str);
        Self {
            trace: operation.trace.traceparent(),
            parent: operation.parent_trace.map(|above| above.span_id.0),
            run_id: short(operation.run_id.as_str()),
            operation_id: operation.operation_id.get(),
            kind: operation.kind,
            called: (operation.called != operation.kind.span_name())
                .then(|| operation.called.to_owned()),
            name: short(&operation.name),
            started: nanos(operation.started),
            agent: operation.agent.as_deref().map(short),
            provider: provider.map(short),
            conversation: conversation.map(short),
            session: labels.session.as_deref().map(short),
        }
    }

    fn read(self, head: &Head) -> Option<CrashedOperation> {
        let read: TraceContext = self.trace.parse().ok()?;
        Some(CrashedOperation {
            pid: head.pid,
            reason: head.reason,
            run_id: self.run_id,
            operation_id: self.operation_id,
            kind: self.kind,
            called: self.called,
            name: self.name,
            // Read as one of another process, which it is not.
            trace: TraceContext::new(read.trace_id, read.span_id, read.sampled),
            parent_span_id: self.parent.map(SpanId),
            started: time(self.started)?,
            last_seen: time(head.written)?,
            agent: self.agent,
            provider: self.provider,
            conversation: self.conversation,
            session: self.session,
        })
    }
}

fn time(nanos: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}
