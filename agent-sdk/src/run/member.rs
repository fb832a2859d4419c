//! A run as one of several at once.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Pace, RunError, RunReport, RunRequest};
use crate::operation::{Member, Observer, RunContext};

/// Where the events of one of several runs go.
pub(crate) struct Feed {
    /// Tells it whether there is room.
    pub(crate) pace: Arc<Pace>,
    /// Is told of the events of all of them.
    pub(crate) router: Arc<dyn Observer>,
}

impl<'a> RunRequest<'a> {
    /// The agent's name.
    pub(crate) fn agent_name(&self) -> &Arc<str> {
        &self.settings.name
    }

    /// The context that it was given.
    pub(crate) fn given_context(&self) -> Option<&RunContext> {
        self.context.as_ref()
    }

    /// A context as its agent has them.
    pub(crate) fn agents_context(&self) -> RunContext {
        self.settings.new_context(None)
    }

    /// Whether it is a run of its own, with its own id: only such a one can be found again in a store.
    pub(crate) fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// Its agent's ledger decides what it may spend, where the agent has one.
    pub(crate) fn admitted_by_agent(&self, context: RunContext) -> RunContext {
        match &self.settings.ledger {
            Some(ledger) => context.with_ledger(Some(ledger.clone())),
            None => context,
        }
    }

    /// Runs under `context`, as a member of a batch. Nothing happens before the first poll.
    pub(crate) fn join(
        mut self,
        context: RunContext,
        member: Arc<Member>,
        feed: Option<Feed>,
    ) -> BoxFuture<'a, Result<RunReport, RunError>> {
        Box::pin(async move {
            let mut context = context.with_labels(|labels| labels.member = Some(member.clone()));
            if self.is_kept() {
                context = context.with_own_run(self.resumed.clone());
            } else {
                // Of a run's own budgets each has an account for a run, and these have one id together.
                for budget in &mut self.budgets {
                    let Member { batch, index, .. } = &*member;
                    budget.name = format!("{}[{batch}/{index}]", budget.name).into();
                }
            }
            if let Some(Feed { pace, router }) = feed {
                if self.is_kept() {
                    context.subscribe(router);
                }
                context = context.with_room(pace);
            }
            self.callbacks.member = Some(member);
            self.context = Some(context);
            self.prepare().drive().await
        })
    }
}
