//! When a pace is worth an alert, and which time it names.

use jiff::Timestamp;

use crate::{
    budget::{
        AlertKind, Amounts, Budget, Window,
        account::{Account, Charge},
    },
    cost::Usd,
};

const DAY: &str = "2026-11-21T00:00:00Z";

/// Spends so much at each minute of a day, and answers with the paces that were told: minute, and when it will be gone.
fn told(spent: impl IntoIterator<Item = (i64, u64)>) -> Vec<(i64, String)> {
    let budget = Budget::new("b")
        .max_usd(Usd::from_nanos(1_000_000))
        .window(Window::day())
        .alerts([100]);
    let midnight: Timestamp = DAY.parse().unwrap();
    let at = |minute: i64| Timestamp::from_second(midnight.as_second() + minute * 60).unwrap();
    let mut account = Account::new(&budget, midnight);
    let mut told = Vec::new();
    for (minute, used) in spent {
        let charge = Charge {
            held: Amounts::ZERO,
            used: Amounts::usd(Usd::from_nanos(used)),
        };
        let (kinds, ()) = account.settle(&budget, None, &charge, at(minute), |_| ());
        for kind in kinds {
            if let AlertKind::Pace { gone } = kind {
                told.push((minute, gone.to_string()));
            }
        }
    }
    told
}

#[test]
fn a_burst_after_a_quiet_night_is_told_with_the_time_it_leaves() {
    // From 8:00 on 3,000 a minute. The pace is that of the last two hours, so it rises while the burst goes on.
    let paces = told((480..540).map(|minute| (minute, 3_000)));
    let [(minute, gone)] = &paces[..] else {
        panic!("{paces:?}");
    };
    // At 8:45 it is 135,000 in the 141 minutes since the part of the day that began at 6:24: 862,000 last for 15 hours.
    assert_eq!(*minute, 525);
    assert_eq!(gone, "2026-11-21T23:45:18Z");
}

#[test]
fn a_steady_pace_that_lasts_is_not_told_at_any_time_of_the_day() {
    // 688 a minute are 990,720 in the day.
    assert_eq!(told((0..1_440).map(|minute| (minute, 688))), []);
    // Many at a time, from the first second of a part on or from the middle of it.
    for first in 0..24 {
        let spent = (first..1_440).step_by(24).map(|minute| (minute, 15_500));
        assert_eq!(told(spent), [], "{first}");
    }
}

#[test]
fn a_steady_pace_that_does_not_last_is_told_once_a_tenth_is_spent() {
    // Twice as fast: gone at noon.
    let paces = told((0..1_440).map(|minute| (minute, 1_389)));
    let [(minute, gone)] = &paces[..] else {
        panic!("{paces:?}");
    };
    assert_eq!(*minute, 71);
    assert!(gone.starts_with("2026-11-21T11:"), "{gone}");
}

#[test]
fn one_lump_is_no_pace() {
    assert_eq!(told([(480, 500_000)]), []);
    // The next one finds it in the last two hours.
    assert_eq!(told([(480, 500_000), (500, 1)]).len(), 1);
}

#[test]
fn the_first_minutes_of_a_period_tell_nothing() {
    let paces = told((0..24).map(|minute| (minute, 20_000)));
    assert_eq!(paces, []);
}

#[test]
fn near_the_end_of_a_period_a_pace_that_lasts_until_then_is_not_told() {
    // 90 % are left for the last two hours.
    let quick = (1_320..1_440).map(|minute| (minute, 7_000));
    assert_eq!(told([(0, 100_000)].into_iter().chain(quick)), []);
    let quicker = (1_320..1_440).map(|minute| (minute, 8_000));
    assert_eq!(told([(0, 100_000)].into_iter().chain(quicker)).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_makes_no_pace_quicker() {
    // It is 12:00, an hour is lost, and the pace of before, which lasts, goes on.
    let before = (0..720).map(|minute| (minute, 688));
    let after = (660..1_440).map(|minute| (minute, 640));
    assert_eq!(told(before.chain(after)), []);
    // Before its day began it is no other day, and nothing overflows.
    assert_eq!(told([(10, 300_000), (-5_000_000, 300_000)]), []);
}

#[test]
fn what_is_charged_to_a_day_that_is_over_tells_no_pace() {
    assert_eq!(told([(1_439, 200_000), (1_440, 300_000)]), []);
}
