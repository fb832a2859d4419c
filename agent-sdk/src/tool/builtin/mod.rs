//! Tools that come with the SDK: `http_request` and `run_command`. No agent has one unless it is given one.
//!
//! What calls them is a model, and a model says what the texts that it reads talk it into. So each is told beforehand what it may do,
//! does not build while it may do nothing, and takes from the model's words nothing but data:
//!
//! | | `HttpRequest` | `RunCommand` |
//! |---|---|---|
//! | Feature | `http` | `command`, on Unix |
//! | What it may reach | the hosts that are named | the programs that are named |
//! | What stays shut | addresses that are not public, `http://`, every method but `GET` and `HEAD` | shells, this process's environment |
//! | Ends | after 30 seconds | after a minute, with all that it started |
//! | Shows | 252 KiB of text | 64 KiB of each stream |
//! | A person is asked | before methods that write | before each call |
//!
//! The secrets that they are given, keys of servers and variables of programs, are in no error and in no `Debug`, and are marked
//! where an answer repeats them.
//!
//! The tools that read and write files are those of a workspace, `Workspace::tools`.

#[cfg(all(feature = "command", unix))]
mod command;
mod error;
#[cfg(feature = "http")]
mod http;
#[cfg(test)]
mod testing;

#[cfg(all(feature = "command", unix))]
pub use self::command::{Program, RunCommand, RunCommandBuilder};
pub use self::error::{BuiltinError, BuiltinErrorKind};
#[cfg(feature = "http")]
pub use self::http::{
    AllowedHost, HttpMethod, HttpRequest, HttpRequestBuilder, Resolver, SystemResolver, is_public,
};
