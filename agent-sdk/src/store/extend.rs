//! Adding to a log that is made with its first entries.

use std::sync::Arc;

use super::{Append, NewLog, Store, StoreError, StoreErrorKind};

/// Appends, and first makes the log for this owner where there is none. Answers with the new version.
///
/// # Errors
///
/// Those of [`Store::append`] and [`Store::create`], but not that the log is missing or that somebody else made it meanwhile.
pub(crate) async fn extend(
    store: &dyn Store,
    append: Append,
    owner: Option<Arc<str>>,
) -> Result<u64, StoreError> {
    match store.append(append.clone()).await {
        Err(error) if error.kind() == StoreErrorKind::NotFound => {}
        other => return other,
    }
    let new = NewLog::new(append.log.clone()).owner(owner);
    match store.create(new).await {
        Err(error) if error.kind() != StoreErrorKind::Exists => Err(error),
        _ => store.append(append).await,
    }
}
