//! The scripted model that looks at how well a folder explains itself.

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};

use super::{
    listing::Listing,
    results::Results,
    review::{self, Review},
};

pub(super) fn model() -> ScriptedModel {
    review::model("scripted-documentation", answer)
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let listing = review::listing(&results);
    let texts = listing.texts();
    match results.turns() {
        0 => review::list(review::turn(340).text("First I look for what explains it.")),
        1 if !texts.is_empty() => {
            let turn =
                review::turn(280).text("Now I read that, and have the first of it summarised.");
            review::summarise(review::read(turn, &texts), texts.first().copied())
        }
        _ => {
            let mut review = Review::default();
            if texts.is_empty() {
                review.line("There is no text that explains the folder.");
            }
            review.read(&texts, &results);
            review.summary(&results);
            review.list("Observations", &observations(&listing));
            review.answer(320)
        }
    }
}

fn observations(listing: &Listing) -> Vec<String> {
    let mut said = Vec::new();
    if listing.files.is_empty() {
        return said;
    }
    if !listing.has("readme") {
        said.push("No README says what this is.".to_owned());
    }
    if !listing.has("license") && !listing.has("licence") && !listing.has("copying") {
        said.push("No file says under which licence it is.".to_owned());
    }
    said
}
