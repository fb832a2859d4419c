//! Whether a person must be asked before a call is made: the same for the calls of agents and for the steps of plans.

use crate::{
    journal::QuestionKind,
    operation::RunContext,
    tool::{Effect, ToolHandle},
};

/// What is known of a call that has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was not begun.
    New,
    /// An earlier life began it.
    Begun,
    /// A person allowed it.
    Allowed,
}

impl Standing {
    /// Why a person is asked before the call is made, if one is. `needs_approval` is whether every such call is asked about.
    pub(crate) fn must_ask(self, effect: Effect, needs_approval: bool) -> Option<QuestionKind> {
        match self {
            Self::New => needs_approval.then_some(QuestionKind::Approval),
            Self::Begun => (effect == Effect::Write).then_some(QuestionKind::InDoubt),
            Self::Allowed => None,
        }
    }
}

/// Whether every call of a tool is asked about: the tool says so, or the run does.
pub(crate) fn needs_approval(context: &RunContext, tool: &ToolHandle) -> bool {
    let within = context.within();
    let name = &tool.spec().name;
    tool.options().needs_approval
        || within.is_some_and(|within| within.control.ask_before.contains(name))
}
