//! Plans as drawings: as text for a terminal, as Mermaid for documents, as SVG for a browser.
//!
//! All three show the same: the steps by [`layers`], what runs in each, what it waits for, and what is special about it ([`words`]).
//! A plan that was not checked can be drawn too: what its steps wait for and nobody knows is left out, and steps in a ring stand in
//! the last layer. Whatever a plan's texts hold acts on nobody who looks at the drawing, and each is cut to a length.

mod layers;
mod mermaid;
mod svg;
mod text;
mod words;

use layers::Layers;

use super::{Plan, Step};

impl Plan {
    /// The steps by layers: those of the first wait for nothing, those of each other for at least one of the layer before it. In a
    /// layer they are in the plan's order. Steps that wait for each other in a ring are in the last, with what comes after them.
    pub fn layers(&self) -> Vec<Vec<&Step>> {
        let layers = Layers::of(self).layers.into_iter();
        let step = |number: u32| self.steps.get(number as usize);
        layers
            .map(|layer| layer.into_iter().filter_map(step).collect())
            .collect()
    }

    /// The plan as lines of text, drawn with box characters: a tree of layers and steps, and below a step the plan that runs in it.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::plan::{Plan, Step};
    ///
    /// let plan = Plan::builder("report")
    ///     .step(Step::agent("research", "researcher"))
    ///     .step(Step::agent("write", "writer").input("${steps.research}").approval("May it be written?"))
    ///     .build()?;
    /// assert_eq!(plan.to_text(), "\
    /// plan report: 2 steps, 2 layers, width 1
    /// ├─ layer 1
    /// │  └─ research  agent researcher
    /// └─ layer 2
    ///    └─ write  agent writer  ← research  [approval May it be written?]
    /// ");
    /// # Ok::<(), agent_sdk::plan::PlanError>(())
    /// ```
    pub fn to_text(&self) -> String {
        text::draw(self)
    }

    /// The plan as a Mermaid flow chart. Arrows lead from a step to those that wait for it, dashed ones to what runs where something
    /// failed; a plan is a box around its steps.
    ///
    /// Mermaid itself refuses charts of more than 500 arrows or 50,000 characters unless it is configured otherwise.
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// The plan as an SVG document, from left to right. It stands for itself: no script, nothing from elsewhere; it is light or dark
    /// as its reader's screen is. Of large plans the first 2,000 steps are drawn, with up to 20,000 lengths of arrows from layer to
    /// layer, and it says how many steps and arrows are left out.
    pub fn to_svg(&self) -> String {
        svg::draw(self)
    }
}
