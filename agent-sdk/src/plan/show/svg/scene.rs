//! What stands where: cards for steps, scenes for plans. All lengths are pixels.

use std::collections::BTreeSet;

use super::{
    Space,
    order::{Net, at},
    place::{Extent, place},
};
use crate::plan::{
    MAX_DEPTH, Plan, Step, Work, WorkKind,
    show::{
        Layers,
        words::{self, Mark, NAME},
    },
};

/// The least room between what stands above each other.
pub(super) const GAP: i64 = 16;
/// The room between columns, in which arrows bend.
const BETWEEN: i64 = 64;
/// The room around what stands in a card.
const PAD: i64 = 12;
pub(super) const LINE: i64 = 16;
/// The widths of letters: of ids, and of all else.
const WIDE: i64 = 8;
const NARROW: i64 = 7;
/// The longest line of a card, in letters.
const LETTERS: usize = 56;

/// A line of a card: the key of what it says, and what it says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) text: String,
}

/// A step, what runs in its place, or a plan that does.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) kind: WorkKind,
    /// Whether it runs where something failed.
    pub(super) is_fallback: bool,
    /// What stands in its first line.
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
    /// All that is known of it, for who points at it.
    pub(super) title: String,
    pub(super) scene: Option<Scene>,
    /// What runs in its place, one after the other.
    pub(super) others: Vec<Card>,
    pub(super) width: i64,
    /// Its own height, without the others.
    pub(super) height: i64,
}

/// The steps of a plan, and the arrows between them.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) cards: Vec<(i64, i64, Card)>,
    /// Each arrow: the beginning, and then the ends of alternating curves and level lines.
    pub(super) arrows: Vec<Vec<(i64, i64)>>,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// What there is to explain.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) kinds: BTreeSet<WorkKind>,
    pub(super) marks: BTreeSet<Mark>,
    pub(super) has_arrows: bool,
    pub(super) has_fallbacks: bool,
}

/// Draws while there is room.
pub(super) struct Painter {
    pub(super) space: Space,
    pub(super) seen: Seen,
}

impl Painter {
    /// A plan's steps, and below them the plan that runs when it fails. Plans are in each other at most [`MAX_DEPTH`] deep.
    pub(super) fn scene(&mut self, plan: &Plan, layers: &Layers, depth: usize) -> Scene {
        if depth > MAX_DEPTH {
            return Scene::default();
        }
        let net = Net::of(layers, &mut self.space);
        let steps = net.steps.iter();
        let steps = steps.filter_map(|number| plan.steps.get(*number as usize));
        let mut cards: Vec<Card> = steps.map(|step| self.step(step, depth)).collect();
        let points = net.before.len();
        let mut extents: Vec<_> = cards.iter().map(Card::extent).collect();
        extents.resize(points, Extent::default());
        let tops = place(&net, &extents);

        let mut scene = Scene::default();
        let mut lefts = vec![0; points];
        let mut rights = vec![0; points];
        for column in &net.columns {
            let of_column = || column.iter().filter_map(|point| cards.get(*point));
            let width = of_column().map(|card| card.width).max().unwrap_or(0);
            for point in column {
                if let (Some(left), Some(right)) = (lefts.get_mut(*point), rights.get_mut(*point)) {
                    (*left, *right) = (scene.width, scene.width + width);
                }
                if let Some(card) = cards.get_mut(*point) {
                    card.widen(width);
                }
            }
            scene.width += width + BETWEEN;
        }
        scene.width = (scene.width - BETWEEN).max(0);
        for arrow in &net.arrows {
            let mut path = Vec::with_capacity(arrow.len() * 2);
            for point in arrow {
                let port = at(&tops, *point) + at(&extents, *point).port;
                path.push((at(&lefts, *point), port));
                path.push((at(&rights, *point), port));
            }
            // It begins behind the first and ends before the last.
            path.pop();
            scene.arrows.push(path.into_iter().skip(1).collect());
        }
        self.seen.has_arrows |= !scene.arrows.is_empty();
        for (point, card) in cards.into_iter().enumerate() {
            let top = at(&tops, point);
            scene.height = scene.height.max(top + card.extent().height);
            scene.cards.push((at(&lefts, point), top, card));
        }
        if let Some(fallback) = &plan.fallback {
            let top = scene.height + GAP * 2;
            let card = self.fallback_plan(fallback, depth + 1);
            scene.width = scene.width.max(card.width);
            scene.height = top + card.height;
            scene.cards.push((0, top, card));
        }
        scene
    }

