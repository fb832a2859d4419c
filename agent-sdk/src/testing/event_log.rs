//! An observer that keeps the events of runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::operation::{Event, Interests, Observer, Observers};

/// An [`Observer`] that keeps every event, text and all, in the order in which it came. Clones share the log.
///
/// # Example
///
/// ```
/// use agent_sdk::{operation::{Outcome, Payload, RunContext, trace_tool}, testing::EventLog};
///
/// let log = EventLog::new();
/// let context = RunContext::builder().observers(log.observers()).build();
/// trace_tool(&context, "search").begin().end(Outcome::Ok, Payload::None);
/// assert_eq!(log.types(), ["run_started", "tool_use", "tool_result", "run_report"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventLog(Arc<Mutex<Vec<Arc<Event>>>>);

impl EventLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// This log as the only observer.
    pub fn observers(&self) -> Observers {
        Observers::none().with(self.clone())
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.lock().clone()
    }

    /// The `type` of each event so far, as on the wire.
    pub fn types(&self) -> Vec<String> {
        let name = |event: &Arc<Event>| match serde_json::to_value(&event.kind) {
            Ok(json) => json
                .get("type")
                .and_then(|name| name.as_str())
                .unwrap_or("(no type)")
                .to_owned(),
            Err(error) => format!("(not JSON: {error})"),
        };
        self.lock().iter().map(name).collect()
    }

    /// The events so far as they go over the wire: a line of JSON each.
    ///
    /// # Errors
    ///
    /// The first event that has no JSON form.
    pub fn json_lines(&self) -> Result<String, serde_json::Error> {
        let mut lines = String::new();
        for event in self.lock().iter() {
            lines += &serde_json::to_string(event)?;
            lines.push('\n');
        }
        Ok(lines)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for EventLog {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        self.lock().push(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Outcome, Payload, RunContext, trace_agent};

    #[test]
    fn each_event_is_kept_as_one_line_of_json() {
        let log = EventLog::new();
        let context = RunContext::builder().observers(log.observers()).build();
        let agent = trace_agent(&context, "a").begin();
        agent.text("two\nlines");
        agent.end(Outcome::Ok, Payload::None);
        let lines = log.json_lines().unwrap();
        assert_eq!(lines.lines().count(), log.events().len());
        let types: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|json| json["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(types, log.types());
        assert!(types.contains(&"text_chunk".to_owned()));
    }
}
