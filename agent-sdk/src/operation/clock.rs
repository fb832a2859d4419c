//! Where the wall-clock time comes from.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// Tells the wall-clock time. A run asks once, at its start; all later times are that one plus what the monotonic clock counted,
/// so that a clock that is set back cannot make an operation end before it started.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still, for tests: times are then as virtual as Tokio's.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(SystemTime);

impl FixedClock {
    /// A clock that always shows this many seconds after 1970.
    pub fn at(unix_seconds: u64) -> Self {
        Self(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds))
    }
}

impl From<SystemTime> for FixedClock {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// A run's two clocks, tied together at its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunClock {
    wall: SystemTime,
    start: Instant,
}

impl RunClock {
    pub(crate) fn start(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            start: Instant::now(),
        }
    }

    /// The same clocks, tied together now.
    pub(crate) fn restarted(&self) -> Self {
        let start = Instant::now();
        Self {
            wall: self.wall(start),
            start,
        }
    }

    pub(crate) fn wall(&self, at: Instant) -> SystemTime {
        self.wall + at.saturating_duration_since(self.start)
    }

    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }
}
