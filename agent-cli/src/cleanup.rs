//! `agent cleanup`: deletes what did not change for some time.

use std::{collections::HashSet, time::Duration};

use agent_sdk::store::{LogKind, Query, Store, StoreError};
use jiff::Timestamp;

use crate::{
    args::CleanupArguments,
    exit::{Exit, Failure},
    home::{self, Home},
    output::Output,
    text::{bytes, counted},
};

const DAY: Duration = Duration::from_hours(24);

/// How long what was spent is known, unless the user says otherwise: this year's report can be held against last year's.
const COST_DAYS: u32 = 400;

/// Does what `agent cleanup` says.
///
/// # Errors
///
/// The store cannot be opened or written.
pub(crate) fn run(arguments: &CleanupArguments, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let now = home::now();
    let days_ago = |days| {
        now.checked_sub(DAY.saturating_mul(days))
            .unwrap_or(Timestamp::MIN)
    };
    let before = days_ago(arguments.days);
    let costs_before = days_ago(arguments.cost_days.unwrap_or(COST_DAYS));
    let store = home.store();
    let old_runs = home.wait(old(&*store, LogKind::Run, before, now))?;
    let old_sessions = if arguments.sessions {
        home.wait(old(&*store, LogKind::Session, before, now))?
    } else {
        Vec::new()
    };
    let old_costs = home.wait(old(&*store, LogKind::Cost, costs_before, now))?;
    let mut removed_costs = HashSet::new();
    if !arguments.dry_run {
        let days = home.wait(store.cleanup(LogKind::Cost, costs_before))?;
        removed_costs.extend(days.iter().map(|day| day.id().to_owned()));
    }
    let mut removed: HashSet<String> = HashSet::new();
    if !arguments.dry_run {
        let runs = home.wait(home.runs().cleanup(before))?;
        removed.extend(runs.iter().map(|run| run.as_str().to_owned()));
    }
    let mut removed_sessions = HashSet::new();
    if arguments.sessions && !arguments.dry_run {
        for log in home.wait(store.cleanup(LogKind::Session, before))? {
            home.wait(store.delete(&log.of_kind(LogKind::Files)))?;
            removed_sessions.insert(log.id().to_owned());
        }
    }
    let sum = |old: &[(String, u64)], removed: &HashSet<String>, noun: &str| {
        let gone = old
            .iter()
            .filter(|(id, _)| arguments.dry_run || removed.contains(id));
        let (count, size) = gone.fold((0, 0), |(count, size), (_, more)| (count + 1, size + more));
        format!("{}, {}", counted(count, noun), bytes(size))
    };
    let verb = if arguments.dry_run {
        "would delete"
    } else {
        "deleted"
    };
    output.line(format_args!("{verb} {}", sum(&old_runs, &removed, "run")))?;
    if arguments.sessions {
        output.line(format_args!(
            "{verb} {}",
            sum(&old_sessions, &removed_sessions, "session")
        ))?;
    }
    if arguments.cost_days.is_some() || !old_costs.is_empty() {
        let sum = sum(&old_costs, &removed_costs, "day");
        output.line(format_args!("{verb} {sum} of cost"))?;
    }
    Ok(Exit::Ok)
}

/// What did not change since a time and no process has, and how much is kept of each.
async fn old(
    store: &dyn Store,
    kind: LogKind,
    before: Timestamp,
    now: Timestamp,
) -> Result<Vec<(String, u64)>, StoreError> {
    let query = Query::of(kind).before(before).limit(usize::MAX);
    let mut old = Vec::new();
    for head in store.list(query).await? {
        if head.holder.as_ref().is_some_and(|it| it.until > now) {
            continue;
        }
        let mut size = head.bytes;
        let beside = match kind {
            LogKind::Session => &[LogKind::Files][..],
            LogKind::Cost => &[],
            _ => &[LogKind::Inbox, LogKind::Events],
        };
        for kind in beside {
            let beside = store.head(&head.log.of_kind(*kind)).await?;
            size += beside.map_or(0, |head| head.bytes);
        }
        old.push((head.log.id().to_owned(), size));
    }
    Ok(old)
}
