//! Who may run.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::{
        permits::{Need, Permits},
        priority::{Ageing, Rank},
        queue::{Inside, Queue, Requested},
    },
    *,
};

fn ageing() -> Ageing {
    Ageing {
        epoch: Instant::now(),
        step: Duration::from_secs(1),
    }
}

fn need(pools: &[(usize, u32)]) -> Need {
    pools.into()
}

/// A plain model: who holds what.
struct World {
    permits: Permits,
    sizes: Vec<u32>,
    waiting: BTreeMap<u64, (Need, Rank)>,
    running: BTreeMap<u64, Need>,
}

impl World {
    fn go(&mut self, granted: Vec<u64>) {
        for number in granted {
            let (need, _) = self.waiting.remove(&number).expect("who goes has waited");
            self.running.insert(number, need);
        }
    }

    fn request(&mut self, need: &Need, rank: Rank) {
        self.waiting.insert(rank.number, (need.clone(), rank));
        match self.permits.request(need, rank) {
            Ok(()) => self.go(vec![rank.number]),
            Err(granted) => self.go(granted),
        }
    }

    fn release(&mut self, number: u64) {
        let need = self.running.remove(&number).unwrap();
        let granted = self.permits.release(&need);
        self.go(granted);
    }

    fn leave(&mut self, number: u64) {
        let (need, rank) = self.waiting.remove(&number).unwrap();
        let granted = self.permits.leave(&need, rank).expect("it waits");
        self.go(granted);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (pool, size) in self.sizes.iter().enumerate() {
            let of = |need: &Need| {
                need.iter()
                    .filter(|it| it.0 == pool)
                    .map(|it| it.1)
                    .sum::<u32>()
            };
            let taken: u32 = self.running.values().map(of).sum();
            prop_assert!(taken <= *size, "pool {} has {} of {}", pool, taken, size);
            prop_assert_eq!(taken, self.permits.taken(pool));
        }
        prop_assert_eq!(self.permits.waiting(), self.waiting.len());
        // Whoever is the first of all waits only for what others hold.
        if let Some((need, _)) = self.waiting.values().min_by_key(|(_, rank)| *rank) {
            let lacks = need
                .iter()
                .any(|&(pool, n)| self.sizes[pool] - self.permits.taken(pool) < n);
            prop_assert!(lacks, "the first waits although all is free that it needs");
        }
        Ok(())
    }
}

fn needs() -> impl Strategy<Value = Vec<(usize, u32)>> {
    let pools = proptest::collection::btree_map(0_usize..3, 1_u32..4, 1..4);
    pools.prop_map(|pools| pools.into_iter().collect())
}

proptest! {
    #[test]
    fn caps_hold_and_nobody_is_forgotten(
        steps in proptest::collection::vec((0_u8..6, needs(), -3_i8..4, any::<prop::sample::Index>()), 1..120),
    ) {
        let sizes = vec![3, 3, 4];
        let mut world = World { permits: Permits::new(sizes.clone()), sizes, waiting: BTreeMap::new(), running: BTreeMap::new() };
        let (ageing, mut now) = (ageing(), Instant::now());
        for (number, (what, pools, level, which)) in (0_u64..).zip(steps) {
            now += 300 * MS;
            match what {
                0..=2 => world.request(&need(&pools), ageing.rank(Priority::new(level), now, number)),
                3 | 4 if !world.running.is_empty() => {
                    let number = *which.get(&world.running.keys().copied().collect::<Vec<_>>());
                    world.release(number);
                }
                5 if !world.waiting.is_empty() => {
                    let number = *which.get(&world.waiting.keys().copied().collect::<Vec<_>>());
                    world.leave(number);
                }
                _ => {}
            }
            world.check()?;
        }
        // When all that runs comes to its end, all that waits comes to its turn.
        while let Some(number) = world.running.keys().next().copied() {
            world.release(number);
            world.check()?;
        }
        prop_assert!(world.waiting.is_empty());
    }

    #[test]
    fn nothing_starves_however_much_comes_that_matters_more(
        pools in needs(),
        level in -10_i8..=0,
        others in proptest::collection::vec((needs(), 0_i8..=10), 5..40),
    ) {
        // A stream of calls that does not end: with each that comes, the one that has run longest is done.
        let sizes = vec![3, 3, 4];
        let mut world = World { permits: Permits::new(sizes.clone()), sizes, waiting: BTreeMap::new(), running: BTreeMap::new() };
        let (ageing, mut now) = (ageing(), Instant::now());
        let (own, mut was_first_for) = (1_000_000, 0);
        for number in 0_u64..1_000 {
            now += 100 * MS;
            if number == 20 {
                world.request(&need(&pools), ageing.rank(Priority::new(level), now, own));
            }
            let (pools, level) = &others[usize::try_from(number).unwrap() % others.len()];
            world.request(&need(pools), ageing.rank(Priority::new(*level), now, number));
            let oldest = world.running.keys().filter(|it| **it != own).copied().next();
            if let Some(oldest) = oldest.filter(|_| number > 2) {
                world.release(oldest);
            }
            let first = world.waiting.values().min_by_key(|(_, rank)| *rank);
            // After 20 s, which is 200 calls, nothing that comes goes before it any more.
            let is_first = first.is_some_and(|(_, rank)| rank.number == own);
            was_first_for += u32::from(is_first && number > 220);
            prop_assert!(was_first_for <= 30, "it is overtaken although it is the first");
        }
        prop_assert!(!world.waiting.contains_key(&own));
    }
}

