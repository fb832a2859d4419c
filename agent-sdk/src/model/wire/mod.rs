//! How answers are read, whatever API they are of: no I/O, no clock.
//!
//! A [`Reader`] is fed the bytes of a streamed answer as the network cuts them; [`read_whole`] reads one that came whole. What
//! an API's answers look like is told by its [`Decode`]. Text is lent from the body wherever it holds no escapes; what is not
//! understood reads as absent, for servers differ in what they leave out and what they send in another type.

mod billed;
mod calls;
mod class;
mod count;
mod decode;
#[cfg(feature = "bedrock")]
mod event_stream;
mod events;
mod frames;
mod google;
mod limits;
mod lines;
mod list;
mod reader;
mod report;
mod template;
mod text;
mod tokens;

pub(in crate::model) use crate::redact::Secrets;
pub(in crate::model) use billed::{Billed, CostDetails, balance};
pub(in crate::model) use calls::{CallPiece, Calls};
pub(in crate::model) use count::{Count, amount};
pub(in crate::model) use decode::{Decode, Failed, Flow, object};
pub(in crate::model) use events::{Events, add};
pub(in crate::model) use frames::{Frame, Framing};
pub use limits::Limits;
pub(in crate::model) use list::{Few, Many};
pub(in crate::model) use reader::{
    Broken, Reader, not_a_stream, read_body, read_whole, refused, too_long,
};
pub(crate) use report::MAX_RETRY_AFTER;
pub(in crate::model) use report::Report;
pub(in crate::model) use template::Template;
pub(in crate::model) use text::{Text, arguments, keep};
pub(in crate::model) use tokens::{InputDetails, OutputDetails};
