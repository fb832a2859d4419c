//! What holds for any run.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A run of operations with any parents and times; children may overlap, be empty and leave their parent's interval.
fn any_run() -> impl Strategy<Value = Vec<ProfiledOperation>> {
    let kind = prop::sample::select(vec![Kind::Agent, Kind::Chat, Kind::Attempt, Kind::Tool]);
    let one = (any::<prop::sample::Index>(), kind, 0_u64..30, 0_u64..20);
    prop::collection::vec(one, 0..24).prop_map(|drawn| {
        let mut run = vec![operation(1, 0, Kind::Agent, "root", 5, 25)];
        for (id, (parent, kind, start, length)) in (2..).zip(drawn) {
            let parent = run[parent.index(run.len())].id.get();
            run.push(operation(
                id,
                parent,
                kind,
                kind.as_str(),
                start,
                start + length,
            ));
        }
        run.reverse();
        run
    })
}

/// A run in which nothing overlaps: time goes on, operations open inside the last and close.
fn sequential_run() -> impl Strategy<Value = Vec<ProfiledOperation>> {
    prop::collection::vec(0_u64..8, 0..60).prop_map(|steps| {
        let mut now = 3;
        let mut finished = Vec::new();
        let mut open = vec![operation(1, 0, Kind::Agent, "root", now, now)];
        let mut last = 1;
        for step in steps {
            match step {
                0 | 1 => {
                    last += 1;
                    let parent = open.last().unwrap().id.get();
                    open.push(operation(last, parent, Kind::Tool, "t", now, now));
                }
                2 | 3 if open.len() > 1 => {
                    let mut closed = open.pop().unwrap();
                    closed.end = Duration::from_millis(now);
                    finished.push(closed);
                }
                step => now += step,
            }
        }
        while let Some(mut closed) = open.pop() {
            closed.end = Duration::from_millis(now);
            finished.push(closed);
        }
        finished
    })
}

/// The intervals of all operations, cut to those of their parents and counted from the root's start, in milliseconds.
fn intervals(run: &[ProfiledOperation]) -> BTreeMap<u64, (u64, u64)> {
    let mut known = BTreeMap::new();
    let mut by_id: Vec<_> = run.iter().collect();
    by_id.sort_by_key(|operation| operation.id);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let origin = millis(by_id[0].start);
    for operation in by_id {
        let (start, end) = (millis(operation.start), millis(operation.end));
        let (start, end) = (start.saturating_sub(origin), end.saturating_sub(origin));
        let cut = match operation.parent {
            None => (start, end),
            Some(parent) => {
                let (from, to): (u64, u64) = known[&parent.get()];
                (start.max(from).min(to), end.max(from).min(to))
            }
        };
        known.insert(operation.id.get(), cut);
    }
    known
}

/// The critical path by its definition: who is on it in each millisecond, from the last to the first.
fn path_by_definition(run: &[ProfiledOperation], id: u64, path: &mut Vec<u64>) {
    let intervals = intervals(run);
    let (start, end) = intervals[&id];
    let mut cursor = end;
    loop {
        let last = run
            .iter()
            .filter(|operation| operation.parent == Some(OperationId(id)))
            .map(|operation| (operation.id.get(), intervals[&operation.id.get()]))
            .filter(|(_, (start, end))| start < end && *end <= cursor)
            .max_by_key(|&(id, (start, end))| (end, u64::MAX - start, u64::MAX - id));
        let next = last.map_or(start, |(_, (_, end))| end);
        path.extend((next..cursor).map(|_| id));
        let Some((child, (child_start, _))) = last else {
            return;
        };
        path_by_definition(run, child, path);
        cursor = child_start;
    }
}

