//! Which text a scraper is given.

/// A form of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format 0.0.4 of Prometheus, without exemplars.
    Classic,
    /// `OpenMetrics` 1.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// The exact value of the `Content-Type` header.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Chooses by the value of an `Accept` header: `OpenMetrics` where it is asked for by name and no less than plain text,
    /// otherwise the classic text, which everything reads.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let mut open_metrics = 0;
        // How well a range names plain text, and what weight it gives: the best name decides.
        let mut plain = (0, 0);
        for range in accept.split(',').filter_map(Range::parse) {
            if range.is("application/openmetrics-text") && range.version_is("1.0.0") {
                open_metrics = open_metrics.max(range.weight);
            }
            let named = if range.is("text/plain") && range.version_is("0.0.4") {
                3
            } else if range.is("text/*") {
                2
            } else {
                u8::from(range.is("*/*"))
            };
            if named > 0 {
                plain = plain.max((named, range.weight));
            }
        }
        if open_metrics > 0 && open_metrics >= plain.1 {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }
}

/// One item of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// `None` for an item whose weight cannot be read.
    fn parse(item: &'a str) -> Option<Self> {
        let mut parts = item.split(';').map(str::trim);
        let mut range = Self {
            kind: parts.next()?,
            version: None,
            weight: 1_000,
        };
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("q") {
                range.weight = weight(value)?;
            } else if name.trim().eq_ignore_ascii_case("version") {
                range.version = Some(value);
            }
        }
        Some(range)
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    fn version_is(&self, version: &str) -> bool {
        self.version.is_none_or(|asked| asked == version)
    }
}

/// A weight from 0 to 1 with at most three digits, in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 3;
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" if digits => Some(thousandths),
        "1" if digits && thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, Classic, OpenMetrics};

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus, OpenMetrics),
            ("", Classic),
            ("*/*", Classic),
            ("text/html, */*;q=0.8", Classic),
            ("application/openmetrics-text", OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8",
                OpenMetrics,
            ),
            ("application/openmetrics-text; version=0.0.1", Classic),
            ("application/openmetrics-text; version=2.0.0", Classic),
            ("application/openmetrics-text;q=0", Classic),
            (
                "application/openmetrics-text;q=0.4,text/plain;q=0.5",
                Classic,
            ),
            (
                "application/openmetrics-text;q=0.5,text/plain;q=0.5",
                OpenMetrics,
            ),
            // The nearer name decides what plain text is worth.
            (
                "application/openmetrics-text;q=0.4,text/plain;q=0.1,*/*;q=0.9",
                OpenMetrics,
            ),
            ("application/openmetrics-text;q=2", Classic),
            ("application/openmetrics-text;q=0.1234", Classic),
            (";;;,=,q=1", Classic),
        ] {
            assert_eq!(Format::negotiate(accept), expected, "{accept}");
        }
    }
}
