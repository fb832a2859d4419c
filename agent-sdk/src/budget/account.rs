//! One account of a budget: what is committed, what is reserved, what is owed. No clock, no lock, no store.
//!
//! An account holds a sheet for the period that runs, and one for each earlier period in which something was admitted that has not
//! ended. For every measure that a hard budget caps, `committed + reserved <= cap` on every sheet; what a provider billed above
//! what was reserved is `debt`, beside that.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AlertKind, Amounts, Budget, Dimension, Measure, Period, Refusal};
use crate::cost::Usd;

/// How many of the latest slots the pace is taken from.
const PACE_SLOTS: i64 = 5;

/// From which part of a cap on a pace is worth an alert.
const PACE_FROM_PERCENT: u64 = 10;

/// After how long without spending a run's account may be forgotten.
const RUN_IS_OVER: SignedDuration = SignedDuration::from_hours(24);

/// One account of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) current: Sheet,
    /// Those of earlier periods that still have reservations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Sheet>,
    /// When something was last charged or put aside.
    pub(crate) touched: Timestamp,
    /// Whether it is one run's, which is over some day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_of_run: bool,
}

/// What an account came to in one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) period: Period,
    pub(crate) committed: Amounts,
    pub(crate) reserved: Amounts,
    pub(crate) debt: Amounts,
    /// When it was committed: all of a rolling window, the latest of others.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    slots: VecDeque<Slot>,
    #[serde(default)]
    fired: Fired,
}

/// What was committed in a short time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    /// In seconds since 1970.
    start: i64,
    amounts: Amounts,
}

/// The alerts that were given in a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Fired {
    /// Thresholds in percent, each with the second at which it was given.
    thresholds: Vec<(u8, i64)>,
    exhausted: Option<i64>,
    pace: Option<i64>,
}

/// What something is charged: what was put aside for it, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Charge {
    /// What was reserved; nothing where it is charged without.
    pub(crate) held: Amounts,
    pub(crate) used: Amounts,
}

impl Account {
    pub(crate) fn new(budget: &Budget, now: Timestamp) -> Self {
        Self {
            current: Sheet::new(budget.window.period(now)),
            earlier: Vec::new(),
            touched: now,
            is_of_run: *budget.scope.dimension() == Dimension::Run,
        }
    }

    /// Goes on to the period of now. A clock that is set back does not open an old one again.
    pub(crate) fn turn(&mut self, budget: &Budget, now: Timestamp) {
        // A budget that was for all time, and has a window now, begins its first period.
        let is_first = !self.current.period.ends() && budget.window.has_periods();
        if is_first || now >= self.current.period.end {
            let next = Sheet::new(budget.window.period(now));
            let before = std::mem::replace(&mut self.current, next);
            if !before.reserved.is_zero() {
                self.earlier.push(before);
            }
        }
        if let Some(length) = budget.window.rolling_seconds() {
            self.current
                .forget(budget, now.as_second().saturating_sub(length));
        }
    }

