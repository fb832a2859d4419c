//! The `/metrics` endpoint.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use agent_sdk::monitor::LiveOperations;
use agent_sdk::text::escape_json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{TelemetryError, TelemetryErrorKind};

/// Where metrics are served unless the user says otherwise: port 9464 of this machine only.
pub const DEFAULT_METRICS_ADDRESS: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9464));

/// A running `/metrics` endpoint; made by [`Telemetry::serve_metrics`](crate::Telemetry::serve_metrics).
///
/// Dropping it stops the server at once; [`shutdown`](Self::shutdown) lets open scrapes finish.
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct MetricsServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl MetricsServer {
    pub(crate) async fn bind(
        registry: prometheus::Registry,
        live: Option<LiveOperations>,
        address: SocketAddr,
    ) -> Result<Self, TelemetryError> {
        let failed = |error: std::io::Error| {
            TelemetryError::new(TelemetryErrorKind::Bind, address.to_string()).because(error)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .route("/metrics", get(metrics))
            .with_state(registry);
        let app = match live {
            Some(live) => app.route("/operations", get(async move || operations(&live))),
            None => app,
        };
        let task = tokio::spawn(async move {
            let server = axum::serve(listener, app).with_graceful_shutdown(async {
                // An error means that the handle is gone, which is a reason to stop as well.
                let _ = stopped.await;
            });
            // Accepting goes on after a failed connection; the server itself never fails.
            let _ = server.await;
        });
        Ok(Self {
            address,
            stop: Some(stop),
            task,
        })
    }

    /// The address that is listened on, with the port that was found for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets scrapes in progress finish, and returns when they have.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn metrics(State(registry): State<prometheus::Registry>) -> Response {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    match encoder.encode(&registry.gather(), &mut body) {
        Ok(()) => {
            let kind = [(header::CONTENT_TYPE, encoder.format_type().to_owned())];
            (kind, body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What runs now. A name may come from a model: it is served as JSON, and nothing in it acts on whoever shows it.
fn operations(live: &LiveOperations) -> Response {
    match serde_json::to_string(&live.snapshot()) {
        Ok(json) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, escape_json(&json).into_owned()).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