#[test]
fn what_the_first_lacked_is_kept_back_for_it_until_it_goes() {
    // Two pools of one are never free at the same time, if those behind may take what is.
    let (both, left, right) = (need(&[(0, 1), (1, 1)]), need(&[(0, 1)]), need(&[(1, 1)]));
    let (mut permits, ageing, now) = (Permits::new([1, 1]), ageing(), Instant::now());
    let rank = |number| ageing.rank(Priority::NORMAL, now, number);
    assert_eq!(permits.request(&left, rank(0)), Ok(()));
    assert_eq!(permits.request(&both, rank(1)), Err(vec![]));
    assert_eq!(
        permits.request(&right, rank(2)),
        Err(vec![2]),
        "the first lacks only the other one"
    );
    assert_eq!(permits.request(&left, rank(3)), Err(vec![]));
    assert_eq!(
        permits.release(&left),
        Vec::<u64>::new(),
        "what the first lacked is kept back, and now it lacks the right one"
    );
    assert_eq!(permits.request(&right, rank(4)), Err(vec![]));
    assert_eq!(permits.release(&right), [1], "it goes with both");
    assert_eq!(permits.release(&both), [3, 4]);
}

#[test]
fn a_pool_that_is_taken_keeps_nobody_from_another() {
    let (a, b) = (need(&[(0, 1), (1, 1)]), need(&[(0, 1), (2, 1)]));
    let (mut permits, ageing, now) = (Permits::new([3, 1, 9]), ageing(), Instant::now());
    let rank = |number| ageing.rank(Priority::NORMAL, now, number);
    assert_eq!(permits.request(&a, rank(0)), Ok(()));
    assert_eq!(permits.request(&a, rank(1)), Err(vec![]));
    assert_eq!(permits.request(&b, rank(2)), Err(vec![2]));
    assert_eq!(
        permits.request(&b, rank(3)),
        Err(vec![3]),
        "all of the first pool are in use"
    );
    assert_eq!(permits.request(&b, rank(4)), Err(vec![]));
    assert_eq!(permits.release(&a), [1]);
}

#[test]
fn a_level_of_priority_is_worth_a_second_of_waiting() {
    let (ageing, start) = (ageing(), Instant::now());
    let at = |level, seconds| {
        ageing.rank(
            Priority::new(level),
            start + Duration::from_secs(seconds),
            0,
        )
    };
    assert!(at(5, 4) < at(0, 0));
    assert!(at(0, 0) < at(5, 6));
    assert!(at(127, 256) > at(-128, 0), "nothing is overtaken for ever");
}

/// Four threads that take and leave permits in every order that is tried.
fn threads() {
    let queue = Arc::new(Queue::<shuttle::sync::Mutex<Inside>>::new(
        Permits::new([2, 1]),
        ageing(),
    ));
    let inside = Arc::new(shuttle::sync::Mutex::new((0_u32, 0_u32)));
    let work = [
        [(1, 1), (1, 0)],
        [(2, 0), (1, 1)],
        [(1, 1), (2, 1)],
        [(1, 0), (0, 1)],
    ];
    let threads = work.map(|steps| {
        let (queue, inside) = (queue.clone(), inside.clone());
        shuttle::thread::spawn(move || {
            for (number, (left, right)) in steps.into_iter().enumerate() {
                let all = [(0, left), (1, right)];
                let need: Need = all.into_iter().filter(|it| it.1 > 0).collect();
                let mut place = match queue.request(need, Priority::NORMAL) {
                    Requested::Granted(permit) => {
                        hold(&inside, left, right);
                        drop(permit);
                        continue;
                    }
                    // Some give up before they know whether they may go.
                    Requested::Waits(place) if number == 1 && left == 2 => {
                        drop(place);
                        continue;
                    }
                    Requested::Waits(place) => place,
                };
                while place.told.try_recv().is_err() {
                    shuttle::thread::yield_now();
                }
                let permit = place.take();
                hold(&inside, left, right);
                drop(permit);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((queue.taken(0), queue.taken(1), queue.waiting()), (0, 0, 0));
}

fn hold(inside: &shuttle::sync::Mutex<(u32, u32)>, left: u32, right: u32) {
    {
        let mut inside = inside.lock().unwrap();
        *inside = (inside.0 + left, inside.1 + right);
        assert!(inside.0 <= 2 && inside.1 <= 1, "{inside:?}");
    }
    shuttle::thread::yield_now();
    let mut inside = inside.lock().unwrap();
    *inside = (inside.0 - left, inside.1 - right);
}

#[test]
fn in_random_schedules_of_four_threads_caps_hold_and_each_comes_to_its_turn() {
    shuttle::check_random(threads, 2_000);
}
