//! Nothing that was started outlives its call.

use std::{panic::AssertUnwindSafe, process::Stdio, time::Instant};

use futures_util::{
    FutureExt,
    future::{Either, select},
};

use super::*;
use crate::{
    agent::Agent,
    testing::{ScriptedModel, Turn},
    tool::ToolErrorKind,
};

#[tokio::test]
async fn t9_a_grandchild_that_holds_the_output_ends_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path()).build().unwrap();
    let began = Instant::now();
    let shown = run(&tool, &["sh", "-c", "sleep 1000 & echo $!"])
        .await
        .unwrap();
    // A second, and what a machine takes that has other things to do.
    assert!(began.elapsed().as_secs() < 10);
    assert!(shown.get("note").is_none(), "{shown}");
    gone(shown["stdout"].as_str().unwrap()).await;
}

#[tokio::test]
async fn t9_what_leaves_the_group_is_not_listened_to() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path()).build().unwrap();
    let script = "setsid sh -c 'echo $$; exec sleep 1000' & read -r _ < \"$0\"";
    let pipe = Pipe::new(folder.path());
    let script = script.replace("echo $$;", "echo $$; echo > pipe;");
    let shown = run(&tool, &["sh", "-c", &script, &pipe.0.to_string_lossy()])
        .await
        .unwrap();
    assert!(
        shown["note"].as_str().unwrap().contains("held its output"),
        "{shown}"
    );
    let escaped = shown["stdout"].as_str().unwrap().trim();
    assert!(is_running(escaped));
    let killed = Command::new("kill").arg(escaped).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn t9_a_program_whose_time_is_up_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = Pipe::new(folder.path());
    let tool = shell(folder.path())
        .time(Duration::from_millis(500))
        .build()
        .unwrap();
    let script = format!("echo so far; {LASTING}");
    let argv = ["sh", "-c", script.as_str()];
    let (error, (ids, rest)) = tokio::join!(run(&tool, &argv), pipe.open());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::Timeout);
    assert!(
        error.message().contains(r#""stdout":"so far\n""#),
        "{error}"
    );
    rest.end().await;
    gone(&ids).await;
}

#[tokio::test]
async fn t9_a_program_that_leaves_its_group_is_killed_when_its_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let tool = RunCommand::builder()
        .allow_program("setsid")
        .directory(folder.path())
        .time(Duration::from_millis(300))
        .build()
        .unwrap();
    let argv = ["setsid", "sh", "-c", "echo $$; exec sleep 1000"];
    let error = run(&tool, &argv).await.unwrap_err();
    let (_, output) = error.message().split_once(r#""stdout":""#).unwrap();
    let (id, _) = output.split_once('\\').unwrap();
    gone(id).await;
}

#[tokio::test]
async fn t9_a_run_that_is_cancelled_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = Pipe::new(folder.path());
    let arguments = json!({ "argv": ["sh", "-c", LASTING] }).to_string();
    let turns = [Turn::new().tool_call("c", "run_command", arguments)];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(shell(folder.path()).without_approval().build().unwrap())
        .build()
        .unwrap();
    let context = crate::operation::RunContext::new();
    let cancellation = context.cancellation().clone();
    let cancel = async {
        let opened = pipe.open().await;
        cancellation.cancel();
        opened
    };
    let (ended, (ids, rest)) =
        tokio::join!(agent.run("go").context(&context).into_future(), cancel);
    assert_eq!(
        ended.unwrap_err().kind(),
        crate::run::RunErrorKind::Cancelled
    );
    rest.end().await;
    gone(&ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_after_100_runs_that_end_in_every_way_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..100 {
        let place = folder.path().join(round.to_string());
        std::fs::create_dir(&place).unwrap();
        match round % 4 {
            0 => ends(&place).await,
            1 => takes_too_long(&place).await,
            2 => is_dropped(&place, false).await,
            _ => is_dropped(&place, true).await,
        }
    }
}

/// It ends, and leaves something behind.
async fn ends(place: &Path) {
    let pipe = Pipe::new(place);
    let tool = shell(place).build().unwrap();
    let script = LASTING.replace("; wait", "");
    let argv = ["sh", "-c", script.as_str()];
    let (shown, (ids, rest)) = tokio::join!(run(&tool, &argv), pipe.open());
    assert_eq!(shown.unwrap()["exit_code"], 0);
    rest.end().await;
    gone(&ids).await;
}

/// Its time is up, wherever it is by then.
async fn takes_too_long(place: &Path) {
    let time = Duration::from_millis(100);
    let tool = shell(place).time(time).build().unwrap();
    let script = "echo $$ > ids; sleep 1000 & echo $! >> ids; wait";
    run(&tool, &["sh", "-c", script]).await.unwrap_err();
    let ids = std::fs::read_to_string(place.join("ids"));
    gone(&ids.unwrap_or_default()).await;
}

/// Nobody waits for it any more, or something panics beside it.
async fn is_dropped(place: &Path, by_panic: bool) {
    let pipe = Pipe::new(place);
    let tool = shell(place).build().unwrap();
    let argv = ["sh", "-c", LASTING];
    let (call, opened) = (Box::pin(run(&tool, &argv)), Box::pin(pipe.open()));
    let Either::Right(((ids, rest), call)) = select(call, opened).await else {
        panic!("it has ended");
    };
    let beside = async move {
        let _call = call;
        assert!(!by_panic, "on purpose");
    };
    let ended = AssertUnwindSafe(beside).catch_unwind().await;
    assert_eq!(ended.is_err(), by_panic);
    rest.end().await;
    gone(&ids).await;
}

const VICTIM: &str = "AGENT_SDK_TEST_VICTIM";

#[tokio::test]
async fn t9_when_this_process_is_killed_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = Pipe::new(folder.path());
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("{module}::is_killed")])
        .env(VICTIM, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (ids, rest) = pipe.open().await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    rest.end().await;
    gone(&ids).await;
}

#[tokio::test]
#[ignore = "another test runs it in a process of its own, and kills that"]
async fn is_killed() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        let tool = shell(Path::new(&folder)).build().unwrap();
        let _ = run(&tool, &["sh", "-c", LASTING]).await;
    }
}
