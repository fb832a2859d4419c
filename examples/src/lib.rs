//! Examples, one idea each: see the files in this package's `examples` folder. Each runs offline:
//! `cargo run -p agent-sdk-examples --example quickstart`.
//!
//! Those of the providers ask the real one where its key is set, and else replay a recording of the `cassettes` folder. The
//! recordings were written for these examples: no provider said what they hold.

use std::{env, path::Path};

use agent_sdk::{
    message::{Conversation, Part, Signature},
    model::{CassetteError, Replay},
    run::RunReport,
};

/// The recording that stands in for a provider of which none of these variables is set; `None` where one is, and the provider
/// shall be asked. Says on the screen which it is.
///
/// # Errors
///
/// The recording cannot be read.
pub fn recording(name: &str, variables: &[&str]) -> Result<Option<Replay>, CassetteError> {
    let is_set = |name: &&&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
    if let Some(variable) = variables.iter().find(is_set) {
        println!("{variable} is set: the provider itself is asked.\n");
        return Ok(None);
    }
    println!("Not set: {}.", variables.join(", "));
    replay(name).map(Some)
}

/// The recording of an example. Says on the screen what it is.
///
/// # Errors
///
/// It cannot be read.
pub fn replay(name: &str) -> Result<Replay, CassetteError> {
    println!("This replays examples/cassettes/{name}.jsonl, a recording written for this example:");
    println!("no provider is asked, and none said what follows.\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cassettes");
    Replay::open(folder.join(name).with_extension("jsonl"))
}

/// Prints what was said, part by part, and what the provider wants to see again.
pub fn show(conversation: &Conversation) {
    for message in conversation.messages() {
        let who = message.role.as_str();
        for part in &message.parts {
            match part {
                Part::Text(text) => println!("{who:>9}: {}", text.as_str()),
                Part::Reasoning(thought) => {
                    let signed = signed(thought.signature.as_ref());
                    println!("{who:>9} thinks: {}{signed}", thought.text.as_str());
                }
                Part::ToolCall(call) => {
                    let signed = signed(call.signature.as_ref());
                    println!(
                        "{who:>9} calls: {}({}){signed}",
                        call.name,
                        call.arguments.as_str()
                    );
                }
                Part::ToolResult(result) => {
                    println!("{who:>9} {} gave: {}", result.name, result.content.as_str());
                }
                other => println!("{who:>9}: {other:?}"),
            }
        }
    }
}

fn signed(signature: Option<&Signature>) -> String {
    let signature = signature.map(|signature| format!("  [signed: {}]", signature.api));
    signature.unwrap_or_default()
}

/// Prints what a run took. What was not reported is left out: it is unknown, not zero.
pub fn spent(report: &RunReport) {
    let usage = report.usage;
    let counts = [
        ("in", usage.input_tokens),
        ("cache writes", usage.cache_write_tokens),
        ("cache reads", usage.cache_read_tokens),
        ("out", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
    ];
    let known = counts
        .iter()
        .filter_map(|(what, count)| Some(format!("{} {what}", (*count)?)));
    println!("\nTokens: {}.", known.collect::<Vec<_>>().join(", "));
    println!(
        "Model calls: {}, without a known price: {}. Tool calls: {}. Cost: {} USD.",
        report.model_calls, report.unpriced_calls, report.tool_calls, report.cost
    );
}

/// The README, so that its Rust is compiled and run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

#[cfg(test)]
mod tests {
    use agent_sdk::model::Replay;

    #[test]
    fn the_recordings_are_small_and_whole_and_name_no_port() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cassettes");
        let mut recordings = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.display();
            assert!(text.len() <= 20 * 1024, "{name}: {} bytes", text.len());
            assert!(
                text.lines()
                    .all(|line| line.contains(r#""server":"http://127.0.0.1","#)),
                "{name} says which server it was"
            );
            let replay = Replay::open(&path).unwrap();
            assert_eq!(replay.recorded(), text.lines().count(), "{name}");
            recordings += 1;
        }
        assert!(recordings > 5);
    }

    #[test]
    fn the_readme_shows_the_quickstart_as_it_is() {
        let readme = include_str!("../../README.md");
        let example = include_str!("../examples/quickstart.rs");
        let (_, code) = example.split_once("\n\n").unwrap_or_default();
        assert!(
            !code.is_empty() && readme.contains(&format!("```rust\n{code}```")),
            "the README's quickstart is not examples/examples/quickstart.rs"
        );
    }
}
