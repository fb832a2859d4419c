//! The reviewer's answer: what the tools gave, counted.

use std::fmt::Write;

use super::{
    findings::Findings,
    listing::{File, Listing},
    results::Results,
    reviewer::SEARCHES,
};
use crate::text::{count, counted, wrapped};

/// The most kinds of files, and places of matches, that are named.
const KINDS: usize = 6;
const PLACES: usize = 3;
/// The longest file that is not called long, in lines.
const LONG: usize = 600;

/// The longest line of the answer.
const WIDTH: usize = 78;

/// What a file that was read came to.
struct Read<'a> {
    file: &'a File,
    lines: Result<usize, &'a str>,
}

/// The whole answer. Writing to a `String` cannot fail.
pub(super) fn text(listing: &Listing, results: &Results<'_>) -> String {
    let mut text = String::new();
    if let Some(Err(why)) = results.get("list") {
        let _ = writeln!(text, "The folder could not be listed: {why}");
    }
    overview(&mut text, listing);
    let picks = listing.picks();
    let reads: Vec<_> = picks
        .iter()
        .enumerate()
        .filter_map(|(number, file)| {
            let read = results.get(&format!("read-{number}"))?;
            let lines = read.map(|text| text.lines().count());
            Some(Read { file, lines })
        })
        .collect();
    if !reads.is_empty() {
        text.push_str("\nRead:\n");
    }
    for read in &reads {
        let path = &read.file.path;
        let _ = match read.lines {
            Ok(lines) => writeln!(text, "- {path}, {}", counted(lines as u64, "line")),
            Err(why) => writeln!(text, "- {path}, in vain: {why}"),
        };
    }
    let summaries: Vec<_> = (0..picks.len())
        .filter_map(|number| results.get(&format!("summary-{number}")))
        .collect();
    if !summaries.is_empty() {
        text.push_str("\nThe summariser says:\n");
    }
    for summary in summaries {
        let (Ok(said) | Err(said)) = summary;
        let _ = writeln!(text, "- {said}");
    }
    searches(&mut text, results);
    text.push_str("\nObservations:\n");
    for observation in observations(listing, results, &reads) {
        let _ = writeln!(text, "- {observation}");
    }
    wrapped(&text, WIDTH)
}

fn overview(text: &mut String, listing: &Listing) {
    if listing.files.is_empty() {
        text.push_str("The folder holds no files that could be read.\n");
        return;
    }
    let least = if listing.is_cut { "at least " } else { "" };
    let _ = write!(
        text,
        "The folder holds {least}{} in {}: ",
        counted(listing.files.len() as u64, "file"),
        counted(listing.folders as u64, "sub-folder"),
    );
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
    let _ = writeln!(text, "{}.", parts.join(", "));
}

fn searches(text: &mut String, results: &Results<'_>) {
    text.push_str("\nSearched for:\n");
    for (id, _, what) in SEARCHES {
        let _ = match results.get(id) {
            Some(Ok(found)) => {
                let found = Findings::parse(found);
                if found.count() == 0 {
                    writeln!(text, "- {what}: none")
                } else {
                    let most = found.most(PLACES).join(", ");
                    let more = if found.files.len() > PLACES {
                        ", …"
                    } else {
                        ""
                    };
                    writeln!(text, "- {what}: {}: {most}{more}", found.amount())
                }
            }
            Some(Err(why)) => writeln!(text, "- {what}: not searched to the end: {why}"),
            None => Ok(()),
        };
    }
}

fn observations(listing: &Listing, results: &Results<'_>, reads: &[Read<'_>]) -> Vec<String> {
    let mut said = Vec::new();
    if listing.files.is_empty() {
        said.push(
            "There is nothing to review. Try `--workspace DIR` with another folder.".to_owned(),
        );
        return said;
    }
    if !listing.has("readme") {
        said.push("No README says what this is.".to_owned());
    }
    if !listing.has("license") && !listing.has("licence") && !listing.has("copying") {
        said.push("No file says under which licence it is.".to_owned());
    }
    for read in reads {
        if let Ok(lines) = read.lines
            && lines > LONG
        {
            said.push(format!(
                "{} is long, with {} lines.",
                read.file.path,
                count(lines as u64)
            ));
        }
    }
    let found = |id: &str| match results.get(id) {
        Some(Ok(text)) => Findings::parse(text),
        _ => Findings::default(),
    };
    if let Some((path, lines)) = found("keys").files.first()
        && let Some(line) = lines.first()
    {
        said.push(format!(
            "Look at {path}, line {line}: is that a real password or key?"
        ));
    }
    if let Some(largest) = listing.largest() {
        said.push(format!(
            "The largest file is {}, with {} bytes.",
            largest.path,
            count(largest.bytes)
        ));
    }
    match listing.odd_names() {
        0 => {}
        1 => said.push("1 file has characters in its name that act on terminals or need quoting; it was not read.".to_owned()),
        odd => said.push(format!("{odd} files have characters in their names that act on terminals or need quoting; they were not read.")),
    }
    if listing.others > 0 {
        said.push(format!(
            "{} (links and the like) not followed.",
            counted(listing.others as u64, "entry").replace("entrys", "entries")
        ));
    }
    if listing.is_cut {
        said.push("There is more than was listed.".to_owned());
    }
    said
}
