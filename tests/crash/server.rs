//! A model on loopback that notes each request and may hold the answer back.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// How many turns call tools; the one after is the answer.
pub(crate) const TOOL_TURNS: usize = 12;

/// A model that stops when it is dropped. What it answers depends on nothing but what it is shown.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    processes: AtomicUsize,
    /// What was received, when it was.
    pub(crate) received: Receiver<Received>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was received, and its number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A request to the model.
    Request(usize),
    /// A tool says that a call took effect.
    Effect(usize),
}

struct Shared {
    /// The number of the process that asked, and the idempotency key of its request.
    keys: Mutex<Vec<(usize, String)>>,
    effects: AtomicUsize,
    /// The first effect that is not acknowledged yet.
    effects_held_from: watch::Sender<usize>,
    received: Mutex<Sender<Received>>,
    /// The first request that is not answered yet.
    held_from: watch::Sender<usize>,
    /// What it says to a request.
    says: Says,
}

/// What a model says to a request: the answer's status and body.
pub(crate) type Says = Box<dyn Fn(&Value) -> (StatusCode, Value) + Send + Sync>;

impl Server {
    pub(crate) fn start() -> Self {
        Self::with_answers_of(0)
    }

    /// One whose answers to the clerk are so long.
    pub(crate) fn with_answers_of(bytes: usize) -> Self {
        Self::saying(Box::new(move |request| {
            (StatusCode::OK, answer_to_the_clerk(request, bytes))
        }))
    }

    pub(crate) fn saying(says: Says) -> Self {
        let (sender, received) = channel();
        let shared = Arc::new(Shared {
            keys: Mutex::default(),
            effects: AtomicUsize::new(0),
            effects_held_from: watch::Sender::new(usize::MAX),
            received: Mutex::new(sender),
            held_from: watch::Sender::new(usize::MAX),
            says,
        });
        let app = Router::new()
            .route("/{process}/effect", post(effect))
            .route("/{process}/{*path}", post(answer))
            .with_state(shared.clone());
        let (ready, bound) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: bound.recv().unwrap(),
            shared,
            processes: AtomicUsize::new(0),
            received,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where the next process that is started finds the model: each has a path of its own, so that a request
    /// which a killed one left on the wire is never taken for its successor's.
    pub(crate) fn url_of_next_process(&self) -> String {
        let process = self.processes.fetch_add(1, Ordering::SeqCst) + 1;
        format!("http://{}/{process}", self.address)
    }

    /// Leaves the requests from this one on without an answer, until it is said otherwise.
    pub(crate) fn hold_from(&self, request: usize) {
        self.shared.held_from.send_replace(request);
    }

    /// Does not acknowledge effects from this one on, until it is said otherwise.
    pub(crate) fn hold_effects_from(&self, effect: usize) {
        self.shared.effects_held_from.send_replace(effect);
    }

    /// Waits until this was received.
    pub(crate) fn wait_for(&self, what: Received) {
        while self.received.recv().unwrap() != what {}
    }

    /// The idempotency keys of the requests of a process, counted from 1 as they were started.
    pub(crate) fn keys_of(&self, process: usize) -> Vec<String> {
        let keys = self.shared.keys.lock().unwrap();
        let mut keys_of = Vec::new();
        for (from, key) in &*keys {
            if *from == process {
                keys_of.push(key.clone());
            }
        }
        keys_of
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn effect(State(shared): State<Arc<Shared>>) {
    let number = shared.effects.fetch_add(1, Ordering::SeqCst) + 1;
    let received = Received::Effect(number);
    shared.received.lock().unwrap().send(received).unwrap();
    let mut held = shared.effects_held_from.subscribe();
    held.wait_for(|from| number < *from).await.unwrap();
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((process, _)): Path<(usize, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let key = headers
        .get("idempotency-key")
        .map(|key| key.to_str().unwrap());
    let number = {
        let mut keys = shared.keys.lock().unwrap();
        keys.push((process, key.unwrap_or("none").to_owned()));
        keys.len()
    };
    let received = Received::Request(number);
    shared.received.lock().unwrap().send(received).unwrap();
    let mut held = shared.held_from.subscribe();
    held.wait_for(|from| number < *from).await.unwrap();

    let (status, body) = (shared.says)(&request);
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
}

/// An answer by how often the model has spoken in what it is shown.
fn answer_to_the_clerk(request: &Value, bytes: usize) -> Value {
    let said = turns(request);
    let words = "x".repeat(bytes);
    let (message, usage) = if said < TOOL_TURNS {
        let calls = [
            call(&format!("w{said}"), "note", "{}"),
            call(&format!("r{said}"), "look", "{}"),
        ];
        (calls_of(&words, &calls), 100 + said)
    } else {
        (text_of("All is noted."), 100 + said)
    };
    completion(&message, usage)
}

/// How often the model has spoken in what it is shown.
pub(crate) fn turns(request: &Value) -> usize {
    let messages = request["messages"].as_array().unwrap();
    let said = messages.iter();
    said.filter(|message| message["role"] == "assistant")
        .count()
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": id, "type": "function", "function": function})
}

pub(crate) fn calls_of(words: &str, calls: &[Value]) -> Value {
    json!({"role": "assistant", "content": words, "tool_calls": calls})
}

pub(crate) fn text_of(words: &str) -> Value {
    json!({"role": "assistant", "content": words})
}

/// The body of an answer that took so many tokens to ask.
pub(crate) fn completion(message: &Value, asked: usize) -> Value {
    let calls = message.get("tool_calls").is_some();
    let reason = if calls { "tool_calls" } else { "stop" };
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": asked, "completion_tokens": 7, "total_tokens": asked + 7},
    })
}
