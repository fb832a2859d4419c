//! The process that runs the agent: this very test binary, started again.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
};

use agent_sdk::{
    agent::Agent,
    journal::{Question, QuestionKind, Verdict},
    model::{ToolSpec, provider::OpenAi},
    operation::RunContext,
    run::RunError,
    store::SqliteStore,
    tool::{Effect, Tool, ToolContext, ToolError, ToolOptions, ToolOutput},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::server::{Server, TOOL_TURNS};

/// The run of all these tests.
pub(crate) const ID: &str = "ladder";

pub(crate) const FOLDER: &str = "AGENT_SDK_CRASH_FOLDER";
pub(crate) const URL: &str = "AGENT_SDK_CRASH_URL";
pub(crate) const RESUMES: &str = "AGENT_SDK_CRASH_RESUMES";

/// What a process says of its run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) usage: String,
    pub(crate) cost_nanos: u64,
    pub(crate) unpriced_calls: u32,
    pub(crate) model_calls: u32,
    pub(crate) tool_calls: u32,
    pub(crate) lives: u32,
    /// The paths of the calls that a person was asked about.
    pub(crate) asked: Vec<String>,
    /// The error and what is behind it, one in each line.
    pub(crate) error: Option<String>,
    pub(crate) error_kind: Option<String>,
}

/// A folder for a run: its store, what its tools did.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    /// The keys under which a tool took effect, in order.
    pub(crate) fn effects(&self, tool: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join(tool)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Starts a process of this very binary which does what the test of this name says.
    pub(crate) fn spawn_as(&self, test: &str, server: &Server, resumes: bool) -> Child {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", test, "--nocapture"]);
        self.command(&mut program, server, resumes)
    }

    fn command(&self, program: &mut Command, server: &Server, resumes: bool) -> Child {
        program
            .env(FOLDER, self.0.path())
            .env(URL, server.url_of_next_process())
            .env(RESUMES, if resumes { "yes" } else { "" })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts a process that runs the agent, or resumes its run.
    pub(crate) fn spawn(&self, server: &Server, resumes: bool) -> Child {
        self.spawn_as(ARGUMENTS[1], server, resumes)
    }

    /// The same, where no file may be longer than so many blocks of 512 bytes.
    pub(crate) fn spawn_in_small_files(&self, server: &Server, blocks: u32) -> Child {
        let mut program = Command::new("sh");
        // With the signal ignored, a write past the limit fails as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        program.arg("-c").arg(script);
        program
            .arg(std::env::current_exe().unwrap())
            .args(ARGUMENTS);
        self.command(&mut program, server, false)
    }
}

const ARGUMENTS: [&str; 3] = [
    "--exact",
    "child::the_process_that_runs_the_agent",
    "--nocapture",
];

/// What a process said before it ended.
pub(crate) fn said(output: &Output) -> Said {
    said_as(output)
}

fn said_as<T: DeserializeOwned>(output: &Output) -> T {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("SAID "));
    let Some(line) = line else {
        let complaints = String::from_utf8_lossy(&output.stderr);
        panic!("the process said nothing: {text}\n{complaints}");
    };
    serde_json::from_str(line).unwrap()
}

/// Runs a process to its end.
pub(crate) fn finish(child: Child) -> Said {
    finish_as(child)
}

/// Runs a process to its end that says something else.
pub(crate) fn finish_as<T: DeserializeOwned>(child: Child) -> T {
    said_as(&child.wait_with_output().unwrap())
}

/// Kills a process at once, so that it can do nothing more.
pub(crate) fn kill(mut child: Child) -> ExitStatus {
    child.kill().unwrap();
    child.wait().unwrap()
}

/// Adds a line to a file in one write.
pub(crate) fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// A tool whose calls take effect once for each key: a line in a file. One that writes tells the server when it did.
struct Deed {
    name: &'static str,
    effect: Effect,
    path: PathBuf,
    server: Option<String>,
}

impl Tool for Deed {
    fn spec(&self) -> ToolSpec {
        let schema = serde_json::value::to_raw_value(&serde_json::json!({"type": "object"}));
        ToolSpec::new(self.name, "Notes its call.", schema.unwrap())
    }

    fn options(&self) -> ToolOptions {
        ToolOptions::default().with_effect(self.effect)
    }

    async fn call(&self, context: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        let key = context.idempotency_key();
        let known = fs::read_to_string(&self.path).unwrap_or_default();
        // The same key again is the same deed, which is done.
        if !known.lines().any(|line| line == key) {
            append(&self.path, &key);
        }
        if let Some(server) = &self.server {
            let told = reqwest::Client::new().post(server).send().await;
            told.unwrap();
        }
        Ok("noted".to_owned().into())
    }
}

fn agent(folder: &Path, url: &str) -> Agent {
    let model = OpenAi::builder("gpt-4o").base_url(url).api_key("key");
    Agent::builder("clerk", model.build().unwrap())
        .tool(Deed {
            name: "note",
            effect: Effect::Write,
            path: folder.join("note"),
            server: Some(format!("{url}/effect")),
        })
        .tool(Deed {
            name: "look",
            effect: Effect::ReadOnly,
            path: folder.join("look"),
            server: None,
        })
        .build()
        .unwrap()
}

fn causes(error: &RunError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push('\n');
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Does nothing unless it is started as the process that runs the agent.
#[tokio::test]
async fn the_process_that_runs_the_agent() {
    let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let agent = agent(&folder, &url);
    let store = Arc::new(SqliteStore::open(folder.join("store.db")).unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let ended = if std::env::var(RESUMES).is_ok_and(|it| !it.is_empty()) {
        let run = agent.resume(ID, store);
        let asked = asked.clone();
        let approver = move |question: Question| {
            assert_eq!(question.kind, QuestionKind::InDoubt);
            asked.lock().unwrap().push(question.path.to_string());
            async { Verdict::allow() }
        };
        run.approver(approver).await
    } else {
        let context = RunContext::builder().run_id(ID).build();
        agent
            .run("Note it all.")
            .context(&context)
            .store(store)
            .await
    };
    let (report, error) = match &ended {
        Ok(report) => (report, None),
        Err(error) => (error.report(), Some(error)),
    };
    let said = Said {
        text: report.text.to_string(),
        usage: format!("{:?}", report.usage),
        cost_nanos: report.cost.nanos(),
        unpriced_calls: report.unpriced_calls,
        model_calls: report.model_calls,
        tool_calls: report.tool_calls,
        lives: report.lives,
        asked: std::mem::take(&mut *asked.lock().unwrap()),
        error: error.map(causes),
        error_kind: error.map(|error| error.kind().as_str().to_owned()),
    };
    // In one write, and on a line of its own.
    println!("\nSAID {}", serde_json::to_string(&said).unwrap());
}

/// What the run comes to when nothing disturbs it.
pub(crate) fn undisturbed() -> Said {
    let (folder, server) = (Folder::new(), Server::start());
    let said = finish(folder.spawn(&server, false));
    let calls = u32::try_from(TOOL_TURNS).unwrap();
    assert_eq!(
        (said.model_calls, said.tool_calls, said.lives),
        (calls + 1, 2 * calls, 1)
    );
    assert_eq!(
        (&*said.text, &said.error, said.unpriced_calls),
        ("All is noted.", &None, 0)
    );
    said
}
