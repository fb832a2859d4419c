//! A provider on loopback that speaks OpenAI's API and keeps a bill of what it wrote, whether anybody read it or not.
//!
//! It counts as unkindly as a tokenizer can: every byte is a token, with some more around each message. What the answer would be is
//! on the bill before the first byte of it is sent.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agent_sdk::model::{ModelHandle, Retry, Timeouts, provider::OpenAi};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What a token costs, in nano-USD: the list price of `gpt-4o`.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;

/// Where it breaks off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Break {
    Never,
    /// Closes the connection after so many bytes of the body.
    Cut(usize),
    /// Says nothing more after so many.
    Silence(usize),
}

#[derive(Debug)]
pub(super) struct Provider {
    address: SocketAddr,
    bill: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    breaks: Arc<std::sync::Mutex<Break>>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            bill: Arc::default(),
            requests: Arc::default(),
            breaks: Arc::new(std::sync::Mutex::new(Break::Never)),
        };
        let (bill, requests) = (provider.bill.clone(), provider.requests.clone());
        let breaks = provider.breaks.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (bill, requests) = (bill.clone(), requests.clone());
                let breaks = *breaks.lock().unwrap();
                tokio::spawn(answer(stream, bill, requests, breaks));
            }
        });
        provider
    }

    /// From the next connection on.
    pub(super) fn breaks(&self, breaks: Break) {
        *self.breaks.lock().unwrap() = breaks;
    }

    /// In nano-USD.
    pub(super) fn bill(&self) -> u64 {
        self.bill.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// A model of it that is asked once for each request.
    pub(super) fn model(&self, silence: std::time::Duration) -> ModelHandle {
        let timeouts = Timeouts {
            first_chunk: silence,
            inter_chunk: silence,
            ..Timeouts::default()
        };
        let client = OpenAi::builder("gpt-4o")
            .base_url(format!("http://{}/v1", self.address))
            .provider("openai")
            .without_key()
            .timeouts(timeouts)
            .build()
            .unwrap();
        let once = Retry::default().max_attempts(std::num::NonZeroU32::MIN);
        ModelHandle::builder(client).retry(once).build()
    }
}

async fn answer(
    mut stream: TcpStream,
    bill: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    breaks: Break,
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    requests.fetch_add(1, Ordering::SeqCst);
    let answer = Answer::to(&request);
    bill.fetch_add(
        answer.input * INPUT + answer.output * OUTPUT,
        Ordering::SeqCst,
    );
    let is_streamed = request["stream"] == json!(true);
    let body = if is_streamed {
        answer.streamed()
    } else {
        answer.whole()
    };
    let kind = if is_streamed {
        "text/event-stream"
    } else {
        "application/json"
    };
    let length = if is_streamed {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{length}connection: close\r\n\r\n");
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let sent = match breaks {
        Break::Never => body.len(),
        Break::Cut(bytes) | Break::Silence(bytes) => bytes.min(body.len()),
    };
    if stream.write_all(&body[..sent]).await.is_err() {
        return;
    }
    if matches!(breaks, Break::Silence(_)) {
        // Until whoever asked goes away.
        let _ = stream.read(&mut [0]).await;
    }
    let _ = stream.shutdown().await;
}

/// The body of a request.
async fn read(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length?.trim().parse().ok()?;
            if bytes.len() >= head + 4 + length {
                return serde_json::from_slice(&bytes[head + 4..]).ok();
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Every byte of a message, and what is around it.
fn tokens(message: &Value) -> u64 {
    let of = |text: &Value| text.as_str().map_or(0, |text| text.len() as u64 + 4);
    let calls = message["tool_calls"].as_array();
    let calls = calls.into_iter().flatten().map(|call| {
        let function = &call["function"];
        of(&call["id"]) + of(&function["name"]) + of(&function["arguments"])
    });
    4 + of(&message["content"]) + of(&message["tool_call_id"]) + calls.sum::<u64>()
}

struct Answer {
    input: u64,
    output: u64,
    /// The tools that it calls, each once; empty where it says words.
    calls: Vec<String>,
    is_cut: bool,
}

impl Answer {
    /// Calls every tool that it is offered before it says anything; as many words as the task's length, or as many as it may.
    fn to(request: &Value) -> Self {
        let messages = request["messages"].as_array().unwrap();
        let texts: u64 = messages.iter().map(tokens).sum();
        let tools = request["tools"].as_array().cloned().unwrap_or_default();
        let schemas: u64 = tools
            .iter()
            .map(|tool| tool["function"].to_string().len() as u64)
            .sum();
        let input = 3 + texts + schemas / 2;
        let has_called = messages
            .iter()
            .any(|message| message["role"] == json!("tool"));
        let calls: Vec<_> = tools
            .iter()
            .filter(|_| !has_called)
            .map(|tool| tool["function"]["name"].as_str().unwrap().to_owned())
            .collect();
        let may = request["max_completion_tokens"].as_u64().unwrap_or(4_096);
        let wants = if calls.is_empty() {
            40 + input % 400
        } else {
            30 * calls.len() as u64
        };
        let is_cut = wants > may;
        Self {
            input,
            output: wants.min(may),
            calls: if is_cut { Vec::new() } else { calls },
            is_cut,
        }
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.input, self.output);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    fn reason(&self) -> &'static str {
        match (self.is_cut, self.calls.is_empty()) {
            (true, _) => "length",
            (false, true) => "stop",
            (false, false) => "tool_calls",
        }
    }

    fn message(&self) -> Value {
        if self.calls.is_empty() {
            return json!({"role": "assistant", "content": "word ".repeat(usize::try_from(self.output / 8).unwrap())});
        }
        let calls: Vec<_> = self
            .calls
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let arguments = r#"{"task":"look into it"}"#;
                json!({"index": index, "id": format!("call-{index}"), "type": "function",
                    "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        json!({"role": "assistant", "content": null, "tool_calls": calls})
    }

    fn whole(&self) -> Vec<u8> {
        let choice = json!({"index": 0, "message": self.message(), "finish_reason": self.reason()});
        let body = json!({"id": "a", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": self.usage()});
        body.to_string().into_bytes()
    }

    fn streamed(&self) -> Vec<u8> {
        let chunk = |choices: Value, usage: Value| {
            let data = json!({"id": "a", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, "usage": usage});
            format!("data: {data}\n\n")
        };
        let delta = |delta: Value, reason: Value| {
            let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
            chunk(choices, Value::Null)
        };
        let mut body = String::new();
        if self.calls.is_empty() {
            for _ in 0..self.output.div_ceil(64) {
                body += &delta(json!({"content": "words and words "}), Value::Null);
            }
        } else {
            body += &delta(self.message(), Value::Null);
        }
        body += &delta(json!({}), json!(self.reason()));
        body += &chunk(json!([]), self.usage());
        body += "data: [DONE]\n\n";
        body.into_bytes()
    }
}
