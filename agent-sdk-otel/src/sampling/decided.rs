//! The decisions that are remembered: the latest used, up to a limit.

use std::collections::{BTreeMap, HashMap};

/// Remembers whether traces were kept. Where too many are known, the one that was asked about longest ago is forgotten.
#[derive(Debug)]
pub(super) struct Decided {
    limit: usize,
    next: u64,
    traces: HashMap<[u8; 16], (bool, u64)>,
    by_use: BTreeMap<u64, [u8; 16]>,
}

impl Decided {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            next: 0,
            traces: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    pub(super) fn get(&mut self, trace: &[u8; 16]) -> Option<bool> {
        let (kept, used) = self.traces.get_mut(trace)?;
        self.by_use.remove(used);
        self.next += 1;
        *used = self.next;
        self.by_use.insert(self.next, *trace);
        Some(*kept)
    }

    pub(super) fn insert(&mut self, trace: [u8; 16], kept: bool) {
        self.next += 1;
        if let Some((_, before)) = self.traces.insert(trace, (kept, self.next)) {
            self.by_use.remove(&before);
        }
        self.by_use.insert(self.next, trace);
        while self.traces.len() > self.limit
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.traces.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_about_longest_is_forgotten_first() {
        let mut decided = Decided::new(2);
        decided.insert([1; 16], true);
        decided.insert([2; 16], false);
        assert_eq!(decided.get(&[1; 16]), Some(true));
        decided.insert([3; 16], false);
        assert_eq!(decided.get(&[2; 16]), None);
        assert_eq!(decided.get(&[1; 16]), Some(true));
        decided.insert([1; 16], false);
        assert_eq!(decided.get(&[1; 16]), Some(false));
        assert_eq!((decided.traces.len(), decided.by_use.len()), (2, 2));
    }
}
