//! How many requests and tokens a minute.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::guarded::Guarded;

/// One token, in the unit in which a bucket counts: what a bucket of one token a minute gains in a nanosecond.
const TOKEN: i128 = 60_000_000_000;

/// A token bucket: it holds a minute's worth, and gains that much a minute. Reads no clock.
///
/// Its level may be below zero. Whoever takes more than there is waits until the level would have come back to zero; so
/// requests are let through in the order in which they came, and a large one is not overtaken for ever by small ones.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_minute: u32,
    level: i128,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn full(per_minute: NonZeroU32, now: Instant) -> Self {
        Self {
            per_minute: per_minute.get(),
            level: i128::from(per_minute.get()) * TOKEN,
            filled: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let gone = now.saturating_duration_since(self.filled).as_nanos();
        let gained = i128::try_from(gone)
            .unwrap_or(i128::MAX)
            .saturating_mul(self.per_minute.into());
        let full = i128::from(self.per_minute) * TOKEN;
        self.level = self.level.saturating_add(gained).min(full);
        self.filled = self.filled.max(now);
    }

    /// Takes tokens, at most a minute's worth, and says how long to wait for them; takes none where that is longer than `limit`.
    pub(super) fn take(
        &mut self,
        tokens: u64,
        now: Instant,
        limit: Option<Duration>,
    ) -> Result<Taken, Duration> {
        self.refill(now);
        let tokens = tokens.min(self.per_minute.into());
        let level = self.level - i128::from(tokens) * TOKEN;
        // Rounded up, so that after the wait the level is not below zero.
        let missing = u64::try_from(
            (-level)
                .max(0)
                .unsigned_abs()
                .div_ceil(self.per_minute.into()),
        );
        let wait = Duration::from_nanos(missing.unwrap_or(u64::MAX));
        if limit.is_some_and(|limit| wait > limit) {
            return Err(wait);
        }
        self.level = level;
        Ok(Taken { tokens, wait })
    }

    /// Gives tokens back that were not used. Who waits already goes on waiting; who comes next does not.
    pub(super) fn give_back(&mut self, tokens: u64, now: Instant) {
        self.correct(-i128::from(tokens), now);
    }

    /// Takes tokens that were used beyond what was taken before.
    pub(super) fn take_more(&mut self, tokens: u64, now: Instant) {
        self.correct(i128::from(tokens), now);
    }

    fn correct(&mut self, taken: i128, now: Instant) {
        self.refill(now);
        self.level = self.level.saturating_sub(taken.saturating_mul(TOKEN));
        self.refill(now);
    }
}

/// Tokens that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) tokens: u64,
    /// How long to wait before they may be used.
    pub(super) wait: Duration,
}

/// A limit over a minute that all clones of a handle share.
#[derive(Clone)]
pub(crate) struct PerMinute {
    bucket: Arc<Mutex<Bucket>>,
    limit: NonZeroU32,
}

impl PerMinute {
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        Self {
            bucket: Arc::new(Mutex::guard(Bucket::full(limit, Instant::now()))),
            limit,
        }
    }

    /// Takes tokens to be used later, or says how long that would take.
    pub(crate) fn reserve(
        &self,
        tokens: u64,
        limit: Option<Duration>,
    ) -> Result<Reservation, Duration> {
        let now = Instant::now();
        let taken = self.bucket.with(|bucket| bucket.take(tokens, now, limit))?;
        Ok(Reservation {
            bucket: self.bucket.clone(),
            tokens: taken.tokens,
            ready: now.checked_add(taken.wait).unwrap_or(now),
            is_used: false,
        })
    }
}

impl fmt::Debug for PerMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/min", self.limit)
    }
}

/// Tokens that are put aside. Dropped before it is used, it gives them back.
#[derive(Debug)]
pub(crate) struct Reservation {
    bucket: Arc<Mutex<Bucket>>,
    tokens: u64,
    ready: Instant,
    is_used: bool,
}

impl Reservation {
    /// When they may be used.
    pub(crate) fn ready(&self) -> Instant {
        self.ready
    }

    /// They are used from now on: they are not given back.
    pub(crate) fn begin(&mut self) {
        self.is_used = true;
    }

    /// So many were used in truth.
    pub(crate) fn correct(self, used: u64) {
        let now = Instant::now();
        let (before, bucket) = (self.tokens, &self.bucket);
        bucket.with(|bucket| {
            if used < before {
                bucket.give_back(before - used, now);
            } else {
                bucket.take_more(used - before, now);
            }
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_used {
            let (now, tokens) = (Instant::now(), self.tokens);
            self.bucket.with(|bucket| bucket.give_back(tokens, now));
        }
    }
}
