use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use crate::{
    message::Part,
    model::{
        ChatEvent, ChatRequest, ChatResponse, FinishReason, Model, ModelError, ModelErrorKind,
        ModelHandle, Usage,
    },
    operation::RunContext,
    testing::{ScriptedModel, TraceCapture, Turn},
};

const MS: Duration = Duration::from_millis(1);

async fn ask(model: &ScriptedModel, what: &str) -> Result<ChatResponse, ModelError> {
    model.chat(&RunContext::new(), ChatRequest::new(what)).await
}

/// Each event of one turn as a line, with the virtual time at which it came.
async fn play(turn: Turn) -> Vec<String> {
    let begin = Instant::now();
    let model = ScriptedModel::new([turn]);
    let stream = model
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await;
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return vec![format!("{} {error}", begin.elapsed().as_millis())],
    };
    let mut lines = Vec::new();
    while let Some(event) = stream.next().await {
        let text = match event {
            Ok(ChatEvent::Text(text)) => format!("text {text:?}"),
            Ok(ChatEvent::Reasoning(text)) => format!("reasoning {text:?}"),
            Ok(ChatEvent::Refusal(text)) => format!("refusal {text:?}"),
            Ok(ChatEvent::ToolCall { index, id, name }) => format!("call {index} {id} {name}"),
            Ok(ChatEvent::ToolCallArguments { index, fragment }) => {
                format!("arguments {index} {fragment}")
            }
            Ok(ChatEvent::Done(response)) => format!("done {}", response.finish_reason),
            Err(error) => error.to_string(),
        };
        lines.push(format!("{} {text}", begin.elapsed().as_millis()));
    }
    assert!(stream.next().await.is_none());
    lines
}

#[tokio::test]
async fn turns_are_answered_in_order_and_past_the_end_the_error_says_so() {
    let model = ScriptedModel::new(["one", "two"]);
    assert_eq!(ask(&model, "a").await.unwrap().text(), "one");
    assert_eq!(ask(&model.clone(), "b").await.unwrap().text(), "two");
    let error = ask(&model, "c").await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Configuration);
    assert_eq!(error.message(), "the script has 2 turns, turn 3 was asked");
    assert_eq!(model.asked(), 3);
    let error = ask(&ScriptedModel::new(Vec::<Turn>::new()), "a")
        .await
        .unwrap_err();
    assert_eq!(error.message(), "the script has 0 turns, turn 1 was asked");
}

#[tokio::test]
async fn a_closure_sees_the_request_and_its_number() {
    let model = ScriptedModel::from_fn(|request, turn| {
        let asked = request.conversation.last().unwrap().text();
        Turn::from(format!("{turn}: {asked}"))
    });
    assert_eq!(ask(&model, "a").await.unwrap().text(), "1: a");
    assert_eq!(ask(&model, "b").await.unwrap().text(), "2: b");
}

#[tokio::test]
async fn requests_are_kept_only_where_that_was_asked_for() {
    let silent = ScriptedModel::new(["one"]);
    ask(&silent, "a").await.unwrap();
    assert!(silent.requests().is_empty());

    let model = ScriptedModel::new(["one"]).recording();
    let handle = model.clone();
    ask(&handle, "a").await.unwrap();
    ask(&handle, "b").await.unwrap_err();
    let asked: Vec<_> = model
        .requests()
        .iter()
        .map(|request| request.conversation.last().unwrap().text())
        .collect();
    assert_eq!(asked, ["a", "b"]);
}

