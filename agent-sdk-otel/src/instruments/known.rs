//! Which names of others may be labels.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// The label of a name that nobody here chose.
pub(super) const OTHER: &str = "other";

/// How many names are taken for one asker.
const NAMES: usize = 64;

/// How many askers are known.
const ASKERS: usize = 256;

/// The longest name, in bytes.
const NAME_BYTES: usize = 128;

/// Names that come from outside, such as that of the model that answered: they are taken as they are while they look like names
/// and are few for the one who asked, so that whoever makes them up cannot push the names of others out.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<String, HashSet<String>>>);

impl Known {
    /// `name`, or what stands for the names that are too many.
    pub(super) fn or<'a>(&self, asker: (&str, &str), name: &'a str, other: &'a str) -> &'a str {
        if name.is_empty() || name == asker.1 || self.admits(asker, name) {
            name
        } else {
            other
        }
    }

    fn admits(&self, (group, asker): (&str, &str), name: &str) -> bool {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._:/@+-".contains(&c);
        if name.len() > NAME_BYTES || !name.bytes().all(is_plain) {
            return false;
        }
        let mut askers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asker = format!("{group}\0{asker}");
        if !askers.contains_key(&asker) && askers.len() >= ASKERS {
            return false;
        }
        let names = askers.entry(asker).or_default();
        names.contains(name) || (names.len() < NAMES && names.insert(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_names_of_others_are_bounded() {
        let known = Known::default();
        let asker = ("openai", "gpt-4o");
        assert_eq!(known.or(asker, "gpt-4o", OTHER), "gpt-4o");
        assert_eq!(known.or(asker, "", OTHER), "");
        let long = "x".repeat(1_000_000);
        for odd in ["a b", "a\n", "\"", "\\", "\0", "größe", &long] {
            assert_eq!(known.or(asker, odd, OTHER), OTHER);
        }
        let taken = |asker| {
            let names = (0..1_000).map(|index| format!("model-{index}"));
            names
                .filter(|name| known.or(asker, name, OTHER) != OTHER)
                .count()
        };
        assert_eq!(taken(asker), NAMES);
        assert_eq!(taken(asker), NAMES, "those that were taken stay");
        assert_eq!(taken(("openai", "gpt-5")), NAMES);
        for index in 0..1_000 {
            let model = index.to_string();
            let _ = known.or(("hostile", &model), "answer", OTHER);
        }
        assert_eq!(known.0.lock().unwrap().len(), ASKERS);
    }
}
