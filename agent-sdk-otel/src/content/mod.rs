//! Content: prompts, answers, tool data. Whether it leaves, in what form, and what is taken out of it before.
//!
//! | | Default | `SPAN_ONLY` | `EVENT_ONLY` | Files |
//! |---|---|---|---|---|
//! | prompts, instructions, answers, reasoning | – | span attributes | log events | files, their names on the span |
//! | arguments and results of tools | – | span attributes | log events | files, their names on the span |
//! | bytes of images, sounds and documents | – | type and size | type and size | type and size |
//! | what a provider or a tool says of a failure, a panic's text | – | – (a tool's error is its result) | – | – |
//! | the class of a failure, and words of this SDK's own | yes | yes | yes | yes |
//! | names, ids, tags, counts, costs, durations | yes | yes | yes | yes |
//! | keys and tokens, secrets that were named | never | never | never | never |
//! | e-mail addresses and card numbers in content | – | taken out | taken out | taken out |
//!
//! Metrics carry no content in any mode. What a run's own stream of events, its store and its report carry is the caller's: prompts and
//! answers are in them. Errors of models are the caller's too: they quote at most 200 characters of what a provider said, without keys.
//!
//! Modes add up: `SPAN_AND_EVENT` is both, and [files](ContentFiles) can be set beside any. Files are written for operations that are
//! not sampled too, and where no traces are exported.
//!
//! A part of a message is cut to 16 KiB and a list of messages to its newest 256 KiB before it becomes JSON, each with a mark of what is
//! missing, so that it is bounded and always valid JSON. Before it is cut it is redacted: see
//! [`Redactor`]; [`TelemetryBuilder::redactor`](crate::TelemetryBuilder::redactor) sets another one, and
//! [`TelemetryBuilder::secret`](crate::TelemetryBuilder::secret) names a secret by its value.
//!
//! # The way out
//!
//! Texts leave through two doors, and the types say which:
//! - Content becomes a [`Clean`], which only this module makes; nothing else is written without another look.
//! - Every other text of a span (names, attributes, events, the description of a status, those that users write on spans of their own
//!   included) is written by `encode`, which takes out [what looks like a key](agent_sdk::redact::keys).
//!
//! Before a message is queued, [`masked`] or, for a log record, [`masked_record`] looks for secrets that were named, in all of its
//! bytes. What leaves as no message (labels of metrics, the list of what runs, crash files) passes the same redactor text by text.

mod builder;
mod files;
mod messages;
mod secrets;

use std::io;

use agent_sdk::operation::{Observer, OperationInfo, OperationRecord, Payload};
use agent_sdk::redact::Redactor;
use serde_json::Value;

pub(crate) use files::Writer;
pub use files::{ContentFiles, ContentFilesAccount, FileFormat};
pub(crate) use secrets::{masked, masked_record, without_keys};

use messages::Messages;

/// A text that was redacted and cut, and may leave as it is.
#[derive(Debug)]
pub(crate) struct Clean(String);

impl Clean {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One piece of content, in the schema of the conventions.
pub(crate) struct Piece {
    /// The attribute that carries it.
    pub(crate) name: &'static str,
    /// The attribute that names the file that has it, and how that file's name ends.
    pub(crate) reference: (&'static str, &'static str),
    /// Redacted and cut.
    pub(crate) value: Value,
}

/// What is set about content.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureSettings {
    pub(crate) redactor: Redactor,
    pub(crate) files: Option<ContentFiles>,
}

/// Takes content out of what operations are started and ended with.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    redactor: Redactor,
    on_spans: bool,
    files: Option<Writer>,
}

impl Capture {
    /// # Errors
    ///
    /// Where the directory for files cannot be made, or their writer not be started.
    pub(crate) fn start(settings: CaptureSettings, on_spans: bool) -> io::Result<Self> {
        let files = settings.files.map(Writer::start).transpose()?;
        Ok(Self {
            redactor: settings.redactor,
            on_spans,
            files,
        })
    }

    /// The files, where there are any.
    pub(crate) fn files(&self) -> Option<&Writer> {
        self.files.as_ref()
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The content of a start or an end as it may leave, whichever way.
    pub(crate) fn pieces(&self, payload: Payload<'_>) -> Vec<Piece> {
        Messages {
            redactor: &self.redactor,
        }
        .of(payload)
    }

    /// Writes the files of a start or an end, and gives back the attributes that its span is to have: content, names of files.
    pub(crate) fn take(
        &self,
        operation: &OperationInfo,
        payload: Payload<'_>,
    ) -> Vec<(&'static str, Clean)> {
        let on_span = self.on_spans && operation.trace.sampled;
        if (!on_span && self.files.is_none()) || matches!(payload, Payload::None) {
            return Vec::new();
        }
        let mut attributes = Vec::new();
        for piece in self.pieces(payload) {
            if let Some(files) = &self.files {
                let (reference, ending) = piece.reference;
                let name = files.offer(operation.trace, ending, &piece.value);
                attributes.extend(name.map(|name| (reference, Clean(name))));
            }
            if on_span {
                attributes.push((piece.name, Clean(piece.value.to_string())));
            }
        }
        attributes
    }
}

/// Writes files where no spans are exported.
impl Observer for Capture {
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        let _ = self.take(operation, payload);
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        let _ = self.take(record.info, payload);
    }
}
