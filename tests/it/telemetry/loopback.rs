//! Servers on loopback, each on a thread and a runtime of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, oneshot};

/// A server that stops when it is dropped.
pub(super) struct Loopback {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    pub(super) fn start(app: Router) -> Self {
        let (ready, bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
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
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A status and a body, and how the body is meant.
type Reply = (u16, &'static str);

/// An OpenAI-shaped server with one scripted reply for each request; with none left it never answers.
pub(super) struct ModelServer {
    server: Loopback,
    script: Arc<Script>,
}

struct Script {
    replies: Mutex<VecDeque<Reply>>,
    /// One permit for each request that gets no reply.
    hanging: Semaphore,
}

impl ModelServer {
    pub(super) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Script {
            replies: Mutex::new(replies.into_iter().collect()),
            hanging: Semaphore::new(0),
        });
        let app = Router::new()
            .fallback(reply)
            .with_state(Arc::clone(&script));
        Self {
            server: Loopback::start(app),
            script,
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Until a request is here that gets no reply.
    pub(super) async fn hangs(&self) {
        self.script.hanging.acquire().await.unwrap().forget();
    }
}

async fn reply(State(script): State<Arc<Script>>) -> Response {
    let next = script.replies.lock().unwrap().pop_front();
    let Some((status, body)) = next else {
        script.hanging.add_permits(1);
        return std::future::pending().await;
    };
    let kind = if body.starts_with("data:") {
        "text/event-stream"
    } else {
        "application/json"
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}
