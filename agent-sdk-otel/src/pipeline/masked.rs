//! What an encoded span passes before it is handed on.

use agent_sdk::redact::Redactor;

use super::Pipeline;
use crate::content::masked;

impl Pipeline {
    /// Hands on an encoded span that just ended, without the secrets that were named. One that cannot be cleared of them must not leave:
    /// it is lost, and counted as dropped.
    pub(crate) fn without_secrets(
        &self,
        redactor: &Redactor,
        message: &[u8],
        hand_on: impl FnOnce(&[u8]),
    ) {
        match masked(redactor, message) {
            Some(message) => hand_on(&message),
            None => self.lost(),
        }
    }

    /// Counts an item that cannot leave.
    fn lost(&self) {
        let mut state = self.lock();
        state.account.ended += 1;
        state.account.dropped += 1;
    }
}
