//! How much one span may hold, by the standard variables.

use super::env::Env;
use crate::builder::TelemetryBuilder;
use crate::encode::Limits;
use crate::error::TelemetryError;

/// Reads `OTEL_SPAN_*` and, where a span has no variable of its own, `OTEL_ATTRIBUTE_*`.
pub(super) fn read(env: &Env<'_>, limits: &mut Limits) -> Result<(), TelemetryError> {
    let count = |name: &str| env.parsed::<u32>(name, "a whole number");
    let own = count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")?;
    let attributes = own.or(count("OTEL_ATTRIBUTE_COUNT_LIMIT")?);
    limits.attributes = attributes.unwrap_or(limits.attributes);
    limits.events = count("OTEL_SPAN_EVENT_COUNT_LIMIT")?.unwrap_or(limits.events);
    limits.links = count("OTEL_SPAN_LINK_COUNT_LIMIT")?.unwrap_or(limits.links);
    let length = |name: &str| env.parsed::<usize>(name, "a whole number");
    let own = length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
    let text = own.or(length("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?);
    limits.text = text.unwrap_or(limits.text);
    Ok(())
}

impl TelemetryBuilder {
    /// How many attributes, events and links one span may have, each; more are dropped, and counted on the span and in
    /// [`SPAN_LIMITS_DROPPED`](crate::metric::SPAN_LIMITS_DROPPED). Default: 128 of each.
    pub fn span_limits(mut self, attributes: u32, events: u32, links: u32) -> Self {
        self.settings.limits.attributes = attributes;
        self.settings.limits.events = events;
        self.settings.limits.links = links;
        self
    }

    /// The longest text of an attribute of a span, in bytes; a longer one is cut between characters. Default: 512 KiB, above all that
    /// content capture lets through.
    pub fn attribute_length(mut self, bytes: usize) -> Self {
        self.settings.limits.text = bytes;
        self
    }
}
