//! What makes a trace worth keeping.

use std::fmt;
use std::time::Duration;

use agent_sdk::cost::Usd;

use crate::error::TelemetryError;

/// Which traces are kept once it is known how they went; the rest leaves by a share.
///
/// Head sampling comes before it: what that leaves out never gets here, so leave it at its default. A trace is decided when its
/// local root ended, or as soon as there is a reason to keep it. Late spans follow the decision, as long as it is remembered.
///
/// A span counts as queued in the [account](crate::Telemetry::account) until its trace is decided, and as unsampled if it is left
/// out. Metrics are not sampled: costs and counts are complete whatever is kept.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use agent_sdk::cost::Usd;
/// use agent_sdk_otel::TailSampling;
///
/// let half_a_dollar = Usd::from_nanos(500_000_000);
/// let rules = TailSampling::keep_errors()
///     .slower_than(Duration::from_secs(10))
///     .dearer_than(half_a_dollar)
///     .share(0.1);
/// assert_eq!("errors,slow=10s,cost=0.5,share=0.1".parse::<TailSampling>()?, rules);
/// # Ok::<(), agent_sdk_otel::TelemetryError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "rules do nothing until a builder has them"]
pub struct TailSampling {
    pub(super) errors: bool,
    pub(super) budget: bool,
    pub(super) slower: Option<Duration>,
    pub(super) dearer: Option<Usd>,
    share: f64,
    pub(super) bytes: usize,
    pub(super) traces: usize,
    pub(super) grace: Duration,
}

impl TailSampling {
    /// Keeps the traces in which a span failed or a budget refused something, and nothing else.
    pub fn keep_errors() -> Self {
        Self {
            errors: true,
            budget: true,
            ..Self::keep_nothing()
        }
    }

    /// Keeps nothing; the starting point for rules without errors.
    pub fn keep_nothing() -> Self {
        Self {
            errors: false,
            budget: false,
            slower: None,
            dearer: None,
            share: 0.0,
            bytes: 64 << 20,
            traces: 20_000,
            grace: Duration::from_millis(200),
        }
    }

    /// Keeps the traces in which a budget refused something.
    pub fn keep_budget_refusals(mut self) -> Self {
        self.budget = true;
        self
    }

    /// Keeps the traces whose local root took longer than this.
    pub fn slower_than(mut self, limit: Duration) -> Self {
        self.slower = Some(limit);
        self
    }

    /// Keeps the traces that cost more than this, as far as that is known.
    pub fn dearer_than(mut self, limit: Usd) -> Self {
        self.dearer = Some(limit);
        self
    }

    /// Keeps this share of all traces whatever happens in them, from 0 to 1; by their id, so that every process that has the same
    /// share keeps the same ones. Default: none.
    pub fn share(mut self, share: f64) -> Self {
        self.share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        self
    }

    /// How much may be held at a time, in bytes. Default: 64 MiB. Beyond it the oldest undecided trace is left out.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many traces may be undecided at a time. Default: 20,000. Four times as many decisions are remembered.
    pub fn traces(mut self, traces: usize) -> Self {
        self.traces = traces;
        self
    }

    /// How long a trace is held after its local root ended, in case that a late span is a reason to keep it. Default: 200
    /// milliseconds.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What the low 63 bits of a kept trace's id are below.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share from 0 to 1 of 63 bits"
    )]
    pub(super) fn threshold(&self) -> u64 {
        (self.share * (1_u64 << 63) as f64) as u64
    }
}

/// As it is read.
impl fmt::Display for TailSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusals = match (self.errors, self.budget) {
            (true, _) => "errors,",
            (false, true) => "budget,",
            (false, false) => "",
        };
        f.write_str(refusals)?;
        if let Some(limit) = self.slower {
            write!(f, "slow={}ms,", limit.as_millis())?;
        }
        if let Some(limit) = self.dearer {
            write!(f, "cost={limit},")?;
        }
        let (share, memory, traces) = (self.share, self.bytes, self.traces);
        write!(f, "share={share},memory={memory},traces={traces}")
    }
}

/// Reads a comma-separated list such as `errors,slow=10s,cost=0.5,share=0.1`: `errors` (budget refusals included), `budget`,
/// `slow=` a duration in `ms`, `s` or `m`, `cost=` US dollars, `share=` from 0 to 1, `memory=` bytes, `traces=` a number.
impl std::str::FromStr for TailSampling {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).map_err(|what| TelemetryError::setting(format!("tail sampling: {what}")))
    }
}

impl TailSampling {
    /// Reads the list, or says which of its entries cannot be used and what could stand there.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut rules = Self::keep_nothing();
        for (index, word) in text.split(',').map(str::trim).enumerate() {
            rules
                .take(word)
                .map_err(|takes| format!("entry {} {takes}", index + 1))?;
        }
        Ok(rules)
    }

    /// Takes one entry, or says what it takes.
    fn take(&mut self, word: &str) -> Result<(), &'static str> {
        match word.split_once('=') {
            None if word == "errors" => {
                self.errors = true;
                self.budget = true;
            }
            None if word == "budget" => self.budget = true,
            Some(("slow", value)) => {
                let takes = "takes a whole number of ms, s or m, such as slow=10s";
                self.slower = Some(duration(value).ok_or(takes)?);
            }
            Some(("cost", value)) => {
                let takes = "takes US dollars, such as cost=0.5";
                self.dearer = Some(value.parse().map_err(|_| takes)?);
            }
            Some(("share", value)) => {
                let share = value
                    .parse()
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share));
                self.share = share.ok_or("takes a number from 0 to 1, such as share=0.1")?;
            }
            Some(("memory", value)) => {
                let takes = "takes bytes, such as memory=67108864";
                self.bytes = value.parse().map_err(|_| takes)?;
            }
            Some(("traces", value)) => {
                let takes = "takes a whole number, such as traces=20000";
                self.traces = value.parse().map_err(|_| takes)?;
            }
            _ => {
                return Err(
                    "is none of errors, budget, slow=10s, cost=0.5, share=0.1, memory=67108864 \
                     and traces=20000",
                );
            }
        }
        Ok(())
    }
}

/// A whole number and its unit.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}
