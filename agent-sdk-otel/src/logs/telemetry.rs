//! The logs of a [`Telemetry`].

use std::borrow::Cow;
use std::sync::Arc;

use agent_sdk::operation::{Observer, SystemClock};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::filter::{DEFAULT, LogFilter};
use super::layer::LogLayer;
use super::record::Records;
use super::redact::Redact;
use super::{DetailsObserver, LogObserver};
use crate::builder::TelemetryBuilder;
use crate::error::TelemetryError;
use crate::pipeline::ExportAccount;
use crate::settings::Address;
use crate::telemetry::Telemetry;

impl Telemetry {
    /// The layer that exports events as OTLP log records; `None` inside when logs are not exported.
    ///
    /// A record has the event's own name where it has one, its fields as typed attributes, the ids of the span in which it happened,
    /// the run and the operation's path. It brings the log's own filter, which touches no other layer, and nothing from the libraries
    /// that exporting itself uses.
    ///
    /// # Errors
    ///
    /// [`TelemetryErrorKind::Setting`](crate::TelemetryErrorKind::Setting) when the [filter](TelemetryBuilder::log_filter) cannot be
    /// used.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::Telemetry;
    /// use tracing_subscriber::prelude::*;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let subscriber = tracing_subscriber::registry()
    ///     .with(telemetry.layer())
    ///     .with(telemetry.log_layer()?);
    /// # drop(subscriber);
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_layer<S>(&self) -> Result<impl Layer<S> + Send + Sync + 'static, TelemetryError>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let Some(pipeline) = self.logs() else {
            return Ok(None);
        };
        let settings = &self.settings.logging;
        let levels = settings.filter.as_deref().unwrap_or(DEFAULT);
        let filter = LogFilter::new(levels, true)?;
        let sink = Arc::new(Records::new(
            pipeline.clone(),
            self.settings.capture.redactor.clone(),
        ));
        let clock = Arc::new(SystemClock::default());
        let redact = settings.redact.clone();
        let redact = redact.with_secrets_of(&self.settings.capture.redactor);
        let layer = LogLayer::new(sink, redact, clock).without_suppressed();
        Ok(Some(layer.with_filter(filter)))
    }

    /// Logs a summary of each model request, tool call and run, and the context of what failed, as `tracing` events.
    pub fn log_observer(&self) -> Arc<dyn Observer> {
        Arc::new(LogObserver)
    }

    /// Sends `gen_ai.client.inference.operation.details` for each model request; `None` unless content goes to events or
    /// [`emit_events`](TelemetryBuilder::emit_events) is on, and logs are exported.
    pub fn details_observer(&self) -> Option<Arc<dyn Observer>> {
        let content = self.content().on_events();
        if !content && !self.settings.logging.emit_event {
            return None;
        }
        let pipeline = self.logs()?.clone();
        Some(Arc::new(DetailsObserver::new(
            pipeline,
            self.profile(),
            content.then(|| self.capture().clone()),
            &self.settings.capture.redactor,
        )))
    }

    /// What became of every log record so far; all zero when logs are not exported.
    pub fn log_account(&self) -> ExportAccount {
        self.logs()
            .map(crate::pipeline::Pipeline::account)
            .unwrap_or_default()
    }
}

impl TelemetryBuilder {
    /// The full address for logs, used as it is, in place of the one from [`endpoint`](Self::endpoint).
    pub fn logs_endpoint(self, url: impl Into<String>) -> Self {
        let address = Address::new(url, "TelemetryBuilder::logs_endpoint");
        self.change(|settings| settings.logs.endpoint = Some(address))
    }

    /// Which events are exported as logs, by target, such as `warn,agent_sdk=debug`. Default: the variable `RUST_LOG` where the
    /// builder is [from the environment](Self::from_env), or else `info`.
    pub fn log_filter(self, levels: impl Into<String>) -> Self {
        self.change(|settings| settings.logging.filter = Some(levels.into()))
    }

    /// Whether each model request is an exported event of its own, `gen_ai.client.inference.operation.details`, with content only
    /// where [`content`](Self::content) says so. Default: no, unless content goes to events.
    pub fn emit_events(self, on: bool) -> Self {
        self.change(|settings| settings.logging.emit_event = on)
    }

    /// Lets a function look at each text before it is exported as a log, and take out what must not be. Default: none. A text is then
    /// cut to 16 KiB.
    pub fn redact_logs(
        self,
        function: impl for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync + 'static,
    ) -> Self {
        self.change(|settings| {
            settings.logging.redact = Redact::default().with(function);
        })
    }
}
