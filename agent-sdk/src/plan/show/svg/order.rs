//! Which step stands above which, so that few arrows cross.
//!
//! An arrow that leads past layers has a bend in each of them, which takes a place as a step does, so that it passes between steps. Each
//! column is then sorted by where the neighbours of its points stand (their barycenter), forth and back a few times.

use super::Space;
use crate::plan::show::Layers;

/// How often the columns are gone through, forth and back.
const SWEEPS: usize = 6;

/// The points of a drawing in columns: the steps that are drawn, and the bends of the arrows between them.
#[derive(Default)]
pub(super) struct Net {
    /// The points of each column, from top to bottom.
    pub(super) columns: Vec<Vec<usize>>,
    /// Which step each of the first points is.
    pub(super) steps: Vec<u32>,
    /// The points right before and right behind each.
    pub(super) before: Vec<Vec<usize>>,
    pub(super) behind: Vec<Vec<usize>>,
    /// Each arrow's points, from the step that is waited for to the one that waits.
    pub(super) arrows: Vec<Vec<usize>>,
}

impl Net {
    /// The points of the steps that there is room for, by layers.
    pub(super) fn of(layers: &Layers, space: &mut Space) -> Self {
        let mut net = Self::default();
        let mut points = vec![None; layers.waits_for.len()];
        let mut columns = Vec::new();
        for (column, layer) in layers.layers.iter().enumerate() {
            let drawn = layer.get(..layer.len().min(space.steps)).unwrap_or(layer);
            if drawn.is_empty() {
                break;
            }
            space.steps -= drawn.len();
            let mut of_column = Vec::with_capacity(drawn.len());
            for number in drawn {
                if let Some(place) = points.get_mut(*number as usize) {
                    *place = Some(net.steps.len());
                }
                of_column.push(net.steps.len());
                net.steps.push(*number);
                columns.push(column);
            }
            net.columns.push(of_column);
        }
        net.before = vec![Vec::new(); net.steps.len()];
        net.behind.clone_from(&net.before);
        for (point, number) in net.steps.clone().into_iter().enumerate() {
            for other in layers.waits_for(number) {
                let Some(other) = points.get(*other as usize).copied().flatten() else {
                    continue;
                };
                let (from, to) = (at(&columns, other), at(&columns, point));
                let length = to.saturating_sub(from).max(1);
                if length > space.lengths {
                    space.arrows_left_out += 1;
                    continue;
                }
                space.lengths -= length;
                net.arrow(other, point, from + 1..to);
            }
        }
        net.sort();
        net
    }

    /// Leads from one step to another, with a bend in each of the columns between.
    fn arrow(&mut self, from: usize, to: usize, between: std::ops::Range<usize>) {
        let mut arrow = vec![from];
        let mut last = from;
        for column in between {
            let bend = self.before.len();
            self.before.push(Vec::new());
            self.behind.push(Vec::new());
            if let Some(column) = self.columns.get_mut(column) {
                column.push(bend);
            }
            self.connect(last, bend);
            arrow.push(bend);
            last = bend;
        }
        self.connect(last, to);
        arrow.push(to);
        self.arrows.push(arrow);
    }

    fn connect(&mut self, from: usize, to: usize) {
        if let Some(behind) = self.behind.get_mut(from) {
            behind.push(to);
        }
        if let Some(before) = self.before.get_mut(to) {
            before.push(from);
        }
    }

    fn sort(&mut self) {
        let mut places = vec![0; self.before.len()];
        for column in &self.columns {
            note(&mut places, column);
        }
        for sweep in 0..SWEEPS {
            let is_forth = sweep % 2 == 0;
            let neighbours = if is_forth { &self.before } else { &self.behind };
            let mut sort = |column: &mut Vec<usize>| {
                column.sort_by_cached_key(|point| barycenter(*point, neighbours, &places));
                note(&mut places, column);
            };
            if is_forth {
                self.columns.iter_mut().for_each(&mut sort);
            } else {
                self.columns.iter_mut().rev().for_each(&mut sort);
            }
        }
    }
}

/// Fractions of a place that barycenters are told apart by.
const FINE: usize = 1 << 16;

/// Where a point's neighbours stand on the average; where it stands itself if it has none.
fn barycenter(point: usize, neighbours: &[Vec<usize>], places: &[usize]) -> usize {
    let others = neighbours.get(point).map(Vec::as_slice).unwrap_or_default();
    let sum: usize = others.iter().map(|other| at(places, *other)).sum();
    let mean = (sum * FINE).checked_div(others.len());
    mean.unwrap_or_else(|| at(places, point) * FINE)
}

fn note(places: &mut [usize], column: &[usize]) {
    for (place, point) in column.iter().enumerate() {
        if let Some(noted) = places.get_mut(*point) {
            *noted = place;
        }
    }
}

/// What is there, or nothing.
pub(super) fn at<T: Copy + Default>(list: &[T], place: usize) -> T {
    list.get(place).copied().unwrap_or_default()
}
