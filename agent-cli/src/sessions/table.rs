//! Sessions and versions, a line each.

use agent_sdk::{
    session::{SessionSummary, VersionSummary},
    text::escape_json,
};
use serde_json::json;

use crate::{
    columns::{Align, Columns},
    exit::Failure,
    output::Output,
    screen,
    terminal::safe_line,
    text::{counted, moment},
};

pub(super) fn sessions(
    listed: &[SessionSummary],
    json: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    if json {
        for session in listed {
            let json = json!({
                "id": session.id,
                "title": session.title,
                "tags": session.tags,
                "version": session.version,
                "messages": session.messages,
                "open_run": session.open_run,
                "created": session.created,
                "updated": session.updated,
            });
            output.line(escape_json(&json.to_string()))?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        output.note("no sessions; `agent sessions create` makes one");
        return Ok(());
    }
    let mut table = Columns::new([
        ("session", Align::Left),
        ("changed", Align::Left),
        ("version", Align::Right),
        ("messages", Align::Right),
        ("open run", Align::Left),
        ("title", Align::Left),
    ]);
    for session in listed {
        let run = session.open_run.as_ref().map(ToString::to_string);
        table.row([
            safe_line(&session.id).into_owned(),
            moment(session.updated),
            session.version.to_string(),
            session.messages.to_string(),
            safe_line(&run.unwrap_or_default()).into_owned(),
            safe_line(session.title.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    output.write(table.draw(output.out_style, screen::width(), |_| None))
}

pub(super) fn versions(
    versions: &[VersionSummary],
    json: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    if json {
        for version in versions {
            let json = json!({
                "version": version.version,
                "at": version.at,
                "what": version.what,
                "name": version.name,
                "run": version.run,
                "messages": version.messages,
                "keys": version.keys,
                "files": version.files,
            });
            output.line(escape_json(&json.to_string()))?;
        }
        return Ok(());
    }
    let mut table = Columns::new([
        ("version", Align::Right),
        ("at", Align::Left),
        ("what", Align::Left),
        ("with", Align::Left),
    ]);
    for version in versions {
        let mut with = Vec::new();
        with.extend(version.name.as_ref().map(|name| format!("\"{name}\"")));
        with.extend(version.run.as_ref().map(|run| format!("run {run}")));
        for (names, noun) in [(&version.keys, "key"), (&version.files, "file")] {
            if !names.is_empty() {
                with.push(format!("{noun} {}", names.join(", ")));
            }
        }
        if version.messages > 0 {
            with.push(counted(version.messages as u64, "message"));
        }
        table.row([
            version.version.to_string(),
            moment(version.at),
            version.what.to_owned(),
            safe_line(&with.join(", ")).into_owned(),
        ]);
    }
    output.write(table.draw(output.out_style, screen::width(), |_| None))
}
