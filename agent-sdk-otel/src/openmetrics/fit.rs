//! What has room on a page.
//!
//! Families share the room fairly: one that needs no more than its share gets all it needs. One that needs more keeps its first
//! series, in the order of the page, and the values of the rest go into its overflow series, so that sums stay exact; gauges have
//! no sums, so their rest is left out. What a series needs is reckoned from its labels alone, never from its values, and series of
//! cumulative metrics never go away: what was taken in does not come out again, and the overflow series never falls.

use super::families::{Families, Family, Sample, Series, Type};
use super::names::{self, OVERFLOW};
use super::number::Number;
use crate::metric;

/// Takes out what has no room in `limit` bytes. Answers with the families, of which the last then counts what was taken out, and
/// with the bytes that they take at most without exemplars.
pub(super) fn fit(families: Families, limit: usize) -> (Vec<Family>, usize) {
    let mut taken_out = families.homeless;
    let mut families = families.into_sorted();
    let limit = limit.saturating_sub(bytes(&count(0)));
    if let Some(share) = fair_share(families.iter().map(bytes).collect(), limit) {
        for family in &mut families {
            taken_out += shrink(family, share);
        }
        families.retain(|family| !family.series.is_empty());
    }
    if taken_out > 0 {
        families.push(count(taken_out));
    }
    let used = families.iter().map(bytes).sum();
    (families, used)
}

/// The most that a family takes, in bytes.
fn bytes(family: &Family) -> usize {
    let of = |series: &Series| family.series_bytes(series.labels.len(), &series.value);
    family.head_bytes() + family.series.iter().map(of).sum::<usize>()
}

/// What each family may take; `None` where all have room.
fn fair_share(mut sizes: Vec<usize>, limit: usize) -> Option<usize> {
    sizes.sort_unstable();
    let (mut left, mut waiting) = (limit, sizes.len());
    for size in sizes {
        let share = left.checked_div(waiting)?;
        if size > share {
            return Some(share);
        }
        left -= size;
        waiting -= 1;
    }
    None
}

/// Takes out what is more than `share` bytes; answers with how many series that were.
fn shrink(family: &mut Family, share: usize) -> u64 {
    if bytes(family) <= share {
        return 0;
    }
    let before = family.series.len();
    let mut room = share.saturating_sub(family.head_bytes());
    let mut overflow = None;
    if family.adds {
        let each = family.series.iter();
        let each = each.map(|series| family.series_bytes(OVERFLOW.len(), &series.value));
        let needed = each.max().unwrap_or_default();
        if needed > room {
            family.series.clear();
            return before as u64;
        }
        room -= needed;
        let known = family.series.iter().position(|it| it.labels == OVERFLOW);
        overflow = known.map(|index| family.series.remove(index).value);
    }
    let fitting = family.series.iter().take_while(|series| {
        let needed = family.series_bytes(series.labels.len(), &series.value);
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let kept = fitting.count();
    let rest = family.series.split_off(kept);
    let taken_out = rest.len() as u64;
    if family.adds {
        for series in rest {
            match &mut overflow {
                // What has other buckets than the first cannot be added; it is counted all the same.
                Some(all) => drop(all.add(&series.value)),
                None => overflow = Some(series.value),
            }
        }
        family.series.extend(overflow.map(|value| Series {
            labels: OVERFLOW.into(),
            width: 1,
            value,
        }));
        family.sort();
    }
    taken_out
}

/// The family that says how many series were taken out.
fn count(taken_out: u64) -> Family {
    let def = metric::METRICS_TRUNCATED_SERIES;
    let (name, _) = names::family(def.name, def.unit);
    Family {
        name,
        unit: None,
        help: def.description.into(),
        kind: Type::Gauge,
        adds: false,
        series: vec![Series {
            labels: String::new(),
            width: 0,
            value: Sample::Number(Number::from(taken_out)),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ones_get_what_they_need_and_large_ones_share_the_rest() {
        assert_eq!(fair_share(vec![10, 20, 30], 60), None);
        assert_eq!(fair_share(vec![10, 100, 100], 110), Some(50));
        assert_eq!(fair_share(vec![100, 10, 60], 120), Some(55));
        assert_eq!(fair_share(vec![5, 5], 0), Some(0));
        assert_eq!(fair_share(vec![], 0), None);
    }
}
