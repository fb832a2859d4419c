//! Logs: `tracing` events with the ids of where they happened, as lines of JSON and as OTLP log records.
//!
//! [`LogLayer`] is what both have in common: it reads an event once, lets the redactor see every text, and adds the run, the operation's
//! path and the span. What it is given to is a sink: [`JsonLogs`] or the records of [`Telemetry::log_layer`](crate::Telemetry::log_layer).
//! [`LogObserver`] notes on each operation's span where in the run it is, and logs a summary at its end; [`DetailsObserver`] sends the
//! event of the conventions for each model request.
//!
//! Promises: whoever logs never waits, everything that waits is bounded, what is lost is counted, and what an exporter itself does is not
//! exported.

mod details;
mod entry;
mod file;
mod filter;
mod json;
mod json_logs;
mod layer;
mod observer;
mod place;
mod record;
mod redact;
mod settings;
mod telemetry;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use details::DetailsObserver;
pub use json_logs::{JsonLogs, JsonLogsBuilder};
pub(crate) use layer::LogLayer;
pub(crate) use observer::LogObserver;
pub(crate) use settings::LogSettings;
pub use writer::LogLines;
