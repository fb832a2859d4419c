//! Servers on loopback, each on a thread and a runtime of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

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
pub(super) struct ModelServer(Loopback);

impl ModelServer {
    pub(super) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        Self(Loopback::start(
            Router::new().fallback(reply).with_state(replies),
        ))
    }

    pub(super) fn url(&self) -> String {
        self.0.url()
    }
}

async fn reply(State(replies): State<Arc<Mutex<VecDeque<Reply>>>>) -> Response {
    let next = replies.lock().unwrap().pop_front();
    let Some((status, body)) = next else {
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
