//! `agent cleanup`: deletes what did not change for some time.

use std::time::Duration;

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

/// Does what `agent cleanup` says.
///
/// # Errors
///
/// The store cannot be opened or written.
pub(crate) fn run(arguments: &CleanupArguments, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let now = home::now();
    let before = now
        .checked_sub(DAY.saturating_mul(arguments.days))
        .unwrap_or(Timestamp::MIN);
    let store = home.store();
    let old = home.wait(old_runs(&*store, before, now))?;
    let size = |count: usize, size: u64| {
        let runs = counted(count as u64, "run");
        format!("{runs}, {}", bytes(size))
    };
    if arguments.dry_run {
        let all = old.iter().map(|(_, size)| size).sum();
        output.line(format_args!("would delete {}", size(old.len(), all)))?;
        return Ok(Exit::Ok);
    }
    let removed = home.wait(home.runs().cleanup(before))?;
    let is_removed = |id: &String| removed.iter().any(|run| run.as_str() == id);
    let freed = old.iter().filter(|(id, _)| is_removed(id));
    let freed = freed.map(|(_, size)| size).sum();
    output.line(format_args!("deleted {}", size(removed.len(), freed)))?;
    Ok(Exit::Ok)
}

/// The runs that did not change since a time and that no process has, and how much is kept of each.
async fn old_runs(
    store: &dyn Store,
    before: Timestamp,
    now: Timestamp,
) -> Result<Vec<(String, u64)>, StoreError> {
    let query = Query::of(LogKind::Run).before(before).limit(usize::MAX);
    let mut old = Vec::new();
    for head in store.list(query).await? {
        if head.holder.as_ref().is_some_and(|it| it.until > now) {
            continue;
        }
        let mut size = head.bytes;
        for kind in [LogKind::Inbox, LogKind::Events] {
            let beside = store.head(&head.log.of_kind(kind)).await?;
            size += beside.map_or(0, |head| head.bytes);
        }
        old.push((head.log.id().to_owned(), size));
    }
    Ok(old)
}
