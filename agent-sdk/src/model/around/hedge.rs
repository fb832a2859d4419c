//! A second request to another model where the first is slow.

use std::{pin::pin, sync::OnceLock, time::Duration};

use futures_util::future::{Either, select};
use tokio::time::sleep;

use super::{
    cache::Slot,
    call::{Answer, Call, Failed, Origin},
    fallback::may_help,
};
use crate::{model::ModelHandle, operation::decision};

/// Asks another model as well where the first has produced nothing after a while (Dean and Barroso, "The Tail at Scale", 2013).
///
/// The first of the two to produce something wins: a first piece where the answer is streamed, else the whole answer. The other
/// is given up; its `chat` operation ends as cancelled, and may have been charged. Where one fails the other is waited for,
/// unless the failure is one that [no other model helps with](super::ModelHandleBuilder::fallback). A first model that fails
/// before the time is up is no case for a hedge but for a fallback.
#[derive(Clone, Debug)]
#[must_use = "a hedge does nothing until a model is given it"]
pub struct Hedge {
    after: Duration,
    other: ModelHandle,
}

impl Hedge {
    /// Asks `other` once the first model has produced nothing for this long.
    pub fn after(delay: Duration, other: impl Into<ModelHandle>) -> Self {
        Self {
            after: delay,
            other: other.into(),
        }
    }
}

/// Asks the handle's own model, and the other one too if that takes long.
pub(super) async fn race(
    call: &Call<'_>,
    handle: &ModelHandle,
    hedge: &Hedge,
    slot: Option<Slot>,
) -> Result<Answer, Failed> {
    let started = OnceLock::new();
    let noted = call.again(Origin {
        note: Some(&started),
        ..call.origin.clone()
    });
    let mut first = pin!(noted.one(handle, slot));
    tokio::select! {
        biased;
        result = &mut first => return result,
        () = sleep(hedge.after) => {}
    }
    let origin = Origin {
        instead_of: started.get().copied(),
        hedge_for: Some(handle.info().model.clone()),
        ..Origin::default()
    };
    let second = call.again(origin).ask(&hedge.other);
    let (failed, other) = match select(first, second).await {
        Either::Left((Ok(answer), _)) => {
            decision::chat_hedge_won(
                call.context,
                &handle.info().model,
                &hedge.other.info().model,
            );
            return Ok(answer);
        }
        Either::Right((Ok(answer), _)) => {
            decision::chat_hedge_won(
                call.context,
                &hedge.other.info().model,
                &handle.info().model,
            );
            return Ok(answer);
        }
        Either::Left((Err(failed), second)) => (failed, Either::Right(second)),
        Either::Right((Err(failed), first)) => (failed, Either::Left(first)),
    };
    if !may_help(&failed.error, call.context) {
        return Err(failed);
    }
    let mut last = match other.await {
        Ok(answer) => return Ok(answer),
        Err(last) => last,
    };
    last.error = last.error.with_earlier(vec![failed.error]);
    Err(last)
}
