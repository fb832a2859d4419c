//! The providers' APIs, one folder each.
//!
//! Each has a client that is a [`Model`](super::Model): one HTTP request per call, each an `attempt` operation. What clients have
//! in common is in `http`; how answers are read, in `wire`.
//!
//! Promises of all of them:
//! - an answer that broke off is an error, and no tool of it runs;
//! - nothing is read without a limit of bytes and of time;
//! - keys, header values and a URL's query are never printed, nor sent to another server after a redirect;
//! - usage that was not reported is unknown, not zero;
//! - a part of the history that an API has no place for is refused, not left out, but for what another API wrote for itself.

pub mod anthropic;
#[cfg(feature = "bedrock")]
pub mod bedrock;
pub mod gemini;
mod inspect;
#[cfg(test)]
pub(in crate::model) mod judge;
pub mod ollama;
pub mod openai;
pub mod responses;

pub use anthropic::Anthropic;
#[cfg(feature = "bedrock")]
pub use bedrock::Bedrock;
pub use gemini::Gemini;
pub use inspect::{Answer, Api, Inspection, inspect};
pub use ollama::Ollama;
pub use openai::OpenAi;
pub use responses::OpenAiResponses;
