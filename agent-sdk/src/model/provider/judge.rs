//! Recorded traffic of many servers, as the judge of every client.
//!
//! It is not part of the project: where its folder is missing, the tests say so. Each recording is served over loopback to the real
//! client; then its bytes are cut everywhere, and cut short everywhere.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    message::{Message, Part},
    model::{
        ChatRequest, ChatResponse, Limits, ModelError, ModelErrorKind, SideUsage,
        http::{Api, Client, testing::Server},
        wire::{Decode, Reader, Secrets},
    },
    operation::RunContext,
};

/// The longest body that is cut at every position.
const SMALL: usize = 3 * 1024;

#[derive(Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    file: String,
    api: String,
    streaming: bool,
    #[serde(default)]
    request: Value,
    response: Answer,
    expected: Value,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: std::collections::BTreeMap<String, Value>,
}

/// Reads the recordings of an API, of which there are at least so many, and panics with all differences but the known ones.
pub(super) async fn judge<A: Api>(
    api: &str,
    at_least: usize,
    known: &[(&str, &str)],
    client: impl Fn(String) -> Client<A>,
) {
    let Some(folder) = folder() else {
        println!("SKIPPED: no recorded traffic here; AGENT_SDK_FIXTURES names its folder");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    let cases = manifest.cases.iter().filter(|case| case.api == api);
    let cases: Vec<_> = cases.collect();
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let body = std::fs::read(folder.join(&case.file)).unwrap();
        let mut differences = differences(case, &body, &client).await;
        if case.streaming && case.response.status == 200 {
            differences.extend(cuts::<A::Decode>(&body));
        }
        let known = known.iter().any(|(id, _)| *id == case.id);
        match (differences.is_empty(), known) {
            (true, true) => wrong.push(format!("{}: passes, take it off the list", case.id)),
            (false, false) => wrong.push(format!("{}: {differences:#?}", case.id)),
            _ => {}
        }
    }
    for (id, _) in known {
        let is_there = cases.iter().any(|case| case.id == *id);
        assert!(is_there, "{id} is not recorded");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!(
        "{} recordings, {} known to differ",
        cases.len(),
        known.len()
    );
}

/// A recording of an API that is no chat: its id, what was asked, the HTTP answer, and what is to be read of it.
pub(in crate::model) struct Recording {
    pub(in crate::model) id: String,
    pub(in crate::model) request: Value,
    pub(in crate::model) answer: Vec<u8>,
    pub(in crate::model) expected: Value,
}

/// The recordings of an API; none where the folder is missing.
pub(in crate::model) fn recordings(api: &str) -> Vec<Recording> {
    let Some(folder) = folder() else {
        println!("SKIPPED: no recorded traffic here; AGENT_SDK_FIXTURES names its folder");
        return Vec::new();
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    let cases = manifest.cases.into_iter().filter(|case| case.api == api);
    cases
        .map(|case| Recording {
            answer: http_answer(&case, &std::fs::read(folder.join(&case.file)).unwrap()),
            id: case.id,
            request: case.request["body"].clone(),
            expected: case.expected,
        })
        .collect()
}

/// Where the recordings are.
pub(super) fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("AGENT_SDK_FIXTURES")
        .map_or_else(|| workspace.join("../shared/fixtures"), PathBuf::from)
        .join("wire");
    folder.join("manifest.json").exists().then_some(folder)
}

async fn differences<A: Api>(
    case: &Case,
    body: &[u8],
    client: impl Fn(String) -> Client<A>,
) -> Vec<String> {
    let server = Server::giving(&http_answer(case, body)).await;
    let client = client(server.base_url);
    let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
    let result = if case.streaming {
        match client.stream(&context, request).await {
            Ok(stream) => stream.collect().await,
            Err(error) => Err(error),
        }
    } else {
        client.chat(&context, request).await
    };
    let mut differences = Vec::new();
    let mut same = |what: &str, got: Value, expected: &Value| {
        if got != *expected {
            differences.push(format!("{what}: {got} and not {expected}"));
        }
    };
    let expected = &case.expected;
    match (result, expected["error"].is_null()) {
        (Ok(response), true) => compare(&response, expected, same),
        (Err(error), false) => {
            let expected = &expected["error"];
            let code = match &expected["code"] {
                Value::Number(code) => Value::from(code.to_string()),
                code => code.clone(),
            };
            same("type", error.provider_type().into(), &expected["type"]);
            same("code", error.code().into(), &code);
            if case.response.status != 200 {
                same("status", error.status().into(), &expected["status"]);
            }
            let message = expected["message"].as_str().unwrap();
            if expected["body_is_json"] == false {
                let names_the_type = error.message().contains("text/html");
                same("page", names_the_type.into(), &true.into());
            } else {
                let beginning = |text: &str| text.chars().take(200).collect::<String>();
                same(
                    "message",
                    beginning(error.message()).into(),
                    &beginning(message).into(),
                );
            }
        }
        (Ok(_), false) => differences.push("an error passed as an answer".into()),
        (Err(error), true) => differences.push(format!("failed: {error}")),
    }
    differences
}

fn compare(response: &ChatResponse, expected: &Value, mut same: impl FnMut(&str, Value, &Value)) {
    let messages: Vec<&Message> = std::iter::once(&response.message)
        .chain(&response.alternatives)
        .collect();
    let text: String = messages.iter().map(|message| message.text()).collect();
    same("text", text.into(), &expected["text"]);
    same("model", response.model.clone().into(), &expected["model"]);
    let reasons: Vec<&Value> = expected["finish_reasons"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    if reasons.iter().all(|reason| reason.is_string()) && !reasons.is_empty() {
        same(
            "finish",
            json!(response.native_finish_reasons),
            &json!(reasons),
        );
    }
    let mut reasoning = String::new();
    let mut refusal = None;
    for part in messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::Reasoning(thought) => reasoning.push_str(&thought.text),
            Part::Refusal(text) => refusal = Some(text.as_str().to_owned()),
            _ => {}
        }
    }
    same("reasoning", reasoning.into(), &expected["reasoning_text"]);
    let no_refusal = expected["refusal"].as_str().is_none_or(str::is_empty);
    if !no_refusal || refusal.is_some() {
        same("refusal", refusal.into(), &expected["refusal"]);
    }
    let calls: Vec<_> = messages
        .iter()
        .flat_map(|message| message.tool_calls())
        .collect();
    let expected_calls = expected["tool_calls"].as_array().unwrap();
    same("calls", calls.len().into(), &expected_calls.len().into());
    for (call, expected) in calls.iter().zip(expected_calls) {
        same("name", (*call.name).into(), &expected["name"]);
        if !expected["id"].is_null() {
            same("id", call.id.as_str().into(), &expected["id"]);
        }
        if let Some(raw) = expected.get("arguments_raw") {
            same("arguments", call.arguments.as_str().into(), raw);
        } else {
            let arguments = serde_json::from_str(&call.arguments).unwrap_or_default();
            same("arguments", arguments, &expected["arguments"]);
        }
    }
    let (usage, wanted) = (response.usage, &expected["usage"]);
    if let Some(wanted) = wanted["extra_iterations"].as_array() {
        let tokens = |side: &SideUsage| json!([side.kind, side.model, side.usage.output_tokens]);
        let side: Vec<_> = response.side_usage.iter().map(tokens).collect();
        let tokens = |side: &Value| json!([side["type"], side["model"], side["output_tokens"]]);
        same(
            "side usage",
            json!(side),
            &wanted.iter().map(tokens).collect(),
        );
    }
    for (name, count) in [
        ("input_tokens_total", usage.input_tokens),
        ("output_tokens_total", usage.output_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
    ] {
        same(name, count.into(), wanted.get(name).unwrap_or(&Value::Null));
    }
    for (name, count) in [
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("web_search_requests", usage.web_search_requests),
        ("input_audio_tokens", usage.input_audio_tokens),
    ] {
        if let Some(wanted) = wanted.get(name) {
            same(name, count.into(), wanted);
        }
    }
    let cost = response
        .provider_cost
        .map(|cost| serde_json::to_value(cost).unwrap());
    // Where the manifest has no place for it, it stands in what the provider sent: in dollars, or in xAI's ticks, of which ten
    // thousand million are one.
    let raw = &expected["usage_raw"];
    let ticks = raw["cost_in_usd_ticks"].as_f64();
    let ticks = ticks.map(|ticks| json!(ticks / 1e10));
    let wanted = wanted
        .get("provider_reported_cost_usd")
        .or_else(|| raw.get("cost"))
        .or(ticks.as_ref());
    same(
        "cost",
        cost.unwrap_or_default(),
        wanted.unwrap_or(&Value::Null),
    );
}

/// How a stream reads in these chunks; at its end it is cut.
fn read<'a, D: Decode>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<ChatResponse, ModelError> {
    let mut reader = Reader::<D>::new(&Limits::default());
    for chunk in chunks {
        if let Some(end) = reader.feed(chunk) {
            return end.map_err(|broken| broken.into_error::<D>("", &Secrets::default()));
        }
    }
    let end = reader.cut("", |error| error);
    end.map_err(|broken| broken.into_error::<D>("", &Secrets::default()))
}

