//! The scripted model that looks at what is in a folder.

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};

use super::{
    listing::Listing,
    results::Results,
    review::{self, Review},
};
use crate::text::{count, counted};

/// The most kinds of files that are named.
const KINDS: usize = 6;

pub(super) fn model() -> ScriptedModel {
    review::model("scripted-structure", answer)
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let listing = review::listing(&results);
    let picks: Vec<_> = listing.manifest().into_iter().collect();
    match results.turns() {
        0 => review::list(review::turn(300).text("First I list the folder.")),
        1 if !picks.is_empty() => {
            let turn = review::turn(260).text("Now I read what it is made of.");
            review::read(turn, &picks)
        }
        _ => {
            let mut review = Review::default();
            if let Some(Err(why)) = results.get("list") {
                review.line(&format!("The folder could not be listed: {why}"));
            }
            overview(&mut review, &listing);
            review.read(&picks, &results);
            review.list("Observations", &observations(&listing));
            review.answer(380)
        }
    }
}

fn overview(review: &mut Review, listing: &Listing) {
    if listing.files.is_empty() {
        review.line("The folder holds no files that could be read.");
        return;
    }
    let least = if listing.is_cut { "at least " } else { "" };
    let kinds = listing.kinds();
    let named: usize = kinds.iter().take(KINDS).map(|(_, count)| count).sum();
    let mut parts: Vec<_> = kinds
        .iter()
        .take(KINDS)
        .map(|(kind, number)| format!("{} {kind}", count(*number as u64)))
        .collect();
    if kinds.len() > KINDS {
        parts.push(format!("{} of other kinds", listing.files.len() - named));
    }
    review.line(&format!(
        "The folder holds {least}{} in {}: {}.",
        counted(listing.files.len() as u64, "file"),
        counted(listing.folders as u64, "sub-folder"),
        parts.join(", ")
    ));
}

fn observations(listing: &Listing) -> Vec<String> {
    let mut said = Vec::new();
    match listing.largest() {
        None => said.push(
            "There is nothing to review. Try `--workspace DIR` with another folder.".to_owned(),
        ),
        Some(largest) => said.push(format!(
            "The largest file is {}, with {} bytes.",
            largest.path,
            count(largest.bytes)
        )),
    }
    match listing.odd_names() {
        0 => {}
        1 => said.push("1 file has characters in its name that act on terminals or need quoting; it was not read.".to_owned()),
        odd => said.push(format!("{odd} files have characters in their names that act on terminals or need quoting; they were not read.")),
    }
    if listing.others > 0 {
        let links = if listing.others == 1 {
            "1 entry (a link or the like)".to_owned()
        } else {
            format!("{} entries (links and the like)", listing.others)
        };
        said.push(format!("{links} not followed."));
    }
    if listing.is_cut {
        said.push("There is more than was listed.".to_owned());
    }
    said
}
