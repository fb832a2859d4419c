//! The bridge from agent-sdk to OpenTelemetry and Prometheus.
//!
//! [`Telemetry`] sets up traces and metrics from the standard environment variables or from code. Its
//! [observers](Telemetry::observers) turn operations into spans and metrics, its
//! [layer](Telemetry::layer) puts the application's own `tracing` spans into the same traces, it
//! serves `/metrics`, and it says at [shutdown](Telemetry::shutdown) what became of every span.
//! Nothing is exported until an address is given, and nothing global is set unless asked.
//!
//! ```
//! use agent_sdk::operation::{RunContext, trace_agent};
//! use agent_sdk_otel::Telemetry;
//! use tracing_subscriber::{EnvFilter, prelude::*};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
//! let telemetry = Telemetry::from_env()?;
//! // Logs have a filter of their own, so that `RUST_LOG` never deletes a trace.
//! let logs = tracing_subscriber::fmt::layer().with_filter(EnvFilter::from_default_env());
//! let subscriber = tracing_subscriber::registry()
//!     .with(telemetry.layer())
//!     .with(logs);
//! # let guard = tracing::subscriber::set_default(subscriber);
//! // … `subscriber.init()`; an agent takes `telemetry.observers()` in its builder, other code so:
//! let context = RunContext::builder().observers(telemetry.observers()).build();
//! trace_agent(&context, "triage").future(async { /* any loop */ }).await;
//! let report = telemetry.shutdown();
//! assert!(report.is_complete(), "{report}");
//! # drop(guard);
//! # Ok(())
//! # }
//! ```
//!
//! # What leaves
//!
//! Each operation is one span of the GenAI conventions: `invoke_agent` around `chat` around the HTTP
//! attempts, and `execute_tool`. Usage and cost stand on `chat` alone, so that sums over spans count
//! once; an agent's totals have names of our own (`agent_sdk.usage.*`, `agent_sdk.cost.total_usd`).
//! Every span carries `agent_sdk.run.id`, `agent_sdk.outcome`, and, where the caller set them,
//! `gen_ai.conversation.id`, `session.id`, `user.id` and each tag as `agent_sdk.tag.<key>`. The root
//! names the critical path and the bottleneck. A failed operation has the status `Error` and an
//! `error.type`; one that did what it should has `Ok`, one that was paused or skipped has neither.
//!
//! Metrics come from every operation, sampled or not. Their labels are names that developers chose
//! and classes of failures: no ids, no text of users or models, at most 2,000 series a metric.
//!
//! Budgets are among the metrics where the ledger is [watched](Telemetry::watch), circuit breakers where [they are](Telemetry::watch_breaker),
//! and tools where [their scheduler is](Telemetry::watch_tools).
//!
//! `/metrics` is `OpenMetrics` 1.0 for a scraper that asks for it, as Prometheus does: histograms then carry exemplars, the trace and
//! span of the newest measurement of each bucket. Otherwise it is the classic text. A page has at most 5 MiB.
//!
//! Prompts, answers and tool data leave only where [`ContentCapture`] is switched on, or as [files](ContentFiles), each part
//! redacted and cut to 16 KiB. What looks like a key or a token leaves in no text of a span; see [`agent_sdk::redact`].
//!
//! | Module or type | What it is for |
//! |---|---|
//! | [`Telemetry`], [`TelemetryBuilder`] | set up, observe, flush, shut down |
//! | [`ExportAccount`], [`MetricExports`], [`ShutdownReport`] | what became of every span, log record and metric |
//! | [`WhenFull`], [`SpillSettings`] | what happens when a collector cannot keep up |
//! | [`MetricsServer`], [`MetricsPage`] | the `/metrics` endpoint, and its page for a server of your own |
//! | [`JsonLogs`], [`LogLines`] | structured logs on standard error or in a file |
//! | [`Compression`], [`Protocol`] | how requests travel to a collector |
//! | [`EmissionProfile`], [`ContentCapture`], [`ContentFiles`] | which names leave, and whether content does |
//! | [`TailSampling`] | which traces are kept once it is known how they went |
//! | [`CrashedOperation`], [`Signal`] | what ran when a process ended, and what told it to |
//! | [`doctor`] | whether telemetry would arrive |
//! | [`attrs`], [`metric`] | every name that is emitted |
//!
//! # Features
//!
//! | Feature | What it adds |
//! |---|---|
//! | `grpc` | [`Protocol::Grpc`]: OTLP over gRPC |
//!
//! None is on by default.

pub mod attrs;
mod baggage;
mod breakers;
mod budgets;
mod builder;
mod content;
pub mod doctor;
mod encode;
mod error;
mod ids;
mod instruments;
mod layer;
mod live;
mod logs;
pub mod metric;
mod metrics;
mod openmetrics;
mod operation_span;
mod otlp;
mod pipeline;
mod profile;
mod propagation;
mod report;
mod sampling;
mod serve;
mod settings;
mod spans;
mod telemetry;
mod tools;
mod tracer;

pub use opentelemetry;
pub use opentelemetry_sdk;

pub use builder::TelemetryBuilder;
pub use content::{ContentFiles, ContentFilesAccount, FileFormat};
pub use error::{TelemetryError, TelemetryErrorKind};
pub use live::Signal;
pub use live::crash::{CrashReason, CrashedOperation};
pub use logs::{JsonLogs, JsonLogsBuilder, LogLines};
pub use metrics::MetricExports;
pub use openmetrics::{MAX_PAGE_BYTES, MetricsPage};
pub use otlp::{Compression, Protocol};
pub use pipeline::{ExportAccount, SpillSettings, WhenFull};
pub use profile::{ContentCapture, EmissionProfile};
pub use report::ShutdownReport;
pub use sampling::{TailCounts, TailReasons, TailSampling};
pub use serve::{DEFAULT_METRICS_ADDRESS, MetricsServer};
pub use telemetry::Telemetry;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
