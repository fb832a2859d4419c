//! Captured operations as text.

use std::time::Duration;

use super::{CapturedOperation, Log, TraceCapture};
use crate::operation::Outcome;

impl TraceCapture {
    /// The operations as a tree, one line each: what hangs under an operation follows it, in the order of the starts.
    ///
    /// A line is the span's name, then `outcome=` where it is not `ok`, then `error=` and the failure's class where there is
    /// one; `outcome=error` is left out beside a class. An operation that has not ended is marked `open`. What the layers around a
    /// model did follows: `attempts=` where there were several, `cached`, `fallback_for=`, `hedge_for=`.
    pub fn tree(&self) -> String {
        self.tree_with(CapturedOperation::line)
    }

    /// The tree with times, usage and cost, for example `chat gpt-5  20..350 ms  in=1000 out=50  $0.00018`.
    ///
    /// Times count from the first start. What is unknown is left out.
    pub fn timeline(&self) -> String {
        self.tree_with(CapturedOperation::timed_line)
    }

    /// The tree with lines of your own, indented by two spaces for each level.
    pub fn tree_with(&self, line: impl Fn(&CapturedOperation) -> String) -> String {
        let lines: Vec<_> = self
            .lock()
            .depth_first()
            .iter()
            .map(|operation| {
                let indent = "  ".repeat(operation.depth);
                format!("{indent}{}\n", line(operation))
            })
            .collect();
        lines.concat()
    }
}

impl Log {
    /// What hangs under an operation follows it; otherwise in the order of the starts.
    fn depth_first(&self) -> Vec<&CapturedOperation> {
        let mut below = vec![Vec::new(); self.operations.len()];
        let mut roots = Vec::new();
        for (place, operation) in self.operations.iter().enumerate() {
            let parent = operation
                .parent
                .and_then(|id| self.places.get(&(operation.run_id.clone(), id)));
            match parent.and_then(|parent| below.get_mut(*parent)) {
                Some(siblings) => siblings.push(place),
                None => roots.push(place),
            }
        }
        let mut ordered = Vec::with_capacity(self.operations.len());
        let mut waiting: Vec<usize> = roots.into_iter().rev().collect();
        while let Some(place) = waiting.pop() {
            ordered.extend(self.operations.get(place));
            // Taken out, so that even a broken trace that goes in circles comes to an end.
            let inside = below.get_mut(place).map(std::mem::take);
            waiting.extend(inside.unwrap_or_default().into_iter().rev());
        }
        ordered
    }
}

impl CapturedOperation {
    fn line(&self) -> String {
        let mut fields = vec![self.span_name.clone()];
        self.push_end(&mut fields);
        fields.join("  ")
    }

    fn timed_line(&self) -> String {
        let end = self.end.map(millis).unwrap_or_default();
        let mut fields = vec![
            self.span_name.clone(),
            format!("{}..{end} ms", millis(self.start)),
        ];
        let sides = [
            ("in", self.usage.input_tokens),
            ("out", self.usage.output_tokens),
        ];
        let usage: Vec<_> = sides
            .iter()
            .filter_map(|(side, tokens)| Some(format!("{side}={}", (*tokens)?)))
            .collect();
        if !usage.is_empty() {
            fields.push(usage.join(" "));
        }
        fields.extend(self.cost.map(|cost| format!("${cost}")));
        self.push_end(&mut fields);
        fields.join("  ")
    }

    fn push_end(&self, fields: &mut Vec<String>) {
        match (self.outcome, &self.error) {
            (None, _) => fields.push("open".to_owned()),
            (Some(Outcome::Ok), _) | (Some(Outcome::Error), Some(_)) => {}
            (Some(outcome), _) => fields.push(format!("outcome={}", outcome.as_str())),
        }
        fields.extend(self.error.as_ref().map(|class| format!("error={class}")));
        let facts = &self.facts;
        let attempts = facts.attempts.filter(|attempts| *attempts > 1);
        fields.extend(attempts.map(|attempts| format!("attempts={attempts}")));
        fields.extend(facts.cached.then(|| "cached".to_owned()));
        let (fallback, hedge) = (&facts.fallback_for, &facts.hedge_for);
        fields.extend(
            fallback
                .as_ref()
                .map(|model| format!("fallback_for={model}")),
        );
        fields.extend(hedge.as_ref().map(|model| format!("hedge_for={model}")));
    }
}

/// Milliseconds, to the microsecond, without zeros at the end.
fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    let (whole, rest) = (micros / 1_000, micros % 1_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}")
        .trim_end_matches('0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_microsecond_and_no_longer_than_needed() {
        let written =
            [0, 20_000, 12_500, 100_513, 1_007].map(|us| millis(Duration::from_micros(us)));
        assert_eq!(written, ["0", "20", "12.5", "100.513", "1.007"]);
    }
}
