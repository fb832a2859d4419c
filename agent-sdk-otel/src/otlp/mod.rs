//! OTLP over HTTP with protobuf bodies.
//!
//! Requests are sent on [telemetry's own thread](ExportThread), encoded by whoever calls. For
//! metrics that is `opentelemetry-otlp`, whose own client logs how many items a collector rejected
//! and does not return the number, and cannot tell a lost reply from a refused connection: the
//! account needs both.

mod answer;
mod thread;

use std::fmt;
use std::time::Duration;

use agent_sdk::model::is_loopback;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use tokio::sync::oneshot;

use crate::error::TelemetryError;
use crate::pipeline::{Delivery, Transport};

pub(crate) use answer::Answer;
pub(crate) use thread::ExportThread;

/// Where one signal is sent, and with what.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values and the address's user part are secrets.
        f.debug_struct("Target")
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A client for one signal's endpoint.
#[derive(Clone, Debug)]
pub(crate) struct OtlpClient {
    http: Client,
    target: Target,
    thread: ExportThread,
}

impl OtlpClient {
    pub(crate) fn new(target: Target, thread: ExportThread) -> Result<Self, TelemetryError> {
        let host = target.url.host_str().unwrap_or_default();
        // A redirected POST would arrive as a GET, without its body.
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(target.timeout)
            // Shorter than the whole, so that an address that nobody answers on is told from a
            // collector that does not reply.
            .connect_timeout(target.timeout / 2);
        if target.url.scheme() == "http" && is_loopback(host) {
            // Neither a proxy nor a certificate has anything to do here; reading the system's
            // certificates takes milliseconds and megabytes.
            client = client.no_proxy().tls_certs_only([]);
        }
        let http = client
            .build()
            .map_err(|error| TelemetryError::start("the HTTP client").because(error))?;
        Ok(Self {
            http,
            target,
            thread,
        })
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> &Url {
        &self.target.url
    }

    /// How long a request may take by the settings.
    pub(crate) fn timeout(&self) -> Duration {
        self.target.timeout
    }

    /// Sends one encoded collection of metrics, and waits for the answer from any thread and any
    /// executor. The body of the collector's answer is returned where it accepted.
    pub(crate) async fn send_metrics(&self, body: Vec<u8>) -> (Delivery, Option<Vec<u8>>) {
        let (done, waiting) = oneshot::channel();
        let client = self.clone();
        self.thread.spawn(async move {
            // Nobody may be waiting any more, after a shutdown whose time was up.
            let _ = done.send(client.post(body.into()).await);
        });
        // The thread is gone with the last handle, and this one is still here.
        match waiting.await.unwrap_or((Answer::Late, Vec::new())) {
            (Answer::Accepted { rejected }, body) => (Delivery::Accepted { rejected }, Some(body)),
            (Answer::Late | Answer::Lost, _) => (Delivery::Unknown, None),
            _ => (Delivery::Failed, None),
        }
    }

    async fn post(&self, body: Bytes) -> (Answer, Vec<u8>) {
        let sent = self
            .http
            .post(self.target.url.clone())
            .headers(self.target.headers.clone())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            )
            .body(body)
            .send()
            .await;
        match sent {
            Ok(reply) => answer::of_reply(reply).await,
            Err(error) => (answer::of_error(&error), Vec::new()),
        }
    }
}

impl Transport for OtlpClient {
    async fn send(&self, body: Bytes) -> Answer {
        self.post(body).await.0
    }
}
