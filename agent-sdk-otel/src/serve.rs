//! The metrics as a page, and the `/metrics` endpoint.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use agent_sdk::monitor::LiveOperations;
use agent_sdk::redact::Redactor;
use agent_sdk::text::escape_json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::error::{TelemetryError, TelemetryErrorKind};
use crate::openmetrics::{Exposition, Format, MetricsPage};
use crate::telemetry::Telemetry;

/// Where metrics are served unless the user says otherwise: port 9464 of this machine only.
pub const DEFAULT_METRICS_ADDRESS: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9464));

/// How many scrapes are answered at once, those included whose reader is slow; more are told to come back.
const SCRAPES: usize = 16;

/// How many pages are made at once.
const MAKERS: usize = 2;

/// How much of a page is handed over at once, in bytes: what a slow reader has not taken is not copied.
const PIECE_BYTES: usize = 64 * 1024;

impl Telemetry {
    /// Where the settings say that metrics are served; see
    /// [`TelemetryBuilder::metrics_address`](crate::TelemetryBuilder::metrics_address).
    pub fn metrics_address(&self) -> SocketAddr {
        self.settings.prometheus_address
    }

    /// The metrics as Prometheus reads them: the classic text, without exemplars.
    ///
    /// # Errors
    ///
    /// [`TelemetryErrorKind::PrometheusOff`] when they are not kept.
    pub fn metrics_text(&self) -> Result<String, TelemetryError> {
        Ok(self.exposition()?.page(Format::Classic).body)
    }

    /// The metrics in the form that the value of an `Accept` header asks for, for a server of the user's own: `OpenMetrics` 1.0 with
    /// exemplars where that is named, otherwise the classic text.
    ///
    /// It takes milliseconds for thousands of series: call it where blocking is fine.
    ///
    /// # Errors
    ///
    /// [`TelemetryErrorKind::PrometheusOff`] when they are not kept.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let page = telemetry.metrics_page("application/openmetrics-text; version=1.0.0")?;
    /// assert!(page.content_type.starts_with("application/openmetrics-text"));
    /// assert!(page.body.ends_with("# EOF\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics_page(&self, accept: &str) -> Result<MetricsPage, TelemetryError> {
        Ok(self.exposition()?.page(Format::negotiate(accept)))
    }

    /// Serves the metrics at `/metrics` of `address`; port 0 finds a free one. A scraper that asks for `OpenMetrics` gets it, with
    /// exemplars.
    ///
    /// The endpoint has no access control: an address other than loopback shows it to the network. It answers at most 16 scrapes at
    /// once, slow readers included, and tells others to come back (503).
    ///
    /// # Errors
    ///
    /// [`TelemetryErrorKind::Bind`] when the address cannot be used,
    /// [`TelemetryErrorKind::PrometheusOff`] when the metrics are not kept.
    pub async fn serve_metrics(
        &self,
        address: SocketAddr,
    ) -> Result<MetricsServer, TelemetryError> {
        MetricsServer::bind(self.exposition()?.clone(), self.live.served(), address).await
    }

    fn exposition(&self) -> Result<&Exposition, TelemetryError> {
        self.metrics.prometheus.as_ref().ok_or_else(|| {
            TelemetryError::new(TelemetryErrorKind::PrometheusOff, "prometheus is off")
        })
    }
}

/// A running `/metrics` endpoint; made by [`Telemetry::serve_metrics`].
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
    async fn bind(
        exposition: Exposition,
        live: Option<(LiveOperations, Redactor)>,
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
            .with_state(Served {
                exposition,
                scrapes: Arc::new(Semaphore::new(SCRAPES)),
                makers: Arc::new(Semaphore::new(MAKERS)),
            });
        let app = match live {
            Some((live, redactor)) => {
                let page = async move || operations(&live, &redactor);
                app.route("/operations", get(page))
            }
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

#[derive(Clone)]
struct Served {
    exposition: Exposition,
    scrapes: Arc<Semaphore>,
    makers: Arc<Semaphore>,
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    let Ok(scrape) = served.scrapes.try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        return (StatusCode::SERVICE_UNAVAILABLE, later).into_response();
    };
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = Format::negotiate(&accept.join(","));
    // The semaphore is never closed.
    let maker = served.makers.acquire_owned().await.ok();
    let made = tokio::task::spawn_blocking(move || {
        let page = served.exposition.page(format);
        drop(maker);
        page
    });
    match made.await {
        Ok(page) => {
            let kind = HeaderValue::from_static(page.content_type);
            let length = HeaderValue::from(page.body.len());
            let head = [
                (header::CONTENT_TYPE, kind),
                (header::CONTENT_LENGTH, length),
                (header::VARY, HeaderValue::from_static("accept")),
            ];
            (head, in_pieces(page.body.into(), scrape)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What runs now. A name may come from a model: it is served as JSON, nothing in it acts on whoever shows it, and no key is in it.
fn operations(live: &LiveOperations, redactor: &Redactor) -> Response {
    match serde_json::to_value(live.snapshot()) {
        Ok(json) => {
            let json = redactor.json(json).to_string();
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, escape_json(&json).into_owned()).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The page as a body, which counts as a scrape until it was taken or given up.
fn in_pieces(page: Bytes, scrape: OwnedSemaphorePermit) -> Body {
    Body::from_stream(stream::unfold((page, scrape), |(mut page, scrape)| async {
        if page.is_empty() {
            return None;
        }
        let piece = page.split_to(page.len().min(PIECE_BYTES));
        Some((Ok::<_, std::convert::Infallible>(piece), (page, scrape)))
    }))
}
