//! What can be given where a model is wanted.

use super::{Model, ModelError, ModelHandle};

/// Whatever can be given where a model is wanted: a [`Model`], a [`ModelHandle`], or the name of one, `provider:model`.
///
/// A name is looked up in the embedded [`Catalog`](super::Catalog), with address and key from the environment; whoever asked for
/// the model is told where that fails.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no model",
    note = "give a `Model`, a `ModelHandle`, or a name such as `\"openai:gpt-5-mini\"`"
)]
pub trait IntoModel {
    /// The model.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`](super::ModelErrorKind::Configuration) for a name that leads to none.
    fn into_model(self) -> Result<ModelHandle, ModelError>;
}

impl<M: Model> IntoModel for M {
    fn into_model(self) -> Result<ModelHandle, ModelError> {
        Ok(ModelHandle::new(self))
    }
}

impl IntoModel for ModelHandle {
    fn into_model(self) -> Result<ModelHandle, ModelError> {
        Ok(self)
    }
}

impl IntoModel for &ModelHandle {
    fn into_model(self) -> Result<ModelHandle, ModelError> {
        Ok(self.clone())
    }
}

#[cfg(feature = "http")]
impl IntoModel for &str {
    fn into_model(self) -> Result<ModelHandle, ModelError> {
        self.parse()
    }
}

#[cfg(feature = "http")]
impl IntoModel for String {
    fn into_model(self) -> Result<ModelHandle, ModelError> {
        self.parse()
    }
}
