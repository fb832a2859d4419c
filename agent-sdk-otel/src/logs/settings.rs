//! What logs are set to.

use super::filter;
use super::redact::Redact;
use crate::error::TelemetryError;

/// What logs are set to.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSettings {
    /// The levels by target of what is exported; `None` is the default.
    pub(crate) filter: Option<String>,
    /// Whether each model request is an event of its own, with or without content.
    pub(crate) emit_event: bool,
    pub(crate) redact: Redact,
}

impl LogSettings {
    /// Reads the variables that only logs have.
    pub(crate) fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let levels = text("RUST_LOG");
        if let Some(levels) = &levels {
            filter::parse(levels)?;
        }
        let emit = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT";
        let emit_event = match text(emit) {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(_) => {
                let what = format!("{emit} takes true or false");
                return Err(TelemetryError::setting(what));
            }
        };
        Ok(Self {
            filter: levels,
            emit_event,
            redact: Redact::default(),
        })
    }
}
