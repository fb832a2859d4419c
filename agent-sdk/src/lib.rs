//! Agents whose every step, model request and tool call is an operation that can be seen, priced and profiled.
//!
//! An [`Agent`](agent::Agent) is a model, instructions, tools and limits. Running it gives a [`RunReport`](run::RunReport): the
//! answer, what it used and cost, and where the time went. Whoever wants to know more while it happens is an
//! [`Observer`](operation::Observer), or reads the run as a [stream](run::RunRequest::stream) of [events](operation::Event).
//! Spans go through `tracing`; the crate `agent-sdk-otel` takes them and the metrics to OpenTelemetry and Prometheus.
//!
//! ```
//! use agent_sdk::{agent::Agent, model::Usage, testing::{ScriptedModel, Turn}};
//!
//! agent_sdk::tool! {
//!     /// The city's population.
//!     async fn population(place: Place) -> Result<u64, String> {
//!         if place.city == "Oslo" { Ok(717_710) } else { Err(format!("{} is not in the table", place.city)) }
//!     }
//! }
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Place { city: String }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A stand-in that plays a script. A real model: `provider::OpenAi::from_env("gpt-4o-mini")?`.
//! let model = ScriptedModel::new([
//!     Turn::new().tool_call("call-1", "population", r#"{"city":"Oslo"}"#).usage(Usage::new(50, 10)),
//!     Turn::from("About 718,000 people.").usage(Usage::new(70, 6)),
//! ]).named("openai", "gpt-4o-mini");
//! let agent = Agent::builder("geographer", model).tool(population()).build()?;
//! let report = agent.run("How many people live in Oslo?").await?;
//! assert_eq!(report.text, "About 718,000 people.");
//! assert_eq!((report.model_calls, report.tool_calls), (2, 1));
//! assert_eq!(report.cost.to_string(), "0.0000276");
//! println!("{}", report.profile.bottleneck());
//! # Ok(())
//! # }
//! ```
//!
//! | Module | What it is for |
//! |---|---|
//! | [`agent`] | putting an agent together, typed answers, an agent as a tool |
//! | [`run`] | running it: request, stream, limits, report, error; the machine that decides |
//! | [`tool`](mod@tool) | functions as tools, what they are given, how they may be run |
//! | [`model`] | the trait, requests and answers, usage, embeddings, the clients of the providers |
//! | [`message`] | conversations and their parts |
//! | [`operation`] | the seam: operations, observers, events, and tracing of code that is not ours |
//! | [`cost`] | prices and exact amounts; who spent what, and reports of it |
//! | [`budget`] | how much may be spent, admitted before it is, and who is told |
//! | [`orchestrator`] | running plans: live changes, resuming, what became of every step |
//! | [`plan`] | steps that wait for each other: building, reading and checking them, the machine that decides |
//! | [`monitor`] | what runs now: ages, and what was spent so far |
//! | [`profile`] | tree, critical path and bottleneck of a run |
//! | [`registry`] | agents, tools and functions by name |
//! | [`session`] | conversations, shared state and files that outlive the process: versions, branches, differences, compression |
//! | [`journal`] | the outcomes of a run, kept before it acts on them |
//! | [`redact`] | taking keys, tokens and personal data out of texts |
//! | [`text`] | what in a text acts on whoever shows it, and how to be rid of that |
//! | `workspace` | a directory for each run, and the file tools that work in it |
//! | `testing` | a scripted model, trace capture and other test helpers |
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `http` | yes | the clients of the providers' HTTP APIs, over `reqwest` |
//! | `bedrock` | no | the client of Amazon Bedrock, with AWS's own crates for signatures and frames |
//! | `command` | no | running programs: `budget::CommandAlerts`, and on Unix the tool `tool::builtin::RunCommand` |
//! | `workspace` | no | the module `workspace`, over `cap-std` |
//! | `sqlite` | no | the store in one file, `store::SqliteStore`, with SQLite compiled in |
//! | `testing` | no | the module `testing` |
#![forbid(unsafe_code)]

pub mod agent;
pub mod budget;
pub mod cost;
#[cfg(feature = "command")]
mod group;
mod guarded;
mod ids;
pub mod journal;
pub mod message;
pub mod model;
pub mod monitor;
pub mod operation;
pub mod orchestrator;
pub mod plan;
pub mod profile;
pub mod redact;
pub mod registry;
pub mod run;
mod schema;
pub mod session;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod tool;
#[cfg(feature = "workspace")]
pub mod workspace;
