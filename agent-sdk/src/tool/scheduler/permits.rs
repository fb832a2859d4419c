//! Who may run: the decisions.
//!
//! A call takes so many permits of several pools, all at once or none. [`Permits`] is told who comes, who leaves and who is done,
//! and answers who may go. It reads no clock and takes no lock.
//!
//! Those that wait are served in the order of their [`Rank`]s. Who lacks something is passed over, but nobody behind takes of a pool
//! that it lacks; so a call that needs much is not overtaken for ever by calls that need little. What the first of all lacked
//! once is moreover kept back for it until it goes, also while it lacks something else: so it goes as soon as each of its pools
//! was free enough at any time, and needs not that all are at the same one.

use std::{collections::BTreeSet, sync::Arc};

use super::priority::Rank;

/// What a call takes: of which pools how many permits.
pub(super) type Need = Arc<[(usize, u32)]>;

/// Pools of permits, and those who wait for them.
#[derive(Debug, Default)]
pub(super) struct Permits {
    pools: Vec<Pool>,
    /// Those who wait, by what they need: if the first of a line cannot be served, none of it can.
    lines: Vec<Line>,
    /// What is kept back for the first of all.
    kept: Option<(Rank, Vec<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Pool {
    size: u32,
    taken: u32,
}

#[derive(Debug)]
struct Line {
    need: Need,
    waiting: BTreeSet<Rank>,
}

impl Permits {
    /// Pools of these sizes.
    pub(super) fn new(sizes: impl IntoIterator<Item = u32>) -> Self {
        let pools = sizes.into_iter().map(|size| Pool { size, taken: 0 });
        Self {
            pools: pools.collect(),
            ..Self::default()
        }
    }

    /// A call comes. `Ok` where it may go at once and nobody else is concerned; else those that may go now, which may be itself. If
    /// it is not, it waits, and is named later by one of these methods.
    pub(super) fn request(&mut self, need: &Need, rank: Rank) -> Result<(), Vec<u64>> {
        if self.lines.is_empty() && need.iter().all(|&(pool, n)| self.free(pool) >= n) {
            self.take(need);
            return Ok(());
        }
        self.wait(need, rank);
        Err(self.grant())
    }

    /// A call is done; answers with those that may go now.
    pub(super) fn release(&mut self, need: &Need) -> Vec<u64> {
        for &(pool, n) in need.iter() {
            if let Some(pool) = self.pools.get_mut(pool) {
                pool.taken = pool.taken.saturating_sub(n);
            }
        }
        self.grant()
    }

    /// A call is given up while it waits. Where it waits no longer, it may go already: it has to be released. Else the answer
    /// is those that may go now.
    pub(super) fn leave(&mut self, need: &Need, rank: Rank) -> Option<Vec<u64>> {
        let place = self.lines.iter().position(|line| line.need == *need)?;
        let line = self.lines.get_mut(place)?;
        if !line.waiting.remove(&rank) {
            return None;
        }
        self.forget_if_empty(place);
        Some(self.grant())
    }

    /// How many permits of a pool are taken.
    #[cfg(test)]
    pub(super) fn taken(&self, pool: usize) -> u32 {
        self.pools.get(pool).map_or(0, |pool| pool.taken)
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum()
    }

    fn free(&self, pool: usize) -> u32 {
        let pool = self.pools.get(pool);
        pool.map_or(u32::MAX, |pool| pool.size.saturating_sub(pool.taken))
    }

    fn take(&mut self, need: &Need) {
        for &(pool, n) in need.iter() {
            if let Some(pool) = self.pools.get_mut(pool) {
                pool.taken += n;
            }
        }
    }

    fn wait(&mut self, need: &Need, rank: Rank) {
        let line = self.lines.iter_mut().find(|line| line.need == *need);
        match line {
            Some(line) => {
                line.waiting.insert(rank);
            }
            None => self.lines.push(Line {
                need: need.clone(),
                waiting: BTreeSet::from([rank]),
            }),
        }
    }

    fn forget_if_empty(&mut self, place: usize) {
        if self
            .lines
            .get(place)
            .is_some_and(|it| it.waiting.is_empty())
        {
            self.lines.swap_remove(place);
        }
    }

    /// Lets go who may go.
    fn grant(&mut self) -> Vec<u64> {
        let mut granted = Vec::new();
        // Lines that were passed over, and pools that somebody ahead lacks.
        let mut passed: Vec<Need> = Vec::new();
        let mut shut = vec![false; self.pools.len()];
        while let Some((place, need, rank)) = self.first_but(&passed) {
            let is_first = passed.is_empty();
            let lacks = self.lacks(&need, rank, is_first);
            let is_shut = |pool: usize| shut.get(pool).copied().unwrap_or_default();
            if lacks.is_empty() && !need.iter().any(|&(pool, _)| is_shut(pool)) {
                self.take(&need);
                if let Some(line) = self.lines.get_mut(place) {
                    line.waiting.remove(&rank);
                }
                self.forget_if_empty(place);
                if is_first {
                    self.kept = None;
                }
                granted.push(rank.number);
                continue;
            }
            if is_first {
                self.keep_back(rank, &lacks);
            }
            for (pool, _) in lacks {
                if let Some(shut) = shut.get_mut(pool) {
                    *shut = true;
                }
            }
            passed.push(need);
        }
        if self.lines.is_empty() {
            self.kept = None;
        }
        granted
    }

    /// Who is next of the lines that were not passed over.
    fn first_but(&self, passed: &[Need]) -> Option<(usize, Need, Rank)> {
        let lines = self.lines.iter().enumerate();
        let open = lines.filter(|(_, line)| !passed.contains(&line.need));
        let firsts = open.filter_map(|(place, line)| Some((*line.waiting.first()?, place, line)));
        let (rank, place, line) = firsts.min_by_key(|(rank, ..)| *rank)?;
        Some((place, line.need.clone(), rank))
    }

    /// Of which pools there is not enough for somebody.
    fn lacks(&self, need: &Need, rank: Rank, is_first: bool) -> Vec<(usize, u32)> {
        let kept = |pool: usize| match &self.kept {
            Some((owner, kept)) if *owner != rank && !is_first => {
                kept.get(pool).copied().unwrap_or_default()
            }
            _ => 0,
        };
        let lacks = need.iter().copied();
        lacks
            .filter(|&(pool, n)| self.free(pool).saturating_sub(kept(pool)) < n)
            .collect()
    }

    /// Keeps back for the first of all what it lacks, beside what it lacked before.
    fn keep_back(&mut self, first: Rank, lacks: &[(usize, u32)]) {
        let mut all = match self.kept.take() {
            Some((owner, kept)) if owner == first => kept,
            _ => vec![0; self.pools.len()],
        };
        for &(pool, n) in lacks {
            if let Some(kept) = all.get_mut(pool) {
                *kept = n;
            }
        }
        self.kept = Some((first, all));
    }
}