#[tokio::test]
async fn nothing_is_made_up_that_the_turn_does_not_say() {
    let answer = ask(&ScriptedModel::new(["hi"]), "a").await.unwrap();
    assert_eq!(
        (answer.id, answer.model, answer.provider_cost),
        (None, None, None)
    );
    assert!(answer.usage.is_unknown());
    assert_eq!(answer.finish_reason, FinishReason::Stop);

    let turn = Turn::new()
        .text("a b")
        .refusal("no")
        .words_as_tokens()
        .id("x")
        .model("y");
    let answer = ask(&ScriptedModel::new([turn]), "one two three")
        .await
        .unwrap();
    assert_eq!(answer.usage, Usage::new(3, 3));
    assert_eq!(
        (answer.id.as_deref(), answer.model.as_deref()),
        (Some("x"), Some("y"))
    );
    assert!(matches!(&answer.message.parts[1], Part::Refusal(text) if *text == "no"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_its_pieces_in_order_and_in_time() {
    let turn = Turn::new()
        .reasoning("hm so")
        .text("  It is  raining. ")
        .tool_call("c1", "search", serde_json::json!({"q": "a b"}))
        .tool_call("c2", "stop", "")
        .delay(100 * MS)
        .chunk_words(2)
        .chunk_delay(10 * MS);
    assert_eq!(
        play(turn).await,
        [
            r#"100 reasoning "hm so""#,
            r#"110 text "  It is  ""#,
            r#"120 text "raining. ""#,
            "130 call 0 c1 search",
            r#"140 arguments 0 {"q":"a b"}"#,
            "150 call 1 c2 stop",
            "160 arguments 1 {}",
            "160 done tool_calls",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn chunks_of_bytes_never_cut_a_character() {
    let turn = Turn::new().text("aé日b").chunk_bytes(2);
    assert_eq!(
        play(turn).await,
        [
            r#"0 text "a""#,
            r#"0 text "é""#,
            r#"0 text "日""#,
            r#"0 text "b""#,
            "0 done stop"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_whole_answer_takes_as_long_as_its_stream() {
    let turn = || {
        Turn::from("a b c")
            .delay(100 * MS)
            .chunk_words(1)
            .chunk_delay(10 * MS)
    };
    let model = ScriptedModel::from_fn(move |_, _| turn());
    let begin = Instant::now();
    assert_eq!(ask(&model, "hi").await.unwrap().text(), "a b c");
    assert_eq!(begin.elapsed(), 120 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_fail_break_off_and_fall_silent() {
    let down = || ModelError::new(ModelErrorKind::Overloaded, "busy").with_status(529);
    assert_eq!(
        play(Turn::from("a b").delay(5 * MS).fail(down())).await,
        [format!("5 {}", down())]
    );
    let words = || Turn::from("a b c").chunk_words(1);
    assert_eq!(
        play(words().fail_after(1, down())).await,
        [r#"0 text "a ""#.to_owned(), format!("0 {}", down())]
    );
    assert_eq!(
        play(words().cut_after(2)).await,
        [r#"0 text "a ""#, r#"0 text "b ""#]
    );
    assert_eq!(play(words().cut_after(99)).await.len(), 3);
    for model in [words().cut_after(0), words().cut_after(3)] {
        let error = ask(&ScriptedModel::new([model]), "hi").await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Truncated);
    }
    for turn in [words().hang(), words().hang_after(2)] {
        let model = ScriptedModel::new([turn]);
        let (context, hour) = (RunContext::new(), 3_600_000 * MS);
        let answer = model.chat(&context, ChatRequest::new("hi"));
        assert!(tokio::time::timeout(hour, answer).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_handle_it_is_one_chat_operation_and_no_attempt() {
    let trace = TraceCapture::new();
    let turn = Turn::from("hi")
        .usage(Usage::new(1_000, 500))
        .delay(20 * MS);
    let model = ModelHandle::new(ScriptedModel::new([turn]).named("openai", "gpt-4o"));
    model
        .chat(&trace.context(), ChatRequest::new("hi"))
        .await
        .unwrap();
    let cut = ModelHandle::new(ScriptedModel::new([Turn::from("hi").cut_after(1)]));
    let stream = cut
        .stream(&trace.context(), ChatRequest::new("hi"))
        .await
        .unwrap();
    assert_eq!(
        stream.collect().await.unwrap_err().kind(),
        ModelErrorKind::Truncated
    );
    assert_eq!(
        trace.timeline(),
        "chat gpt-4o  0..20 ms  in=1000 out=500  $0.0075\n\
         chat scripted-1  20..20 ms  error=truncated\n"
    );
    trace.well_formed().unwrap();
}

#[test]
fn a_turn_shows_no_content_when_it_is_printed() {
    let turn = Turn::new().text("secret").tool_call("c", "t", "secret");
    let model = ScriptedModel::new([turn]).recording();
    ask(&model, "secret").now_or_never().unwrap().unwrap();
    let turn = Turn::new().text("secret").tool_call("c", "t", "secret");
    assert!(!format!("{model:?} {turn:?}").contains("secret"));
}
