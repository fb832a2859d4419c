//! The bridge from agent-sdk to OpenTelemetry and Prometheus.
//!
//! [`Telemetry`] sets up traces and metrics from the standard environment variables or from code,
//! gives the [layer](Telemetry::layer) that exports `tracing` spans, serves `/metrics`, and says at
//! [shutdown](Telemetry::shutdown) what became of every span. It sets nothing global unless asked.
//!
//! ```
//! use agent_sdk_otel::Telemetry;
//! use tracing_subscriber::{EnvFilter, prelude::*};
//!
//! # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
//! let telemetry = Telemetry::from_env()?;
//! // Logs have a filter of their own, so that `RUST_LOG` never deletes a trace.
//! let logs = tracing_subscriber::fmt::layer().with_filter(EnvFilter::from_default_env());
//! let subscriber = tracing_subscriber::registry()
//!     .with(telemetry.layer())
//!     .with(logs);
//! # let guard = tracing::subscriber::set_default(subscriber);
//! // … `subscriber.init()`, and then the program …
//! let report = telemetry.shutdown();
//! assert!(report.is_complete(), "{report}");
//! # drop(guard);
//! # Ok(())
//! # }
//! ```
//!
//! | Module or type | What it is for |
//! |---|---|
//! | [`Telemetry`], [`TelemetryBuilder`] | set up, flush, shut down |
//! | [`SpanAccount`], [`ShutdownReport`] | what became of every span and of the metrics |
//! | [`MetricsServer`] | the `/metrics` endpoint |
//! | [`EmissionProfile`], [`ContentCapture`] | which names leave, and whether content does |
//! | [`attrs`], [`metric`] | every name that is emitted |

pub mod attrs;
mod builder;
mod content;
mod error;
mod ids;
mod instruments;
mod layer;
pub mod metric;
mod metrics;
mod otlp;
mod pipeline;
mod profile;
mod report;
mod serve;
mod settings;
mod spans;
mod telemetry;

pub use opentelemetry;
pub use opentelemetry_sdk;

pub use builder::TelemetryBuilder;
pub use error::{TelemetryError, TelemetryErrorKind};
pub use metrics::MetricExports;
pub use pipeline::SpanAccount;
pub use profile::{ContentCapture, EmissionProfile};
pub use report::ShutdownReport;
pub use serve::{DEFAULT_METRICS_ADDRESS, MetricsServer};
pub use telemetry::Telemetry;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
