//! stub
use crate::{args::DemoArguments, exit::{Exit, Failure}, output::Output};
pub(crate) fn run(_: DemoArguments, _: Output) -> Result<Exit, Failure> { Ok(Exit::Ok) }
