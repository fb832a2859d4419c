//! Which of the calls that wait goes first.

use std::time::Duration;

use tokio::time::Instant;

/// How much a tool call matters: the sum of what its [tool](super::ToolPolicy::priority) and its
/// [run](crate::operation::RunContext::with_priority) say, from −128 to 127. Default: 0.
///
/// A call that waits grows older, and one level is worth as much as a [second](super::ToolSchedulerBuilder::ageing) of waiting:
/// calls go in the order of `arrival − priority · ageing`. So a call is overtaken only by what arrives within
/// `(127 − priority) · ageing` after it, and none waits for ever behind more important ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i8);

impl Priority {
    /// What can wait ten seconds longer.
    pub const LOW: Self = Self(-10);

    /// Neither.
    pub const NORMAL: Self = Self(0);

    /// What goes before everything that came in the last ten seconds.
    pub const HIGH: Self = Self(10);

    /// A priority of a level.
    pub const fn new(level: i8) -> Self {
        Self(level)
    }

    /// Its level.
    pub const fn level(self) -> i8 {
        self.0
    }

    /// That of something which matters for two reasons.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// The place of a call among those that wait, the smallest first. It never changes: all grow older at the same pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rank {
    /// When it would have come with a priority of 0, in nanoseconds.
    came: i128,
    /// Its number, for those that came at one time.
    pub(super) number: u64,
}

/// How priorities and waiting are weighed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ageing {
    /// When time began.
    pub(super) epoch: Instant,
    /// How much waiting a level of priority is worth.
    pub(super) step: Duration,
}

impl Ageing {
    /// The place of a call that comes now.
    pub(super) fn rank(&self, priority: Priority, now: Instant, number: u64) -> Rank {
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        let came = nanos(now.saturating_duration_since(self.epoch));
        let ahead = nanos(self.step).saturating_mul(i128::from(priority.level()));
        Rank {
            came: came.saturating_sub(ahead),
            number,
        }
    }
}
