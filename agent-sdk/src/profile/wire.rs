//! The profile as JSON. Times are in milliseconds, and a name is always that of the span.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{PathSegment, Profile, Share};

/// A length of time in milliseconds.
struct Millis(Duration);

impl Serialize for Millis {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact to the nanosecond for the first hundred days"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // One division, so that 12.3 ms reads 12.3.
        serializer.serialize_f64(self.0.as_nanos() as f64 / 1e6)
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut profile = serializer.serialize_struct("Profile", 6)?;
        profile.serialize_field("duration_ms", &Millis(self.duration()))?;
        profile.serialize_field("bottleneck", self.bottleneck())?;
        profile.serialize_field("critical_path", self.critical_path())?;
        profile.serialize_field("by_kind", self.by_kind())?;
        profile.serialize_field("by_name", self.by_name())?;
        profile.serialize_field("left_out", &self.left_out)?;
        profile.end()
    }
}

impl Serialize for PathSegment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut segment = serializer.serialize_struct("PathSegment", 6)?;
        segment.serialize_field("operation", &self.operation)?;
        segment.serialize_field("kind", &self.kind)?;
        segment.serialize_field("name", &self.span_name())?;
        segment.serialize_field("span_id", &self.span_id)?;
        segment.serialize_field("start_ms", &Millis(self.start))?;
        segment.serialize_field("duration_ms", &Millis(self.duration))?;
        segment.end()
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut share = serializer.serialize_struct("Share", 10)?;
        share.serialize_field("kind", &self.kind)?;
        match self.name {
            Some(_) => share.serialize_field("name", &self.span_name())?,
            None => share.skip_field("name")?,
        }
        share.serialize_field("count", &self.count)?;
        share.serialize_field("attempts", &self.attempts)?;
        share.serialize_field("on_critical_path", &self.on_critical_path)?;
        share.serialize_field("total_ms", &Millis(self.total_time))?;
        share.serialize_field("self_ms", &Millis(self.self_time))?;
        share.serialize_field("critical_ms", &Millis(self.critical_time))?;
        share.serialize_field("cost_usd", &self.cost)?;
        share.serialize_field("usage", &self.usage)?;
        share.end()
    }
}
