//! Whether a failed request is sent again, and when.

use std::time::Duration;

use super::RetryBudget;
use crate::model::ModelError;

/// The longest wait that a server may ask for.
const MAX_SERVER_WAIT: Duration = Duration::from_mins(1);

/// When a model request that failed is sent again: within the same `chat` operation, as a new `attempt`.
///
/// Tried again is what [may succeed later](ModelError::is_retryable): what the provider says about that wins over the class of
/// the error. An empty account is not tried again, and nothing is once a piece of the answer was handed to the reader.
///
/// The n-th wait is `c/2 + random(0..c/2)` with `c = min(longest_wait, first_wait · 2^(n−1))`: exponential backoff with equal
/// jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Where the server says how long to
/// wait, that is waited instead, exactly, up to 60 s. Where a wait would pass the run's deadline, the request fails at once
/// with the error that it has.
///
/// All tries of a request carry the same idempotency key, so that a provider that knows such keys answers them once.
///
/// # Example
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use agent_sdk::model::Retry;
///
/// let patient = Retry::default()
///     .max_attempts(NonZeroU32::new(5).unwrap())
///     .first_wait(Duration::from_secs(1))
///     .longest_wait(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing until a model is given it"]
pub struct Retry {
    max_attempts: u32,
    first_wait: Duration,
    longest_wait: Duration,
    jitter: Jitter,
    budget: RetryBudget,
}

/// How a computed wait is spread, so that many clients that failed together do not return together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all: the wait is `c`.
    None,
    /// The second half of it: `c/2 + random(0..c/2)`.
    #[default]
    Equal,
    /// All of it: `random(0..c)`.
    Full,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(8),
            jitter: Jitter::Equal,
            budget: RetryBudget::new(),
        }
    }
}

impl Retry {
    /// Never tries again: for a model that suggests a policy, where none is wanted.
    pub fn none() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// Sets how often a request is sent, the first time included. Default: 3.
    pub fn max_attempts(mut self, attempts: std::num::NonZeroU32) -> Self {
        self.max_attempts = attempts.get();
        self
    }

    /// Sets the wait before the second try, which then doubles with each. Default: 500 ms.
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// Sets what no computed wait passes. Default: 8 s.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Sets how computed waits are spread. Default: [`Jitter::Equal`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Shares a budget of retries with other models, for example with those behind the same address. Default: a budget of its
    /// own, which all clones of the policy and of the handle share.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Whether it ever tries again.
    pub(crate) fn retries(&self) -> bool {
        self.max_attempts > 1
    }

    /// A request is sent for the first time.
    pub(crate) fn begin(&self) {
        self.budget.deposit();
    }

    /// How long to wait before the request is sent again after its n-th failure, from 1; `None` where it is not.
    ///
    /// `left` is the time until the deadline, `refused` that for which a breaker will let nothing through, `random` a number from
    /// 0 to 1. Takes a retry from the budget only where the request will be sent.
    pub(super) fn wait(
        &self,
        error: &ModelError,
        failures: u32,
        left: Option<Duration>,
        refused: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if !error.is_retryable() {
            return None;
        }
        self.wait_after(failures, error.retry_after(), left, refused, random)
    }

    /// The same of any failure that is to be tried again, where it says after what time that may be, or does not.
    pub(crate) fn wait_after(
        &self,
        failures: u32,
        asked: Option<Duration>,
        left: Option<Duration>,
        refused: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if failures >= self.max_attempts {
            return None;
        }
        let wait = match asked {
            Some(asked) => asked.min(MAX_SERVER_WAIT),
            None => self.backoff(failures, random),
        };
        if left.is_some_and(|left| wait >= left) || refused.is_some_and(|refused| wait < refused) {
            return None;
        }
        self.budget.withdraw().then_some(wait)
    }

    fn backoff(&self, failures: u32, random: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let ceiling = self
            .first_wait
            .saturating_mul(doubled)
            .min(self.longest_wait);
        let part = match self.jitter {
            Jitter::None => return ceiling,
            Jitter::Equal => 0.5 + 0.5 * random,
            Jitter::Full => random,
        };
        Duration::try_from_secs_f64(ceiling.as_secs_f64() * part).unwrap_or(ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelErrorKind;

    fn overloaded() -> ModelError {
        ModelError::new(ModelErrorKind::Overloaded, "busy")
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_second_half() {
        let attempts = std::num::NonZeroU32::MAX;
        let retry = Retry::default().max_attempts(attempts);
        let wait = |failures, random| {
            let wait = retry.wait(&overloaded(), failures, None, None, random);
            wait.unwrap().as_millis()
        };
        let longest: Vec<_> = [1, 2, 3, 4, 5].map(|n| wait(n, 1.0)).to_vec();
        assert_eq!(longest, [500, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!([wait(1, 0.0), wait(40, 0.0)], [250, 4_000]);
        let full = Retry::default().jitter(Jitter::Full);
        assert_eq!(
            full.wait(&overloaded(), 1, None, None, 0.0),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn waits_of_absurd_settings_neither_overflow_nor_panic() {
        let retry = Retry::default()
            .max_attempts(std::num::NonZeroU32::MAX)
            .first_wait(Duration::MAX)
            .longest_wait(Duration::MAX);
        for random in [1.0, f64::NAN, f64::INFINITY] {
            let wait = retry.wait(&overloaded(), u32::MAX - 1, None, None, random);
            assert_eq!(wait, Some(Duration::MAX));
        }
    }
}
