//! What must hold of every trace.

use super::{CapturedOperation, Log, TraceCapture};
use crate::operation::{OperationId, OperationInfo, RunId};

impl TraceCapture {
    /// Checks what must hold of every trace, however its runs ended.
    ///
    /// Each operation that started has ended exactly once; each that has a parent started and ended while that was open; by
    /// its times, too, it lies within its parent. It watches from the run's first start on, so a capture that is added to a run
    /// that is under way does not pass.
    ///
    /// # Errors
    ///
    /// What does not hold, a line each, and the tree.
    pub fn well_formed(&self) -> Result<(), String> {
        let problems = self.lock().problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!("{}\n\n{}", problems.join("\n"), self.timeline()))
    }
}

impl Log {
    pub(super) fn check_start(&mut self, operation: &CapturedOperation) {
        if self.is_known(&operation.run_id, operation.id) {
            let name = &operation.span_name;
            self.problems.push(format!("`{name}` started twice"));
        }
        if operation.parent.is_some() {
            match self.parent(operation) {
                None => {
                    let name = &operation.span_name;
                    let problem = format!("`{name}` started under an operation that never started");
                    self.problems.push(problem);
                }
                Some(parent) if !parent.is_open() => {
                    let (name, parent) = (&operation.span_name, &parent.span_name);
                    let problem = format!("`{name}` started after the end of `{parent}` around it");
                    self.problems.push(problem);
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn check_end(&mut self, info: &OperationInfo) {
        let place = self.places.get(&(info.run_id.clone(), info.id));
        let known = place.and_then(|place| self.operations.get(*place));
        let problem = match known {
            None => "ended without having started",
            Some(operation) if !operation.is_open() => "ended twice",
            Some(_) => return,
        };
        let problem = format!("`{}` {problem}", info.span_name());
        self.problems.push(problem);
    }

    fn is_known(&self, run_id: &RunId, id: OperationId) -> bool {
        self.places.contains_key(&(run_id.clone(), id))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        for operation in &self.operations {
            let name = &operation.span_name;
            let (Some(end), Some(ended_as)) = (operation.end, operation.ended_as) else {
                problems.push(format!("`{name}` has not ended"));
                continue;
            };
            let Some(parent) = self.parent(operation) else {
                continue;
            };
            let around = &parent.span_name;
            if parent.ended_as.is_some_and(|parent| parent < ended_as) {
                problems.push(format!("`{name}` ended after `{around}` around it"));
            }
            if operation.start < parent.start {
                problems.push(format!("`{name}` starts earlier than `{around}` around it"));
            }
            if parent.end.is_some_and(|parent| parent < end) {
                problems.push(format!(
                    "`{name}` reaches beyond the end of `{around}` around it"
                ));
            }
        }
        problems
    }
}