    /// Notes that something was asked of it, or charged to it.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.touched = self.touched.max(now);
    }

    /// Whether so much more is admitted. The account must have been [turned](Self::turn).
    pub(crate) fn admits(&self, budget: &Budget, ask: &Amounts) -> Result<(), Refusal> {
        if !budget.is_hard() {
            return Ok(());
        }
        let sheet = &self.current;
        for (measure, cap) in budget.caps.iter() {
            let debt = sheet.debt.get(measure);
            if debt > 0 {
                return Err(Refusal::Debt { measure, debt });
            }
            let asked = ask.get(measure);
            let left = cap
                .saturating_sub(sheet.committed.get(measure))
                .saturating_sub(sheet.reserved.get(measure));
            if asked > left {
                return Err(Refusal::Short {
                    measure,
                    asked,
                    left,
                    cap,
                });
            }
        }
        Ok(())
    }

    /// Puts so much aside; answers with the start of the period that it belongs to.
    pub(crate) fn reserve(&mut self, ask: &Amounts) -> Timestamp {
        self.current.reserved = self.current.reserved.plus(ask);
        self.current.period.start
    }

    /// Charges what something came to, in the period in which it was admitted; answers with the alerts that are due, and with what
    /// is to be seen of the sheet that was charged.
    pub(crate) fn settle<R>(
        &mut self,
        budget: &Budget,
        admitted: Option<Timestamp>,
        charge: &Charge,
        now: Timestamp,
        see: impl FnOnce(&Sheet) -> R,
    ) -> (Vec<AlertKind>, R) {
        self.turn(budget, now);
        self.touch(now);
        let place = admitted.and_then(|start| {
            let is_it = |sheet: &Sheet| sheet.period.start == start;
            self.earlier.iter().position(is_it)
        });
        let sheet = place.and_then(|place| self.earlier.get_mut(place));
        let sheet = sheet.unwrap_or(&mut self.current);
        let alerts = sheet.settle(budget, charge, now);
        let seen = see(sheet);
        if let Some(place) = place
            && self
                .earlier
                .get(place)
                .is_some_and(|sheet| sheet.reserved.is_zero())
        {
            self.earlier.remove(place);
        }
        (alerts, seen)
    }

    /// Notes that something was refused; the first of a period is worth an alert.
    pub(crate) fn refused(&mut self, budget: &Budget, now: Timestamp) -> Option<AlertKind> {
        let again = again_after(budget, self.current.fired.exhausted, now);
        again.then(|| {
            self.current.fired.exhausted = Some(now.as_second());
            AlertKind::Exhausted
        })
    }

    /// Takes the debt as spent, so that it blocks nothing more but for what it leaves.
    pub(crate) fn accept_debt(&mut self, budget: &Budget, now: Timestamp) {
        let debt = std::mem::take(&mut self.current.debt);
        self.current.commit(budget, &debt, now);
    }

    /// Begins the period anew: nothing was spent, no alert was given. What is reserved stays so.
    pub(crate) fn reset(&mut self, budget: &Budget, now: Timestamp) {
        let reserved = self.current.reserved;
        self.current = Sheet::new(budget.window.period(now));
        self.current.reserved = reserved;
    }

    /// Whether it is that of a run that has not spent for so long, and has nothing under way.
    pub(crate) fn is_idle_run(&self, time: SignedDuration, now: Timestamp) -> bool {
        let is_idle = now.duration_since(self.touched) >= time;
        self.is_of_run && is_idle && self.current.reserved.is_zero() && self.earlier.is_empty()
    }

    /// Whether nothing would be lost with it: its period is over, or it is that of a run that has not spent for a day.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.over_at().is_some_and(|at| now >= at)
    }

    /// From when on nothing would be lost with it; `None` while something is put aside, or where that is never so.
    pub(crate) fn over_at(&self) -> Option<Timestamp> {
        let period = self.current.period;
        let ends = period.ends().then_some(period.end);
        let idle = self.touched.checked_add(RUN_IS_OVER).ok();
        let over = ends.into_iter().chain(idle.filter(|_| self.is_of_run));
        over.min()
            .filter(|_| self.current.reserved.is_zero() && self.earlier.is_empty())
    }
}

/// Whether an alert that was given at some time is given again: once a period, and of a rolling window once in its length.
fn again_after(budget: &Budget, given: Option<i64>, now: Timestamp) -> bool {
    match (given, budget.window.rolling_seconds()) {
        (None, _) => true,
        (Some(given), Some(length)) => now.as_second().saturating_sub(given) >= length,
        (Some(_), None) => false,
    }
}

impl Sheet {
    fn new(period: Period) -> Self {
        Self {
            period,
            committed: Amounts::ZERO,
            reserved: Amounts::ZERO,
            debt: Amounts::ZERO,
            slots: VecDeque::new(),
            fired: Fired::default(),
        }
    }

    /// What was spent of a measure, debt included.
    pub(crate) fn spent(&self, measure: Measure) -> u64 {
        self.committed
            .get(measure)
            .saturating_add(self.debt.get(measure))
    }

    fn settle(&mut self, budget: &Budget, charge: &Charge, now: Timestamp) -> Vec<AlertKind> {
        let Charge { held, used } = charge;
        self.reserved = self.reserved.minus(held);
        let mut more = *used;
        let mut owed = Amounts::ZERO;
        if budget.is_hard() {
            for (measure, cap) in budget.caps.iter() {
                let used = used.get(measure);
                let covered = if held.is_zero() {
                    // Nobody asked before: what fits is spent, what does not is owed.
                    let taken = self
                        .spent(measure)
                        .saturating_add(self.reserved.get(measure));
                    used.min(cap.saturating_sub(taken))
                } else {
                    used.min(held.get(measure))
                };
                more.set(measure, covered);
                owed.set(measure, used - covered);
            }
        }
        self.commit(budget, &more, now);
        let mut alerts = Vec::new();
        if !owed.is_zero() {
            self.debt = self.debt.plus(&owed);
            alerts.extend(Measure::ALL.into_iter().filter_map(|measure| {
                let debt = owed.get(measure);
                (debt > 0).then_some(AlertKind::Debt { measure, debt })
            }));
        }
        self.thresholds(budget, now, &mut alerts);
        alerts.extend(self.pace(budget, now, more.usd));
        alerts
    }

