//! A plan as an SVG document.
//!
//! [`order`] puts the steps of a layer under each other, [`place`] says how far down each stands, [`scene`] makes cards and arrows of
//! it, and here they are written. Every text is escaped, and holds no character that XML forbids.

mod order;
mod place;
mod scene;

use std::fmt::Write;

use scene::{Card, GAP, LINE, Painter, Scene, Seen, length, width_of};

use super::{
    Layers,
    words::{self, NAME, SENTENCE},
};
use crate::plan::{Plan, Work};

/// How many steps are drawn.
const STEPS: usize = 2_000;

/// How many lengths of arrows are drawn; an arrow is as long as the layers that it leads across.
const LENGTHS: usize = 20_000;

/// The room around the drawing.
const MARGIN: i64 = 24;

/// How much more may be drawn, and what was not.
struct Space {
    steps: usize,
    lengths: usize,
    arrows_left_out: usize,
}

pub(super) fn draw(plan: &Plan) -> String {
    let mut painter = Painter {
        space: Space {
            steps: STEPS,
            lengths: LENGTHS,
            arrows_left_out: 0,
        },
        seen: Seen::default(),
    };
    let layers = Layers::of(plan);
    let scene = painter.scene(plan, &layers, 1);
    let name = format!("plan {}", words::line(&plan.name, NAME));
    let mut notes = vec![words::size(plan, &layers)];
    notes.extend(words::settings(plan));
    let mut notes = vec![notes.join(" · ")];
    notes.extend(
        plan.description
            .as_ref()
            .map(|text| words::line(text, SENTENCE)),
    );
    let steps = all_steps(plan) - (STEPS - painter.space.steps);
    let arrows = painter.space.arrows_left_out;
    if steps + arrows > 0 {
        notes.push(format!(
            "left out: {} and {}",
            words::counted(steps, "step"),
            words::counted(arrows, "arrow")
        ));
    }
    let legend = legend(&painter.seen);
    let texts = notes.iter().chain(legend.iter().map(|(_, text)| text));
    let texts = texts.map(|text| width_of(text) + LINE * 3);
    let width = texts
        .chain([scene.width, width_of(&name)])
        .max()
        .unwrap_or(0)
        + MARGIN * 2;
    let top = MARGIN + LINE * (1 + length(notes.len())) + GAP;
    let below = top + scene.height + GAP * 2;
    let height = below + LINE * length(legend.len()) + MARGIN;

    let mut page = Page { xml: String::new() };
    page.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"agent-plan\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n"
    ));
    page.put(format_args!("<title>{}</title>\n", Escaped(&name)));
    page.put(format_args!(
        "<style>\n{}</style>\n",
        include_str!("style.css")
    ));
    page.put(format_args!(
        "<defs><marker id=\"agent-plan-head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head\" d=\"M0 0 8 4 0 8z\"/></marker></defs>\n"
    ));
    page.put(format_args!(
        "<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"
    ));
    page.text("name", MARGIN, MARGIN + LINE, &name);
    let mut line = MARGIN + LINE;
    for note in &notes {
        line += LINE;
        page.text("note", MARGIN, line, note);
    }
    page.scene(MARGIN, top, &scene);
    let mut line = below;
    for (sign, text) in &legend {
        page.sign(*sign, line, text);
        line += LINE;
    }
    page.put(format_args!("</svg>\n"));
    page.xml
}

/// How many steps a plan has, those of the plans in it included.
fn all_steps(plan: &Plan) -> usize {
    let (mut many, mut open) = (0, vec![plan]);
    while let Some(plan) = open.pop() {
        many += plan.steps.len();
        open.extend(plan.fallback.as_deref());
        for step in &plan.steps {
            let others = step.fallback.iter().map(|other| &other.work);
            let works = std::iter::once(&step.work).chain(others);
            open.extend(works.filter_map(|work| match work {
                Work::Plan(plan) => Some(&**plan),
                _ => None,
            }));
        }
    }
    many
}

