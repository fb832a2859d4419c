//! Items that wait for the tail sampler's decision.
//!
//! The account has them under `queued` from the moment at which they ended; the sampler has their bytes.

use super::{Pipeline, Scope};
use crate::sampling::Outlet;

impl Outlet for Pipeline {
    type Scope = Scope;

    fn push(&self, scope: &Scope, message: &[u8]) {
        Pipeline::push(self, scope, message);
    }

    fn unsampled(&self) {
        Pipeline::unsampled(self);
    }

    fn hold(&self) {
        let mut state = self.lock();
        state.account.ended += 1;
        state.account.queued += 1;
    }

    fn release(&self, scope: &Scope, message: &[u8]) {
        let mut state = self.lock();
        state.account.queued = state.account.queued.saturating_sub(1);
        self.enqueue(state, scope, message);
    }

    fn discard(&self, items: u64) {
        let mut state = self.lock();
        state.account.queued = state.account.queued.saturating_sub(items);
        state.account.unsampled += items;
    }
}
