//! Tools that behave in one known way.

use std::{
    convert::Infallible,
    future::pending,
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::{
    model::ToolSpec,
    tool::{Tool, ToolContext, ToolError, ToolOptions, ToolOutput},
};

/// A tool whose calls wait for each other: none returns before `n` of them run at the same time.
///
/// That proves that calls run beside each other without measuring time. If they do not, they wait until their time is up. It can
/// be used again: every `n` calls go on together. A call that is dropped while it waits no longer counts. Clones are one tool.
#[derive(Clone, Debug)]
pub struct BarrierTool {
    name: Arc<str>,
    options: ToolOptions,
    needed: usize,
    waiting: Arc<Mutex<usize>>,
    /// The number of groups that went on.
    opened: watch::Sender<u64>,
}

impl BarrierTool {
    /// A tool whose calls go on in groups of `n`.
    pub fn new(name: impl Into<Arc<str>>, n: usize) -> Self {
        Self {
            name: name.into(),
            options: ToolOptions::default(),
            needed: n,
            waiting: Arc::default(),
            opened: watch::Sender::new(0),
        }
    }

    /// Sets how it may be run.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }

    /// How many groups of calls have gone on.
    pub fn opened(&self) -> u64 {
        *self.opened.borrow()
    }

    /// How many calls wait now.
    pub fn waiting(&self) -> usize {
        *lock(&self.waiting)
    }

    async fn pass(&self) {
        let mut opened = self.opened.subscribe();
        let place = {
            let mut waiting = lock(&self.waiting);
            *waiting += 1;
            if *waiting >= self.needed {
                *waiting = 0;
                self.opened.send_modify(|groups| *groups += 1);
                return;
            }
            Place {
                tool: self,
                group: *opened.borrow_and_update(),
            }
        };
        // The sender lives in `self`, so that it cannot be gone.
        let _ = opened.wait_for(|groups| *groups > place.group).await;
    }
}

/// A call's place in a group that waits.
struct Place<'a> {
    tool: &'a BarrierTool,
    group: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.tool.waiting);
        if self.tool.opened() == self.group {
            *waiting = waiting.saturating_sub(1);
        }
    }
}

impl Tool for BarrierTool {
    fn spec(&self) -> ToolSpec {
        spec(&self.name, "Waits until enough calls run at the same time.")
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, _: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        self.pass().await;
        Ok(ToolOutput::from("passed"))
    }
}

/// A tool that counts its calls and how many of them ran at the same time. Clones are one tool.
#[derive(Clone, Debug)]
pub struct CountingTool {
    name: Arc<str>,
    options: ToolOptions,
    takes: Duration,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    inside: usize,
    peak: usize,
}

impl CountingTool {
    /// A tool that answers at once.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            options: ToolOptions::default(),
            takes: Duration::ZERO,
            counts: Arc::default(),
        }
    }

    /// Sets how long each call takes.
    #[must_use]
    pub fn taking(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    /// Sets how it may be run.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }

    /// How many calls began.
    pub fn calls(&self) -> usize {
        lock(&self.counts).calls
    }

    /// How many calls run now.
    pub fn inside(&self) -> usize {
        lock(&self.counts).inside
    }

    /// The most calls that ran at the same time.
    pub fn peak(&self) -> usize {
        lock(&self.counts).peak
    }
}

/// A call that runs.
struct Inside<'a>(&'a Mutex<Counts>);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        lock(self.0).inside -= 1;
    }
}

impl Tool for CountingTool {
    fn spec(&self) -> ToolSpec {
        spec(&self.name, "Counts its calls.")
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, _: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        let (number, _inside) = {
            let mut counts = lock(&self.counts);
            counts.calls += 1;
            counts.inside += 1;
            counts.peak = counts.peak.max(counts.inside);
            (counts.calls, Inside(&self.counts))
        };
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        Ok(ToolOutput::from(format!("call {number}")))
    }
}

/// A tool that fails with these words.
pub fn failing_tool(
    name: impl Into<Arc<str>>,
    message: impl Into<String>,
) -> impl Tool + Clone + std::fmt::Debug {
    Bad {
        name: name.into(),
        way: Way::Fail(message.into()),
    }
}

/// A tool that panics, without a message on the standard error output.
pub fn panicking_tool(name: impl Into<Arc<str>>) -> impl Tool + Clone + std::fmt::Debug {
    Bad {
        name: name.into(),
        way: Way::Panic,
    }
}

/// A tool that never returns.
pub fn hanging_tool(name: impl Into<Arc<str>>) -> impl Tool + Clone + std::fmt::Debug {
    Bad {
        name: name.into(),
        way: Way::Hang,
    }
}

#[derive(Clone, Debug)]
struct Bad {
    name: Arc<str>,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Fail(String),
    Panic,
    Hang,
}

impl Tool for Bad {
    fn spec(&self) -> ToolSpec {
        spec(&self.name, "Behaves badly, for tests.")
    }

    async fn call(&self, _: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        match &self.way {
            Way::Fail(message) => Err(ToolError::failed(message.clone())),
            Way::Panic => resume_unwind(Box::new("a tool that panics on purpose")),
            Way::Hang => match pending::<Infallible>().await {},
        }
    }
}

/// A tool that takes any object.
fn spec(name: &Arc<str>, description: &str) -> ToolSpec {
    let schema = RawValue::from_string(r#"{"type":"object"}"#.to_owned());
    let schema = schema.unwrap_or_else(|_| RawValue::TRUE.to_owned());
    ToolSpec::new(name.clone(), description, schema)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
