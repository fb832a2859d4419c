//! Who spent what, on what, and when.
//!
//! Each thing that is charged becomes a [`CostLine`]: a model request, an embeddings request, what a tool paid. Two observers make
//! lines: [`CostTracker`] holds them in memory, for totals while things run and for reports; [`CostKeeper`] keeps them in a store, from
//! where [`CostLines`] reads them again, whichever process wrote them. A [`CostQuery`] says by what a [`CostReport`] is grouped.
//!
//! The total of a report is the exact sum of its lines, in whole nano-USD; a run's lines add up to the cost in its
//! [report](crate::run::RunReport). What nobody knows is no line of zero: it is counted and listed as unpriced. Where there are more lines
//! than may be held, the oldest give way to sums: totals stay exact, and a report says of how many lines only sums are left.

mod exact;
mod fold;
mod group;
mod keeper;
mod line;
mod place;
mod query;
mod queue;
mod read;
mod render;
mod report;
mod runs;
mod sums;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use fold::{FoldedGroup, FoldedLines};
pub use keeper::CostKeeper;
pub use line::CostLine;
pub use query::{CostQuery, Dimension, InvalidDimension};
pub use read::{CostLines, CostPages, KeptCost};
pub use report::{CostReport, CostRow, RowKind, UnpricedCall};
pub use sums::CostSums;

use fold::{Folds, MAX_FOLDS};
use line::lines_of;
use place::Places;
use report::Tally;
use runs::RunSums;

use crate::operation::{Observer, Observers, OperationInfo, OperationRecord, Payload, RunId};

/// How many lines are held, unless the tracker is told otherwise.
const LINES: usize = 100_000;

/// An [`Observer`] that knows what everything it watches cost. Clones share everything.
///
/// It holds at most 100,000 lines, of some 500 bytes each. Beyond, the oldest are folded into sums by day, provider, model, agents and
/// user, of which there are at most 10,000 and then one a day: [`folded`](Self::folded) says how many lines that were, and every total
/// stays exact. It goes with the process; [`CostKeeper`] keeps lines in a store.
///
/// # Example
///
/// ```
/// use agent_sdk::{
///     agent::Agent,
///     cost::{CostQuery, CostTracker, Dimension},
///     model::Usage,
///     testing::{ScriptedModel, Turn},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = CostTracker::new();
/// let turn = Turn::from("Hello.").usage(Usage::new(1_000, 100));
/// let model = ScriptedModel::new([turn]).named("openai", "gpt-4o-mini");
/// let agent = Agent::builder("greeter", model).observers(tracker.observers()).build()?;
/// let run = agent.run("Hi.").await?;
///
/// assert_eq!(tracker.totals().amount, run.cost);
/// let report = tracker.report(&CostQuery::by([Dimension::Agent, Dimension::Model]));
/// assert_eq!(
///     report.to_string(),
///     "\
/// agent    model        requests  unpriced  input  output      USD
/// greeter  gpt-4o-mini         1         0  1,000     100  0.00021
/// total                        1         0  1,000     100  0.00021
/// "
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CostTracker {
    state: Arc<Mutex<State>>,
    max_lines: usize,
}

#[derive(Default)]
struct State {
    places: Places,
    lines: VecDeque<Arc<CostLine>>,
    folds: Folds,
    total: CostSums,
    runs: RunSums,
}

impl CostTracker {
    /// Holds at most 100,000 lines.
    pub fn new() -> Self {
        Self::with_capacity(LINES)
    }

    /// Holds at most so many lines; with none, sums alone.
    pub fn with_capacity(lines: usize) -> Self {
        Self {
            state: Arc::default(),
            max_lines: lines,
        }
    }

    /// This tracker as the only observer.
    pub fn observers(&self) -> Observers {
        Observers::none().with(self.clone())
    }

    /// What everything cost so far.
    pub fn totals(&self) -> CostSums {
        self.lock().total
    }

    /// What a run cost so far, all its lives in this process together. `None` where nothing of it was charged, and where it began longer
    /// ago than 10,000 other runs.
    pub fn run_totals(&self, run: &RunId) -> Option<CostSums> {
        self.lock().runs.get(run)
    }

    /// The lines that are held, oldest first.
    pub fn lines(&self) -> Vec<Arc<CostLine>> {
        self.lock().lines.iter().cloned().collect()
    }

    /// Of how many lines only sums are left.
    pub fn folded(&self) -> u64 {
        self.lock().folds.lines()
    }

    /// What a query asks for. Runs wait no longer for it than it takes to note the lines that are there.
    pub fn report(&self, query: &CostQuery) -> CostReport {
        let (lines, folded): (Vec<_>, Vec<_>) = {
            let state = self.lock();
            let lines = state.lines.iter().cloned().collect();
            (lines, state.folds.all().cloned().collect())
        };
        let mut tally = Tally::new(query.clone());
        for folded in &folded {
            tally.folded(folded);
        }
        for line in &lines {
            tally.line(line);
        }
        tally.finish()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CostTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for CostTracker {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        self.lock().places.started(operation);
    }

    fn ended(&self, operation: &OperationRecord<'_>, _: Payload<'_>) {
        let mut state = self.lock();
        let place = state.places.ended(operation);
        for line in lines_of(operation, &place) {
            state.total.add(&line);
            state.runs.add(&line);
            state.lines.push_back(Arc::new(line));
            while state.lines.len() > self.max_lines
                && let Some(oldest) = state.lines.pop_front()
            {
                state.folds.add(&oldest, MAX_FOLDS);
            }
        }
    }
}

impl fmt::Debug for CostTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("CostTracker")
            .field("amount", &state.total.amount)
            .field("lines", &state.lines.len())
            .field("folded", &state.folds.lines())
            .finish_non_exhaustive()
    }
}
