//! Every order in which threads may take the ledger's lock, or very many of them.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::{
    budget::{
        AlertKind, Amounts, Budget, Dimension, Measure, Scope,
        account::Charge,
        book::{Book, Grant, Post},
        memory::{Inside, Memory, Told},
    },
    cost::Usd,
    guarded::Guarded,
};

/// A lock that looks at the accounts whenever it is let go.
struct Watched<L>(L);

impl<L: Guarded<Inside>> Guarded<Inside> for Watched<L> {
    fn guard(state: Inside) -> Self {
        Self(L::guard(state))
    }

    fn with<R>(&self, decide: impl FnOnce(&mut Inside) -> R) -> R {
        self.0.with(|inside| {
            let decided = decide(inside);
            hold(&inside.book);
            decided
        })
    }
}

/// What must be so at every instant: no account is above its cap, and all that is in one run's account is in that of all.
fn hold(book: &Book) {
    let mut of_runs = 0;
    for (budget, scope, account) in book.iter() {
        let sheet = &account.current;
        let cap = if budget == "all" { ALL } else { RUN };
        let taken = sheet.committed.plus(&sheet.reserved);
        let taken = taken.get(Measure::Usd);
        assert!(taken <= cap, "{budget} {scope}: {taken} of {cap}");
        assert!(sheet.debt.is_zero());
        if budget == "run" {
            of_runs += taken;
        }
    }
    if let Some(all) = book.get("all", "") {
        let taken = all.current.committed.plus(&all.current.reserved);
        assert_eq!(taken.get(Measure::Usd), of_runs, "all or none");
    }
}

const ALL: u64 = 10;
const RUN: u64 = 6;

struct Accounts<L> {
    memory: Memory<Watched<L>>,
    all: Arc<Budget>,
    run: Arc<Budget>,
    told: Mutex<Vec<(Arc<str>, AlertKind)>>,
    between: fn(),
}

impl<L: Guarded<Inside>> Accounts<L> {
    fn new(between: fn()) -> Arc<Self> {
        let each = Scope::each(Dimension::Run);
        Arc::new(Self {
            memory: Memory::new(),
            all: Arc::new(Budget::new("all").max_usd(Usd::from_nanos(ALL))),
            run: Arc::new(Budget::new("run").scope(each).max_usd(Usd::from_nanos(RUN))),
            told: Mutex::default(),
            between,
        })
    }

    fn posts(&self, run: &str) -> Vec<Post> {
        vec![
            Post {
                budget: self.all.clone(),
                scope: "".into(),
            },
            Post {
                budget: self.run.clone(),
                scope: run.into(),
            },
        ]
    }

    fn tell(&self, told: Told) {
        let account = (told.alert.standing.budget, told.alert.kind);
        self.told.lock().unwrap().push(account);
        (self.between)();
    }

    fn reserve(&self, run: &str, ask: u64) -> Option<Grant> {
        let ask = Amounts::usd(Usd::from_nanos(ask));
        let tell = |told| self.tell(told);
        let granted = self
            .memory
            .reserve(None, &self.posts(run), &ask, false, now(), tell);
        granted.ok()
    }

    fn settle(&self, run: &str, grant: &Grant, held: u64, used: u64) {
        let charge = Charge {
            held: Amounts::usd(Usd::from_nanos(held)),
            used: Amounts::usd(Usd::from_nanos(used)),
        };
        let tell = |told| self.tell(told);
        let settled = self.memory.settle(
            None,
            &self.posts(run),
            &grant.admitted,
            &charge,
            now(),
            tell,
        );
        settled.unwrap();
    }

    fn spent(&self) -> u64 {
        self.memory.with(|book| {
            let sheet = &book.get("all", "").unwrap().current;
            assert!(sheet.reserved.is_zero(), "nothing stays reserved");
            sheet.committed.get(Measure::Usd)
        })
    }

