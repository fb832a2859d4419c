//! How a tool may be run.

use std::time::Duration;

/// What happens outside when a tool runs twice; governs retry and resume, nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Something changes each time.
    #[default]
    Write,
    /// The second time changes nothing more, given the same idempotency key.
    Idempotent,
    /// Nothing changes.
    ReadOnly,
}

impl Effect {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Idempotent => "idempotent",
            Self::ReadOnly => "read_only",
        }
    }
}

/// Which calls of one turn may run beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Concurrency {
    /// Beside any other that allows it.
    #[default]
    Parallel,
    /// Alone: it waits for the calls before it, and those after it wait for it.
    Exclusive,
}

/// How a tool may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolOptions {
    /// What happens outside when it runs twice. Default: [`Effect::Write`].
    pub effect: Effect,
    /// Which calls may run beside it. Default: [`Concurrency::Parallel`].
    pub concurrency: Concurrency,
    /// The longest that one call may take. Default: 2 minutes; always cut to the run's own deadline.
    pub timeout: Duration,
    /// Whether a person is asked before each call. Default: no. A call that nobody can be asked about is not made.
    pub needs_approval: bool,
}

impl Default for ToolOptions {
    fn default() -> Self {
        Self {
            effect: Effect::default(),
            concurrency: Concurrency::default(),
            timeout: Duration::from_mins(2),
            needs_approval: false,
        }
    }
}

impl ToolOptions {
    /// Sets what happens when it runs twice.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Sets which calls may run beside it.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Asks a person before each call.
    #[must_use]
    pub fn with_approval(mut self) -> Self {
        self.needs_approval = true;
        self
    }

    /// Sets the longest that one call may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
