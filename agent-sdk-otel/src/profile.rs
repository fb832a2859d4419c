//! Which generation of the GenAI conventions leaves the process.

/// The names that spans and metrics carry.
///
/// The GenAI conventions are still in development and were renamed after v1.41, which is what
/// practically every back end reads. Inside, the newest names are used; the profile decides what
/// is emitted. Default: [`Both`](Self::Both).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmissionProfile {
    /// The newest names only; the scope then carries their schema URL.
    Latest,
    /// The names of semantic conventions v1.41 only.
    V1_41,
    /// Both generations: attributes are cheap, and the two metric families have different names.
    #[default]
    Both,
}

/// The item of `OTEL_SEMCONV_STABILITY_OPT_IN` that asks for [`EmissionProfile::Latest`].
pub(crate) const LATEST_OPT_IN: &str = "gen_ai_latest_experimental";

impl EmissionProfile {
    /// Reads the value of `OTEL_SEMCONV_STABILITY_OPT_IN`, a comma-separated list.
    ///
    /// `gen_ai_latest_experimental` in it means [`Latest`](Self::Latest); anything else is for
    /// other instrumentations and leaves the default.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::EmissionProfile;
    ///
    /// let profile = EmissionProfile::from_opt_in("http/dup, gen_ai_latest_experimental");
    /// assert_eq!(profile, EmissionProfile::Latest);
    /// assert_eq!(EmissionProfile::from_opt_in("http"), EmissionProfile::Both);
    /// ```
    pub fn from_opt_in(list: &str) -> Self {
        if list.split(',').any(|item| item.trim() == LATEST_OPT_IN) {
            Self::Latest
        } else {
            Self::default()
        }
    }

    /// Whether the newest names are emitted.
    pub const fn latest(self) -> bool {
        matches!(self, Self::Latest | Self::Both)
    }

    /// Whether the names of v1.41 are emitted.
    pub const fn v1_41(self) -> bool {
        matches!(self, Self::V1_41 | Self::Both)
    }
}

/// Whether prompts, answers and tool data are recorded, and where.
///
/// Default: [`Off`](Self::Off). The variable is `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCapture {
    /// No content leaves the process.
    #[default]
    Off,
    /// As span attributes, each a JSON string.
    Spans,
    /// As structured log events, one for each model request, where logs are exported.
    Events,
    /// As both.
    SpansAndEvents,
}

impl ContentCapture {
    /// Reads the variable's value, in any case: `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY`,
    /// `SPAN_AND_EVENT`, or the older `false` and `true` (spans). `None` when it is none of them.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let is = |name: &str| value.eq_ignore_ascii_case(name);
        if is("no_content") || is("false") {
            Some(Self::Off)
        } else if is("span_only") || is("true") {
            Some(Self::Spans)
        } else if is("event_only") {
            Some(Self::Events)
        } else if is("span_and_event") {
            Some(Self::SpansAndEvents)
        } else {
            None
        }
    }

    /// Whether spans carry content.
    pub const fn on_spans(self) -> bool {
        matches!(self, Self::Spans | Self::SpansAndEvents)
    }

    /// Whether events carry content.
    pub const fn on_events(self) -> bool {
        matches!(self, Self::Events | Self::SpansAndEvents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_in_needs_the_whole_item() {
        assert_eq!(EmissionProfile::from_opt_in(""), EmissionProfile::Both);
        let near = "gen_ai_latest_experimental_2";
        assert_eq!(EmissionProfile::from_opt_in(near), EmissionProfile::Both);
        assert!(EmissionProfile::Both.latest() && EmissionProfile::Both.v1_41());
        assert!(!EmissionProfile::Latest.v1_41());
    }

    #[test]
    fn content_is_off_unless_asked_for() {
        assert_eq!(ContentCapture::default(), ContentCapture::Off);
        assert_eq!(
            ContentCapture::parse("Span_Only"),
            Some(ContentCapture::Spans)
        );
        assert_eq!(
            ContentCapture::parse("SPAN_AND_EVENT"),
            Some(ContentCapture::SpansAndEvents)
        );
        assert_eq!(ContentCapture::parse("maybe"), None);
    }
}
