//! What tests of plans share: how they are run on a script's model, and what is read of what they say.

use std::{fs, process::Command};

use super::{
    ended,
    script::{Request, Scripted},
};

/// One after the other.
pub(crate) const CHAIN: &str = "\
name = \"chain\"
[[steps]]
id = \"first\"
agent = \"researcher\"
action = \"Look.\"
[[steps]]
id = \"second\"
agent = \"writer\"
input = \"${steps.first}\"
[[steps]]
id = \"third\"
agent = \"reviewer\"
input = \"${steps.second}\"
";

/// `agent plan run p.toml --id r` with the script's model.
pub(crate) fn plan(server: &Scripted, text: &str, flags: &[&str]) -> Command {
    let file = server.folder.path().join("p.toml");
    fs::write(&file, text).unwrap();
    let mut command = server.agent(&["plan", "run", file.to_str().unwrap(), "--id", "r"]);
    if !flags.contains(&"--model") {
        command.args(["--model", "openai:m"]);
    }
    command.args(["--base-url", &server.url]).args(flags);
    command
}

pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let (code, out, err) = ended(&output);
    (code, out.to_owned(), err.to_owned())
}

/// The steps and how they ended, as the table says.
pub(crate) fn ends(out: &str) -> Vec<(String, String)> {
    let table = out.split("\nstep ").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    let rows = rows.map(|row| row.split_whitespace().map(str::to_owned));
    rows.map(|mut row| (row.next().unwrap(), row.next().unwrap()))
        .collect()
}

pub(crate) fn pairs(ends: &[(String, String)]) -> Vec<(&str, &str)> {
    ends.iter().map(|(id, end)| (&**id, &**end)).collect()
}

/// What an agent was told beside its instructions.
pub(crate) fn asked(request: &Request) -> String {
    let messages = request.body["messages"].as_array().unwrap();
    messages.last().unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned()
}
