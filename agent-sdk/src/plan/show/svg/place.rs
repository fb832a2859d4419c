//! How far down each point of a column stands.
//!
//! Each point wants to stand where its neighbours do on the average. Where several want the same place, they share the way that they
//! are moved: the least sum of squares, found by merging what is in each other's way (an isotonic regression).

use super::{
    order::{Net, at},
    scene::GAP,
};

/// How often the columns are gone through, forth and back.
const SWEEPS: usize = 8;

/// The height of a point, and how far below its upper edge arrows meet it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    pub(super) height: i64,
    pub(super) port: i64,
}

/// How far down the upper edge of each point is; the topmost is at 0.
pub(super) fn place(net: &Net, extents: &[Extent]) -> Vec<i64> {
    let mut tops = vec![0; extents.len()];
    for column in &net.columns {
        let mut down = 0;
        for point in column {
            set(&mut tops, *point, down);
            down += at(extents, *point).height + GAP;
        }
    }
    for sweep in 0..SWEEPS {
        let mut settle = |column: &Vec<usize>| {
            // The last time, both sides count.
            let sides: &[&[Vec<usize>]] = match (sweep + 2 < SWEEPS, sweep % 2) {
                (true, 0) => &[&net.before],
                (true, _) => &[&net.behind],
                (false, _) => &[&net.before, &net.behind],
            };
            let wanted: Vec<_> = column
                .iter()
                .map(|point| wish(*point, sides, extents, &tops))
                .collect();
            let heights = column.iter().map(|point| at(extents, *point).height);
            for (point, top) in column.iter().zip(apart(&wanted, heights)) {
                set(&mut tops, *point, top);
            }
        };
        if sweep % 2 == 0 {
            net.columns.iter().for_each(&mut settle);
        } else {
            net.columns.iter().rev().for_each(&mut settle);
        }
    }
    let first = tops.iter().copied().min().unwrap_or(0);
    for top in &mut tops {
        *top -= first;
    }
    tops
}

/// Where the upper edge of a point should be, so that it stands where its neighbours do.
fn wish(point: usize, sides: &[&[Vec<usize>]], extents: &[Extent], tops: &[i64]) -> i64 {
    let (mut sum, mut many) = (0, 0);
    for side in sides {
        for other in side.get(point).into_iter().flatten() {
            sum += at(tops, *other) + at(extents, *other).port;
            many += 1;
        }
    }
    match many {
        0 => at(tops, point),
        many => sum / many - at(extents, point).port,
    }
}

/// Upper edges as near to the wishes as can be, none less than its height and a gap above the next.
fn apart(wishes: &[i64], heights: impl Iterator<Item = i64>) -> Vec<i64> {
    // Taking away what must be between them at least leaves numbers that must not fall.
    let mut offset = 0;
    let mut offsets = Vec::with_capacity(wishes.len());
    for height in heights {
        offsets.push(offset);
        offset += height + GAP;
    }
    // Those who share a place: the sum of what they wish, and how many they are.
    let mut shared: Vec<(i64, i64)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut last = (wish - offset, 1);
        while let Some(above) = shared.pop_if(|above| above.0 * last.1 > last.0 * above.1) {
            last = (last.0 + above.0, last.1 + above.1);
        }
        shared.push(last);
    }
    let places = shared.into_iter().flat_map(|(sum, many)| {
        let place = sum.div_euclid(many);
        (0..many).map(move |_| place)
    });
    places
        .zip(offsets)
        .map(|(place, offset)| place + offset)
        .collect()
}

fn set(tops: &mut [i64], point: usize, top: i64) {
    if let Some(old) = tops.get_mut(point) {
        *old = top;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_want_one_place_share_the_way() {
        let heights = || [10, 10, 10].into_iter();
        assert_eq!(apart(&[0, 100, 200], heights()), [0, 100, 200]);
        let step = 10 + GAP;
        assert_eq!(
            apart(&[100, 100, 100], heights()),
            [100 - step, 100, 100 + step]
        );
        let placed = apart(&[50, -50, 500], heights());
        assert_eq!(placed[1] - placed[0], step);
        assert_eq!(placed[2], 500);
    }
}
