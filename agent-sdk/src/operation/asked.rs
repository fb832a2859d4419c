//! Whether an agent asked one model or several.

use std::sync::Arc;

use crate::model::ModelInfo;

/// The models that an agent's own chat requests asked.
#[derive(Debug, Default)]
pub(super) enum AskedModels {
    #[default]
    None,
    One(Arc<ModelInfo>),
    Several,
}

impl AskedModels {
    pub(super) fn add(&mut self, model: &Arc<ModelInfo>) {
        match self {
            Self::None => *self = Self::One(model.clone()),
            Self::One(one) if one.model != model.model => *self = Self::Several,
            Self::One(_) | Self::Several => {}
        }
    }

    /// The one that was asked, where it was one.
    pub(super) fn only(&self) -> Option<&ModelInfo> {
        match self {
            Self::One(model) => Some(model),
            Self::None | Self::Several => None,
        }
    }
}