/// What differs when the body comes in other chunks, or not to its end.
fn cuts<D: Decode>(body: &[u8]) -> Vec<String> {
    let brief = |result: Result<ChatResponse, ModelError>| {
        result.map_err(|error| (error.kind(), error.message().to_owned()))
    };
    let whole = brief(read::<D>([body]));
    let mut differences = Vec::new();
    if brief(read::<D>(body.chunks(1))) != whole {
        differences.push("it reads otherwise byte by byte".to_owned());
    }
    if body.len() > SMALL {
        return differences;
    }
    for at in 0..body.len() {
        let (start, end) = body.split_at(at);
        if brief(read::<D>([start, end])) != whole {
            differences.push(format!("it reads otherwise cut in two at {at}"));
        }
        let short = read::<D>([start]);
        let fits = match (&short, &whole) {
            // The end is whole when only its usage, or a last word without meaning, is missing.
            (Ok(short), Ok(whole)) => {
                short.message == whole.message
                    && short.native_finish_reasons == whole.native_finish_reasons
            }
            // The model had said why it stopped, and the failure came after that.
            (Ok(short), Err(_)) => !short.native_finish_reasons.is_empty(),
            (Err(error), Err((kind, _))) if error.kind() == *kind => true,
            (Err(error), _) => error.kind() == ModelErrorKind::Truncated,
        };
        if !fits {
            differences.push(format!("cut short at {at} it reads as {:?}", brief(short)));
            break;
        }
    }
    differences
}

/// The recording as an HTTP answer.
fn http_answer(case: &Case, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
        case.response.status,
        body.len()
    );
    for (name, value) in &case.response.headers {
        let value = value
            .as_str()
            .map_or_else(|| value[0].to_string(), str::to_owned);
        answer += &[name.as_str(), ": ", value.trim_matches('"'), "\r\n"].concat();
    }
    answer.push_str("\r\n");
    [answer.as_bytes(), body].concat()
}
