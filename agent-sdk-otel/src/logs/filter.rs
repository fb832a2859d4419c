//! Which events are logged.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::error::TelemetryError;
use crate::layer::{TARGET, is_noise};

/// What is logged where nobody says otherwise.
pub(crate) const DEFAULT: &str = "info";

/// The levels by target, as in `RUST_LOG`. It holds for one layer: spans are exported whatever is logged.
///
/// The spans of operations always pass, because lines name the operation around them.
pub(super) struct LogFilter {
    levels: EnvFilter,
    /// Whether the libraries under an exporter are left out.
    without_exporters: bool,
}

impl LogFilter {
    pub(super) fn new(levels: &str, without_exporters: bool) -> Result<Self, TelemetryError> {
        Ok(Self {
            levels: parse(levels)?,
            without_exporters,
        })
    }

    /// `None` where the levels decide.
    fn fixed(&self, metadata: &Metadata<'_>) -> Option<bool> {
        if metadata.is_span() && metadata.target() == TARGET {
            return Some(true);
        }
        (self.without_exporters && is_noise(metadata.target())).then_some(false)
    }
}

/// Reads levels by target.
pub(super) fn parse(levels: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(levels).map_err(|error| {
        let what = "the log filter (RUST_LOG where it is not set by code) takes levels by module, such as `warn,agent_sdk=debug`";
        TelemetryError::setting(what).because(error)
    })
}

impl<S: Subscriber> Filter<S> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, layers: &Context<'_, S>) -> bool {
        self.fixed(metadata)
            .unwrap_or_else(|| Filter::<S>::enabled(&self.levels, metadata, layers))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.fixed(metadata) {
            Some(true) => Interest::always(),
            Some(false) => Interest::never(),
            None => Filter::<S>::callsite_enabled(&self.levels, metadata),
        }
    }

    fn event_enabled(&self, event: &Event<'_>, layers: &Context<'_, S>) -> bool {
        Filter::<S>::event_enabled(&self.levels, event, layers)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let levels = Filter::<S>::max_level_hint(&self.levels)?;
        Some(levels.max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, layers: Context<'_, S>) {
        Filter::<S>::on_new_span(&self.levels, attributes, id, layers);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, layers: Context<'_, S>) {
        Filter::<S>::on_record(&self.levels, id, values, layers);
    }

    fn on_enter(&self, id: &Id, layers: Context<'_, S>) {
        Filter::<S>::on_enter(&self.levels, id, layers);
    }

    fn on_exit(&self, id: &Id, layers: Context<'_, S>) {
        Filter::<S>::on_exit(&self.levels, id, layers);
    }

    fn on_close(&self, id: Id, layers: Context<'_, S>) {
        Filter::<S>::on_close(&self.levels, id, layers);
    }
}