    fn step(&mut self, step: &Step, depth: usize) -> Card {
        let marks = words::marks(step);
        let mut title = vec![words::line(&step.id, NAME), words::work(&step.work)];
        title.extend(words::purpose(step));
        let mut rows = vec![Row {
            key: step.work.kind().as_str(),
            text: words::line(&words::name(&step.work), LETTERS),
        }];
        for (mark, value) in marks {
            self.seen.marks.insert(mark);
            title.push(format!("{} {value}", mark.as_str()));
            rows.push(Row {
                key: mark.as_str(),
                text: words::line(&value, LETTERS),
            });
        }
        let name = words::line(&step.id, NAME);
        let mut card = self.card(&step.work, name, rows, &title, depth);
        for other in &step.fallback {
            let words = words::work(&other.work);
            let name = words::line(&words, LETTERS);
            let mut other = self.card(&other.work, name, Vec::new(), &[words], depth);
            other.is_fallback = true;
            card.width = card.width.max(other.width);
            card.others.push(other);
        }
        self.seen.has_fallbacks |= !card.others.is_empty();
        card
    }

    fn card(
        &mut self,
        work: &Work,
        name: String,
        rows: Vec<Row>,
        title: &[String],
        depth: usize,
    ) -> Card {
        self.seen.kinds.insert(work.kind());
        let scene = match work {
            Work::Plan(plan) => Some(self.scene(plan, &Layers::of(plan), depth + 1)),
            _ => None,
        };
        Card::new(work.kind(), name, rows, title, scene)
    }

    fn fallback_plan(&mut self, plan: &Plan, depth: usize) -> Card {
        self.seen.kinds.insert(WorkKind::Plan);
        self.seen.has_fallbacks = true;
        let name = format!("fallback plan {}", words::line(&plan.name, NAME));
        let scene = self.scene(plan, &Layers::of(plan), depth);
        let title = vec![name.clone()];
        let mut card = Card::new(WorkKind::Plan, name, Vec::new(), &title, Some(scene));
        card.is_fallback = true;
        card
    }
}

impl Card {
    fn new(
        kind: WorkKind,
        name: String,
        rows: Vec<Row>,
        title: &[String],
        scene: Option<Scene>,
    ) -> Self {
        let row = |row: &Row| NARROW * (letters(row.key) + 1 + letters(&row.text));
        let widest = rows.iter().map(row).max().unwrap_or(0);
        let mut width = widest.max(WIDE * letters(&name)) + PAD * 2;
        let mut height = LINE * (1 + length(rows.len())) + PAD;
        if let Some(scene) = &scene {
            width = width.max(scene.width + PAD * 2);
            height += scene.height + PAD * 2;
        }
        Self {
            kind,
            is_fallback: false,
            name,
            rows,
            title: title.join("\n"),
            scene,
            others: Vec::new(),
            width,
            height,
        }
    }

    /// How far below its upper edge its scene is.
    pub(super) fn head(&self) -> i64 {
        LINE * (1 + length(self.rows.len())) + PAD * 2
    }

    /// Where its texts and its scene begin.
    pub(super) const fn indent() -> i64 {
        PAD
    }

    fn extent(&self) -> Extent {
        let others = self.others.iter().map(|other| other.height + GAP);
        Extent {
            height: self.height + others.sum::<i64>(),
            // Of a large one, arrows meet the head.
            port: self.height.min(self.head()) / 2,
        }
    }

    fn widen(&mut self, width: i64) {
        self.width = width;
        for other in &mut self.others {
            other.width = width;
        }
    }
}

/// How many letters wide a text is: those of East Asian scripts and pictures are as wide as two.
fn letters(text: &str) -> i64 {
    text.chars()
        .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

pub(super) fn length(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

pub(super) fn width_of(text: &str) -> i64 {
    WIDE * letters(text)
}
