//! What ran at one moment.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    cost::Usd,
    model::{ModelInfo, Usage},
    operation::{Kind, Labels, OperationId, RunId, TraceContext},
    text::strip_controls,
};

/// What ran at one moment; made by [`LiveOperations::snapshot`](super::LiveOperations::snapshot).
///
/// It prints as a table, and is JSON: `{"operations": […], "unlisted": 0}`.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct LiveSnapshot {
    /// The open operations, the oldest first.
    pub operations: Vec<LiveOperation>,
    /// How many more are open that found the registry full.
    pub unlisted: usize,
}

/// An open operation, as it stood at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveOperation {
    /// The run.
    pub run_id: RunId,
    /// Its number within the run.
    pub operation_id: OperationId,
    /// The operation around it.
    pub parent_id: Option<OperationId>,
    /// What it is.
    pub kind: Kind,
    /// The first word of its span's name, such as `chat` or `search_memory`.
    pub called: &'static str,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// The span names from the outermost operation to this one, with ` / ` between.
    pub path: String,
    /// The agent that it belongs to.
    pub agent: Option<Arc<str>>,
    /// Its place in the trace.
    pub trace: TraceContext,
    /// The span it hangs under, of this process or another.
    pub parent_trace: Option<TraceContext>,
    /// When it started, by the wall clock.
    pub started: SystemTime,
    /// How long it has been running.
    pub age: Duration,
    /// What the requests inside it used that have ended.
    pub usage: Usage,
    /// What those cost, and what tools inside say that they spent.
    pub cost: Usd,
    /// How many of those may have cost something that nobody knows.
    pub unpriced_requests: u32,
    /// What the run's caller attached.
    pub labels: Arc<Labels>,
    /// The model that is asked, of a request.
    pub model: Option<Arc<ModelInfo>>,
}

/// Names, ids, times and sums; the caller's labels are left out but for the session.
impl Serialize for LiveOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let started = jiff::Timestamp::try_from(self.started).unwrap_or_default();
        let mut fields = serializer.serialize_struct("LiveOperation", 16)?;
        fields.serialize_field("run_id", &self.run_id)?;
        fields.serialize_field("operation_id", &self.operation_id)?;
        fields.serialize_field("parent_id", &self.parent_id)?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("path", &self.path)?;
        fields.serialize_field("agent_id", &self.agent)?;
        fields.serialize_field("session_id", &self.labels.session)?;
        fields.serialize_field("trace_id", &self.trace.trace_id)?;
        fields.serialize_field("span_id", &self.trace.span_id)?;
        let above = self.parent_trace.map(|above| above.span_id);
        fields.serialize_field("parent_span_id", &above)?;
        fields.serialize_field("started", &format!("{started:.6}"))?;
        fields.serialize_field("age_seconds", &self.age.as_secs_f64())?;
        fields.serialize_field("usage", &self.usage)?;
        fields.serialize_field("cost_usd", &self.cost)?;
        fields.serialize_field("unpriced_requests", &self.unpriced_requests)?;
        fields.end()
    }
}

impl fmt::Display for LiveSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operations.is_empty() && self.unlisted == 0 {
            return f.write_str("nothing runs");
        }
        write!(
            f,
            "{:>9}  {:>9}  {:>11}  {:<32}  WHAT",
            "AGE", "TOKENS", "COST USD", "TRACE"
        )?;
        for each in &self.operations {
            let tokens = each.usage.total_tokens();
            let tokens = tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string());
            // A sum that lacks something is a lower bound.
            let bound = if each.unpriced_requests > 0 {
                "≥"
            } else {
                ""
            };
            let cost = format!("{bound}{}", each.cost);
            write!(
                f,
                "\n{:>9}  {tokens:>9}  {cost:>11}  {}  {}",
                age(each.age),
                each.trace.trace_id,
                one_line(&each.path)
            )?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more that are not listed", self.unlisted)?;
        }
        Ok(())
    }
}

/// To a tenth of a second below a minute, then in two units.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", age.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A name may come from a model, and must not act on the terminal.
fn one_line(text: &str) -> String {
    strip_controls(text).replace(['\n', '\t'], " ")
}