proptest! {
    #[test]
    fn segments_tile_the_root_and_their_operations_were_running(run in any_run()) {
        let profile = profile(&run);
        let intervals = intervals(&run);
        let mut cursor = Duration::ZERO;
        for segment in profile.critical_path() {
            prop_assert_eq!(segment.start, cursor);
            prop_assert!(!segment.duration.is_zero());
            cursor += segment.duration;
            let (start, end) = intervals[&segment.operation.get()];
            prop_assert!(Duration::from_millis(start) <= segment.start);
            prop_assert!(cursor <= Duration::from_millis(end));
        }
        prop_assert_eq!(cursor, profile.duration());
        for pair in profile.critical_path().windows(2) {
            prop_assert_ne!(pair[0].operation, pair[1].operation);
        }
    }

    #[test]
    fn the_path_is_that_of_the_definition(run in any_run()) {
        let mut expected = Vec::new();
        path_by_definition(&run, 1, &mut expected);
        expected.reverse();
        // An attempt counts as the model request around it.
        for id in &mut expected {
            let find = |id| run.iter().find(|operation| operation.id == id).unwrap();
            let on_path = find(OperationId(*id));
            if let (Kind::Attempt, Some(parent)) = (on_path.kind, on_path.parent)
                && find(parent).kind == Kind::Chat
            {
                *id = parent.get();
            }
        }
        let profile = profile(&run);
        let found: Vec<_> = profile
            .critical_path()
            .iter()
            .flat_map(|segment| (0..segment.duration.as_millis()).map(|_| segment.operation.get()))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn sums_agree_with_the_tree_and_the_path(run in any_run()) {
        let profile = profile(&run);
        prop_assert_eq!(profile.tree().count(), run.len());
        let of_tree: Duration = profile.tree().map(|node| node.self_time).sum();
        let critical_of_tree: Duration = profile.tree().map(|node| node.critical_time).sum();
        prop_assert_eq!(critical_of_tree, profile.duration());
        for shares in [profile.by_kind(), profile.by_name()] {
            let own: Duration = shares.iter().map(|share| share.self_time).sum();
            let critical: Duration = shares.iter().map(|share| share.critical_time).sum();
            let counted: u64 = shares.iter().map(|share| share.count + share.attempts).sum();
            prop_assert_eq!(own, of_tree);
            prop_assert_eq!(critical, profile.duration());
            prop_assert_eq!(usize::try_from(counted).unwrap(), run.len());
        }
    }

    #[test]
    fn self_time_is_what_no_child_covers(run in any_run()) {
        let intervals = intervals(&run);
        for node in profile(&run).tree() {
            let (start, end) = intervals[&node.operation.id.get()];
            let is_own = |at: &u64| {
                !run.iter().any(|child| {
                    let (from, to) = intervals[&child.id.get()];
                    child.parent == Some(node.operation.id) && (from..to).contains(at)
                })
            };
            prop_assert_eq!(node.start, Duration::from_millis(start));
            prop_assert_eq!(node.total_time, Duration::from_millis(end - start));
            prop_assert_eq!(node.self_time.as_millis(), (start..end).filter(is_own).count() as u128);
        }
    }

    #[test]
    fn the_tree_has_parents_first_and_siblings_by_start(run in any_run()) {
        let profile = profile(&run);
        let mut around: Vec<(OperationId, Duration)> = Vec::new();
        for node in profile.tree() {
            prop_assert!(node.depth <= around.len());
            if let Some((_, earlier)) = around.get(node.depth) {
                prop_assert!(*earlier <= node.start);
            }
            around.truncate(node.depth);
            prop_assert_eq!(node.operation.parent, around.last().map(|(id, _)| *id));
            around.push((node.operation.id, node.start));
        }
    }

    #[test]
    fn self_times_of_a_sequential_run_add_up_to_its_duration(run in sequential_run()) {
        let profile = profile(&run);
        let sum: Duration = profile.tree().map(|node| node.self_time).sum();
        prop_assert_eq!(sum, profile.duration());
        for node in profile.tree() {
            prop_assert_eq!(node.critical_time, node.self_time);
        }
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_does_not_overflow() {
    const DEPTH: u64 = 100_000;
    let run: Vec<_> = (1..=DEPTH)
        .rev()
        .map(|id| operation(id, id - 1, Kind::Tool, "t", id, 2 * DEPTH - id + 1))
        .collect();
    let profile = profile(&run);
    assert_eq!(profile.tree().count(), run.len());
    assert_eq!(profile.tree().last().unwrap().depth, run.len() - 1);
    assert_eq!(profile.critical_path().len(), 2 * run.len() - 1);
    assert!(profile.tree().all(|node| node.on_critical_path));
}

#[test]
fn a_hundred_thousand_siblings_are_one_path() {
    let mut run: Vec<_> = (0..100_000)
        .map(|n| operation(n + 2, 1, Kind::Tool, "t", n, n + 1))
        .collect();
    run.push(operation(1, 0, Kind::Agent, "x", 0, 100_000));
    let profile = profile(&run);
    assert_eq!(profile.critical_path().len(), 100_000);
    assert_eq!(profile.by_name().len(), 2);
}