    /// The thresholds that were told of all together, in the order in which they were.
    fn thresholds(&self) -> Vec<u8> {
        let told = self.told.lock().unwrap();
        let of_all = told.iter().filter(|(budget, _)| &**budget == "all");
        of_all
            .filter_map(|(_, kind)| match kind {
                AlertKind::Threshold { percent } => Some(*percent),
                _ => None,
            })
            .collect()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

/// Those that must have been told when so much of [`ALL`] is spent.
fn reached(spent: u64) -> Vec<u8> {
    let thresholds = [50_u8, 80, 100];
    let percent = u8::try_from(spent * 100 / ALL).unwrap();
    thresholds.into_iter().filter(|at| *at <= percent).collect()
}

#[test]
fn b1_in_every_order_of_three_threads_no_account_passes_its_cap_and_all_or_none_are_charged() {
    loom::model(|| {
        let accounts = Accounts::<loom::sync::Mutex<Inside>>::new(|| {});
        // 5 + 5 of one run pass its cap of 6; 5 + 4 of two do not pass that of 10 for all.
        let threads = [("a", 5), ("a", 5), ("b", 4)].map(|(run, ask)| {
            let accounts = accounts.clone();
            loom::thread::spawn(move || accounts.reserve(run, ask).map(|grant| (run, grant, ask)))
        });
        let granted: Vec<_> = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect();
        let runs: Vec<_> = granted.iter().map(|(run, _, _)| *run).collect();
        assert_eq!(runs, ["a", "b"], "one of the first two, and the third");
        for (run, grant, ask) in granted {
            accounts.settle(run, &grant, ask, ask);
        }
        assert_eq!(accounts.spent(), 9);
    });
}

#[test]
fn b7_in_every_order_of_three_threads_each_threshold_is_told_once_and_in_order() {
    // Each thread takes the lock up to four times: without a bound to how often one is interrupted these are too many orders.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let accounts = Accounts::<loom::sync::Mutex<Inside>>::new(|| {});
        let held = [("a", 5), ("b", 3), ("c", 2)]
            .map(|(run, ask)| (run, accounts.reserve(run, ask).unwrap(), ask));
        let threads = held.map(|(run, grant, ask)| {
            let accounts = accounts.clone();
            loom::thread::spawn(move || accounts.settle(run, &grant, ask, ask))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(accounts.spent(), ALL);
        assert_eq!(accounts.thresholds(), [50, 80, 100]);
    });
}

/// How many schedules are tried: this many, or what `AGENT_SDK_SCHEDULES` says.
const SCHEDULES: usize = 10_000;

#[test]
fn b7_in_random_schedules_of_four_threads_caps_hold_and_each_threshold_is_told_once_and_in_order() {
    let schedules = std::env::var("AGENT_SDK_SCHEDULES");
    let schedules = schedules.map_or(SCHEDULES, |schedules| schedules.parse().unwrap());
    std::thread::scope(|halves| {
        for _ in 0..2 {
            halves.spawn(|| shuttle::check_random(four_threads, schedules / 2));
        }
    });
}

fn four_threads() {
    let accounts = Accounts::<shuttle::sync::Mutex<Inside>>::new(shuttle::thread::yield_now);
    // What each thread asks for, and what of it is used: all, a part, or nothing because it is put back.
    let work = [
        ("a", [(3, 3), (2, 1)]),
        ("a", [(2, 2), (4, 0)]),
        ("b", [(4, 3), (1, 1)]),
        ("b", [(2, 2), (3, 3)]),
    ];
    let threads = work.map(|(run, steps)| {
        let accounts = accounts.clone();
        shuttle::thread::spawn(move || {
            let mut spent = 0;
            for (ask, used) in steps {
                if let Some(grant) = accounts.reserve(run, ask) {
                    accounts.settle(run, &grant, ask, used);
                    spent += used;
                }
            }
            spent
        })
    });
    let spent = threads.map(|thread| thread.join().unwrap());
    assert_eq!(accounts.spent(), spent.iter().sum::<u64>());
    assert_eq!(accounts.thresholds(), reached(accounts.spent()));
}