    fn commit(&mut self, budget: &Budget, more: &Amounts, now: Timestamp) {
        self.committed = self.committed.plus(more);
        let length = budget.window.slot_seconds(self.period);
        if length == i64::MAX || more.is_zero() {
            return;
        }
        let start = now.as_second() - now.as_second().rem_euclid(length);
        let is_rolling = budget.window.rolling_seconds().is_some();
        // Where the clock was set back, a pace begins anew: nobody knows the time in which the rest was spent.
        if !is_rolling && self.slots.back().is_some_and(|last| last.start > start) {
            self.slots.clear();
        }
        match self.slots.back_mut() {
            // What a rolling window forgets too late is no harm: it adds to the latest.
            Some(last) if last.start >= start => last.amounts = last.amounts.plus(more),
            _ => self.slots.push_back(Slot {
                start,
                amounts: *more,
            }),
        }
        if !is_rolling {
            let oldest = start.saturating_sub(PACE_SLOTS * length);
            while self.slots.front().is_some_and(|slot| slot.start < oldest) {
                self.slots.pop_front();
            }
        }
    }

    /// Forgets what a rolling window has left behind.
    fn forget(&mut self, budget: &Budget, before: i64) {
        let length = budget.window.slot_seconds(self.period);
        while let Some(slot) = self.slots.front() {
            if slot.start.saturating_add(length) > before {
                break;
            }
            self.committed = self.committed.minus(&slot.amounts);
            self.slots.pop_front();
        }
    }

    /// The part of its cap that the measure that is nearest to it has reached, in percent.
    pub(crate) fn percent(&self, budget: &Budget) -> u64 {
        let parts = budget.caps.iter().map(|(measure, cap)| {
            let spent = u128::from(self.spent(measure)) * 100;
            // Of nothing, everything is spent.
            spent.checked_div(u128::from(cap)).unwrap_or(100)
        });
        parts
            .max()
            .map_or(0, |percent| u64::try_from(percent).unwrap_or(u64::MAX))
    }

    fn thresholds(&mut self, budget: &Budget, now: Timestamp, alerts: &mut Vec<AlertKind>) {
        let reached = self.percent(budget);
        let mut thresholds = budget.alerts.clone();
        thresholds.sort_unstable();
        for percent in thresholds {
            let given = self
                .fired
                .thresholds
                .iter()
                .find(|(known, _)| *known == percent);
            let given = given.map(|(_, at)| *at);
            if reached >= u64::from(percent) && again_after(budget, given, now) {
                self.fired.thresholds.retain(|(known, _)| *known != percent);
                self.fired.thresholds.push((percent, now.as_second()));
                alerts.push(AlertKind::Threshold { percent });
            }
        }
    }

    /// Whether the money of a period with an end will be gone before that, at the pace of the latest time: of five sixtieths of the
    /// period, or of all that is over of it.
    fn pace(&mut self, budget: &Budget, now: Timestamp, just: Usd) -> Option<AlertKind> {
        let cap = budget.caps.get(Measure::Usd)?;
        if !self.period.ends() || self.fired.pace.is_some() || budget.alerts.is_empty() {
            return None;
        }
        let spent = self.spent(Measure::Usd);
        if spent >= cap || u128::from(spent) * 100 < u128::from(cap) * u128::from(PACE_FROM_PERCENT)
        {
            return None;
        }
        let length = budget.window.slot_seconds(self.period);
        let now = now.as_second();
        // The pace is that of whole slots and the one that runs, over just their time. What comes now is left out: of spending that
        // comes in lumps it would count one more than there are times between them, and a single lump has no pace.
        let since = now.saturating_sub(PACE_SLOTS * length);
        let since = since - since.rem_euclid(length);
        let start = self.period.start.as_second();
        let time = now.checked_sub(since.max(start))?;
        if time < length {
            return None;
        }
        let recent = self.slots.iter().filter(|slot| slot.start >= since);
        let recent = recent
            .map(|slot| u128::from(slot.amounts.usd.nanos()))
            .sum::<u128>();
        let recent = recent.saturating_sub(u128::from(just.nanos()));
        // Rounded down: it may be gone earlier, not later.
        let seconds = (u128::from(cap - spent) * u128::try_from(time).ok()?).checked_div(recent)?;
        let gone = now.checked_add(i64::try_from(seconds).ok()?)?;
        if gone >= self.period.end.as_second() {
            return None;
        }
        self.fired.pace = Some(now);
        Some(AlertKind::Pace {
            gone: Timestamp::from_second(gone).ok()?,
        })
    }
}
