//! One session, and what is different between two of its versions.

use agent_sdk::{
    message::{Message, Part, Role},
    session::{Diff, View},
    text::escape_json,
};
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    output::Output,
    terminal::{Paint, safe, safe_line},
    text::{bytes, count},
};

pub(super) fn view(view: &View, json: bool, output: &mut Output) -> Result<(), Failure> {
    if json {
        let json = json!({
            "id": view.id(),
            "version": view.version(),
            "title": view.title(),
            "tags": view.tags(),
            "conversation": view.conversation(),
            "state": view.state(),
            "files": view.files(),
            "open_run": view.open_run(),
            "estimated_tokens": view.estimated_tokens(),
        });
        return output.line(escape_json(&json.to_string()));
    }
    let style = output.out_style;
    let title = format!("Session {}", safe_line(view.id()));
    output.line(style.paint(Paint::Strong, &title))?;
    let mut facts = vec![("version", view.version().to_string())];
    facts.extend(view.title().map(|title| ("title", title.to_owned())));
    facts.extend(
        view.tags()
            .iter()
            .map(|(key, value)| ("tag", format!("{key}={value}"))),
    );
    facts.push((
        "context",
        format!("about {} tokens", count(view.estimated_tokens())),
    ));
    if let Some(run) = view.open_run() {
        facts.push(("open run", format!("{run}; go on with: agent resume {run}")));
    }
    for (key, value) in view.state() {
        facts.push(("state", format!("{key} = {value}")));
    }
    for (path, info) in view.files() {
        facts.push(("file", format!("{path}, {}", bytes(info.size))));
    }
    for (label, value) in facts {
        output.line(format_args!("  {label:<8} {}", safe_line(&value)))?;
    }
    for message in view.conversation().messages() {
        let who = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Tool => "tools",
            _ => "somebody",
        };
        output.line(format_args!("\n{}", style.paint(Paint::Strong, who)))?;
        output.line(format_args!("  {}", said(message).replace('\n', "\n  ")))?;
    }
    Ok(())
}

/// What a message says, its calls and their results included.
fn said(message: &Message) -> String {
    let parts = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) | Part::Refusal(text) => Some(safe(text.trim()).into_owned()),
        Part::ToolCall(call) => Some(format!(
            "-> {} {}",
            safe_line(&call.name),
            safe_line(&call.arguments)
        )),
        Part::ToolResult(result) => Some(format!(
            "<- {}: {}",
            safe_line(&result.name),
            safe(result.content.trim())
        )),
        Part::Media(_) => Some("[a picture, a sound or a document]".to_owned()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("\n")
}

pub(super) fn diff(diff: &Diff, json: bool, output: &mut Output) -> Result<(), Failure> {
    if !json {
        return output.write(safe(&diff.to_string()));
    }
    let json = serde_json::to_string(diff).map_err(|error| {
        Failure::new(Exit::Failed, format!("the difference is no JSON: {error}"))
    })?;
    output.line(escape_json(&json))
}