/// How a line of the legend begins.
#[derive(Clone, Copy)]
enum Sign {
    /// The colour of a kind.
    Kind(&'static str),
    /// An arrow.
    Arrow,
    /// A dashed frame.
    Fallback,
    /// The key of a mark, which is in the text.
    Mark,
}

fn legend(seen: &Seen) -> Vec<(Sign, String)> {
    let kinds = seen.kinds.iter().map(|kind| kind.as_str());
    let mut legend: Vec<_> = kinds
        .map(|kind| (Sign::Kind(kind), kind.to_owned()))
        .collect();
    if seen.has_arrows {
        legend.push((Sign::Arrow, "is waited for by".to_owned()));
    }
    if seen.has_fallbacks {
        legend.push((
            Sign::Fallback,
            "runs where what is above it failed".to_owned(),
        ));
    }
    let marks = seen.marks.iter();
    let marks = marks.map(|mark| format!("{:<9} {}", mark.as_str(), mark.meaning()));
    legend.extend(marks.map(|text| (Sign::Mark, text)));
    legend
}

struct Page {
    xml: String,
}

impl Page {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.xml.write_fmt(text);
    }

    fn text(&mut self, class: &str, x: i64, y: i64, text: &str) {
        let text = Escaped(text);
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n"
        ));
    }

    /// Plans are in each other a few deep at most, and so are scenes.
    fn scene(&mut self, x: i64, y: i64, scene: &Scene) {
        self.put(format_args!("<g transform=\"translate({x} {y})\">\n"));
        for arrow in &scene.arrows {
            self.arrow(arrow);
        }
        for (x, y, card) in &scene.cards {
            self.card(*x, *y, card);
            let mut above = y + card.height;
            for other in &card.others {
                let middle = x + card.width / 2;
                self.put(format_args!(
                    "<path class=\"down\" marker-end=\"url(#agent-plan-head)\" d=\"M{middle} {above}V{}\"/>\n",
                    above + GAP
                ));
                self.card(*x, above + GAP, other);
                above += GAP + other.height;
            }
        }
        self.put(format_args!("</g>\n"));
    }

    fn arrow(&mut self, path: &[(i64, i64)]) {
        let mut points = path.iter();
        let Some(&(mut x, mut y)) = points.next() else {
            return;
        };
        self.put(format_args!(
            "<path class=\"arrow\" marker-end=\"url(#agent-plan-head)\" d=\"M{x} {y}"
        ));
        for (number, (to_x, to_y)) in points.enumerate() {
            if number % 2 == 0 {
                let half = x.midpoint(*to_x);
                self.put(format_args!("C{half} {y} {half} {to_y} {to_x} {to_y}"));
            } else if *to_x != x {
                self.put(format_args!("H{to_x}"));
            }
            (x, y) = (*to_x, *to_y);
        }
        self.put(format_args!("\"/>\n"));
    }

    fn card(&mut self, x: i64, y: i64, card: &Card) {
        let Card { width, height, .. } = card;
        let frame = if card.is_fallback {
            "card else"
        } else {
            "card"
        };
        let (kind, title) = (card.kind.as_str(), Escaped(&card.title));
        self.put(format_args!(
            "<g transform=\"translate({x} {y})\"><title>{title}</title>\n<rect class=\"{frame}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n<rect class=\"{kind}\" x=\"1\" y=\"6\" width=\"4\" height=\"{}\"/>\n",
            height - 12
        ));
        let mut line = LINE;
        self.text("name", Card::indent(), line, &card.name);
        for row in &card.rows {
            line += LINE;
            self.put(format_args!(
                "<text x=\"{}\" y=\"{line}\"><tspan class=\"key\">{}</tspan> {}</text>\n",
                Card::indent(),
                row.key,
                Escaped(&row.text)
            ));
        }
        if let Some(scene) = &card.scene {
            self.scene(Card::indent(), card.head(), scene);
        }
        self.put(format_args!("</g>\n"));
    }

    fn sign(&mut self, sign: Sign, line: i64, text: &str) {
        let (left, middle) = (MARGIN, line - 4);
        match sign {
            Sign::Kind(kind) => self.put(format_args!(
                "<rect class=\"{kind}\" x=\"{left}\" y=\"{}\" width=\"10\" height=\"10\"/>\n",
                line - 9
            )),
            Sign::Arrow => self.put(format_args!(
                "<path class=\"arrow\" marker-end=\"url(#agent-plan-head)\" d=\"M{left} {middle}h24\"/>\n"
            )),
            Sign::Fallback => self.put(format_args!(
                "<rect class=\"card else\" x=\"{left}\" y=\"{}\" width=\"24\" height=\"10\" rx=\"3\"/>\n",
                line - 9
            )),
            Sign::Mark => {}
        }
        let indent = if matches!(sign, Sign::Mark) { 0 } else { 32 };
        self.text("note", left + indent, line, text);
    }
}

/// Text as XML has it.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML forbids them, however they are written.
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
