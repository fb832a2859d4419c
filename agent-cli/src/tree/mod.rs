//! The finished trace: a line for each operation, what it came to, and what took the time.
//!
//! [`Rows`](rows) are plain data, so that what is drawn can be tested to the letter; [`Trace::of`] makes them from a report.

mod rows;
mod table;
#[cfg(test)]
mod tests;

use agent_sdk::run::RunReport;

pub(crate) use self::rows::{Amount, Row};
use crate::{
    terminal::{Paint, Style, safe_line},
    text::{count, counted, dollars, length},
};

/// The narrowest and the widest that a trace is drawn.
const WIDTH: std::ops::RangeInclusive<usize> = 80..=120;
/// The most operations that are drawn.
const ROWS: usize = 300;

/// A finished trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The operations, each before those inside it.
    pub(crate) rows: Vec<Row>,
    /// How many more there were.
    pub(crate) left_out: u64,
    /// What it came to, in a line.
    pub(crate) totals: Totals,
    /// What most of the time was spent on, in a sentence.
    pub(crate) bottleneck: String,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) time: std::time::Duration,
    pub(crate) model_calls: u32,
    pub(crate) tool_calls: u32,
    pub(crate) usage: agent_sdk::model::Usage,
    pub(crate) cost: agent_sdk::cost::Usd,
    pub(crate) unpriced_calls: u32,
}

impl Trace {
    /// The trace of a run.
    pub(crate) fn of(report: &RunReport) -> Self {
        let profile = &report.profile;
        let mut rows = rows::of(profile);
        let more = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        Self {
            rows,
            left_out: profile.left_out().saturating_add(more as u64),
            totals: Totals {
                time: report.duration,
                model_calls: report.model_calls,
                tool_calls: report.tool_calls,
                usage: report.usage,
                cost: report.cost,
                unpriced_calls: report.unpriced_calls,
            },
            bottleneck: profile.bottleneck().to_owned(),
        }
    }

    /// Draws it, at most `width` columns wide; each line ends in a line feed.
    pub(crate) fn draw(&self, style: Style, width: usize) -> String {
        let mut drawn = table::draw(&self.rows, style, width.clamp(*WIDTH.start(), *WIDTH.end()));
        if self.left_out > 0 {
            let more = format!("  and {} more", counted(self.left_out, "operation"));
            drawn.push_str(&style.paint(Paint::Dim, &more));
            drawn.push('\n');
        }
        drawn.push('\n');
        drawn.push_str(&self.totals.line(style));
        drawn.push('\n');
        if !self.bottleneck.is_empty() {
            let label = style.paint(Paint::Strong, "Bottleneck:").into_owned();
            // The sentence has micro signs, which plain output does without.
            let sentence = safe_line(&self.bottleneck);
            let sentence = if style.unicode {
                sentence
            } else {
                sentence.replace('µ', "u").into()
            };
            for part in [&label, " ", sentence.trim_end_matches('.'), ".\n"] {
                drawn.push_str(part);
            }
        }
        drawn
    }
}

impl Totals {
    /// What the records of a run sum up to, over a time.
    pub(crate) fn of(totals: &agent_sdk::operation::Totals, time: std::time::Duration) -> Self {
        Self {
            time,
            model_calls: totals.model_calls,
            tool_calls: totals.tool_calls,
            usage: totals.usage,
            cost: totals.cost,
            unpriced_calls: totals.unpriced_calls,
        }
    }

    /// `1.4 s, 3 model calls, 5 tool calls, 1,234 tokens in (1,024 cached), 567 out, $0.012345 (1 unpriced call)`.
    pub(crate) fn line(&self, style: Style) -> String {
        let mut parts = vec![
            length(self.time, style.unicode),
            counted(self.model_calls.into(), "model call"),
            counted(self.tool_calls.into(), "tool call"),
        ];
        let usage = &self.usage;
        if self.model_calls > 0 {
            let cached = match usage.cache_read_tokens {
                Some(cached) if cached > 0 => format!(" ({} cached)", count(cached)),
                _ => String::new(),
            };
            let known = |tokens: Option<u64>| tokens.map_or_else(|| "unknown".to_owned(), count);
            parts.push(format!("{} tokens in{cached}", known(usage.input_tokens)));
            parts.push(format!("{} out", known(usage.output_tokens)));
        }
        let cost = dollars(self.cost);
        parts.push(match self.unpriced_calls {
            0 => cost,
            _ if self.cost.nanos() == 0 => {
                format!(
                    "cost unknown ({})",
                    counted(self.unpriced_calls.into(), "unpriced call")
                )
            }
            unpriced => format!("{cost} and {}", counted(unpriced.into(), "unpriced call")),
        });
        let text = parts.join(if style.unicode { " · " } else { ", " });
        style.paint(Paint::Strong, &text).into_owned()
    }
}
