//! Alerts to a webhook.

use std::{
    fmt::{self, Write},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, header};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::AlertSink;
use crate::{
    budget::{Alert, BudgetError},
    model::{MAX_RETRY_AFTER, Timeouts, default_client, is_loopback, retry_after},
    operation::{Clock, SystemClock},
};

/// The longest wait that is not asked for by the server.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest id that is sent as it is.
const LONGEST_ID: usize = 256;

/// Posts each alert as JSON to a URL.
///
/// The body is the [`Alert`], with a sentence for people beside it as `message`; for [Slack](WebhookAlertsBuilder::slack) it is that
/// sentence alone, `{"text": …}`. The request has these headers:
///
/// | Header | What it is |
/// |---|---|
/// | `Idempotency-Key` | the alert's id, the same on every try: what is not printable ASCII is percent-encoded, and of one that is longer than 256 bytes it is the SHA-256 in hex |
/// | `X-Agent-Sdk-Timestamp` | when this try was sent, in seconds since 1970; with a [secret](WebhookAlertsBuilder::secret) |
/// | `X-Agent-Sdk-Signature` | `v1=` and, in hex, the HMAC-SHA256 by the secret over the timestamp, a full stop and the body |
///
/// A status from 200 to 299 is a success. 408, 429, those from 500 on, and a request that got no answer are tried again: five times
/// in all, after 1, 2, 4 and 8 seconds (of which the second half is random), or after what `Retry-After` asks, at most a minute. No
/// redirect is followed and no answer's body is read. Neither the secret nor the URL's path and query, which are secrets of many
/// webhooks, stand in errors, logs or `Debug`.
///
/// # Example
///
/// ```
/// use agent_sdk::budget::{Budget, Ledger, WebhookAlerts};
///
/// # fn main() -> Result<(), agent_sdk::budget::BudgetError> {
/// let slack = WebhookAlerts::builder("https://hooks.slack.com/services/T0/B0/x").slack().build()?;
/// let budget = Budget::new("day").max_usd("20".parse().expect("money"));
/// let ledger = Ledger::builder().budget(budget).alert(slack).build()?;
/// # Ok(())
/// # }
/// ```
pub struct WebhookAlerts {
    client: reqwest::Client,
    url: Url,
    host: String,
    secret: Option<SecretString>,
    slack: bool,
    attempts: NonZeroU32,
    first_wait: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// Settings for [`WebhookAlerts`]; made by [`WebhookAlerts::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct WebhookAlertsBuilder {
    url: String,
    secret: Option<SecretString>,
    slack: bool,
    attempts: NonZeroU32,
    first_wait: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl WebhookAlerts {
    /// Settings for a webhook at a URL, which begins with `https://`, or on this machine with `http://`.
    pub fn builder(url: impl Into<String>) -> WebhookAlertsBuilder {
        WebhookAlertsBuilder {
            url: url.into(),
            secret: None,
            slack: false,
            attempts: NonZeroU32::MIN.saturating_add(4),
            first_wait: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock),
        }
    }

    async fn post(&self, alert: &Alert) -> Result<(), String> {
        let failed = |why: String| format!("the webhook at {} {why}", self.host);
        let body = body(alert, self.slack).map_err(|_| failed("takes no such alert".into()))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let Err(Failure { why, again }) = self.attempt(alert, &body).await else {
                return Ok(());
            };
            let wait = match again {
                _ if tries >= self.attempts.get() => return Err(failed(why)),
                Again::No => return Err(failed(why)),
                Again::Yes => self.backoff(tries),
                Again::After(wait) => wait,
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, alert: &Alert, body: &str) -> Result<(), Failure> {
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.timeout)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", idempotency_key(&alert.id));
        if let Some(secret) = &self.secret {
            let now = self.clock.now();
            let now = now.duration_since(std::time::SystemTime::UNIX_EPOCH);
            let timestamp = now.map_or(0, |since| since.as_secs());
            let signature = sign(secret, timestamp, body).ok_or(Failure {
                why: "cannot be signed for".into(),
                again: Again::No,
            })?;
            request = request
                .header("x-agent-sdk-timestamp", timestamp)
                .header("x-agent-sdk-signature", signature);
        }
        // The error of the HTTP client names the URL: what may be said of it is said here.
        let answer = request.body(body.to_owned()).send().await;
        let answer = answer.map_err(|error| Failure {
            why: match () {
                () if error.is_timeout() => "did not answer in time",
                () if error.is_connect() => "cannot be reached",
                () => "broke the connection off",
            }
            .into(),
            again: Again::Yes,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let may_help = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let asked = retry_after(answer.headers());
        Err(Failure {
            why: format!("answered {}", status.as_u16()),
            again: match asked {
                _ if !may_help => Again::No,
                Some(wait) => Again::After(wait),
                None => Again::Yes,
            },
        })
    }

    /// The wait after so many tries.
    fn backoff(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let wait = self.first_wait.saturating_mul(doubled).min(LONGEST_WAIT);
        wait.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}

/// Why a try failed.
struct Failure {
    why: String,
    again: Again,
}

/// Whether another try may help.
#[derive(Clone, Copy)]
enum Again {
    No,
    Yes,
    /// After the time that the server asks for.
    After(Duration),
}

impl AlertSink for WebhookAlerts {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        self.post(alert).boxed()
    }

    /// As long as all tries may take.
    fn time_limit(&self) -> Duration {
        let each = self.timeout.saturating_add(MAX_RETRY_AFTER);
        each.saturating_mul(self.attempts.get())
    }
}

impl WebhookAlertsBuilder {
    /// Posts what Slack's incoming webhooks take, and those of others that take the same: `{"text": …}`.
    pub fn slack(mut self) -> Self {
        self.slack = true;
        self
    }

    /// Signs what is posted, so that the receiver knows who it is from and when it was sent. Default: it is not signed.
    pub fn secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Sets how often an alert is sent at the most. Default: 5 times.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the first wait between two tries; each that follows is twice as long, up to 30 seconds. Default: 1 second.
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// Sets how long one try may take. Default: 10 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock that signatures are dated by. Default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// The URL is none, holds a user name or a password, or begins neither with `https://` nor, on this machine, with `http://`; the
    /// secret is empty.
    pub fn build(self) -> Result<WebhookAlerts, BudgetError> {
        let url = self.url()?;
        let secret = self.secret;
        if secret
            .as_ref()
            .is_some_and(|secret| secret.expose_secret().is_empty())
        {
            return Err(BudgetError::invalid("the secret of a webhook is empty"));
        }
        let timeouts = Timeouts {
            connect: self.timeout,
            ..Timeouts::default()
        };
        let client = default_client(&timeouts, &url)
            .map_err(|_| BudgetError::invalid("the HTTP client of a webhook cannot be made"))?;
        Ok(WebhookAlerts {
            host: host(&url),
            client,
            url,
            secret,
            slack: self.slack,
            attempts: self.attempts,
            first_wait: self.first_wait,
            timeout: self.timeout,
            clock: self.clock,
        })
    }

    fn url(&self) -> Result<Url, BudgetError> {
        let wrong = |what: &str| Err(BudgetError::invalid(format!("the URL of a webhook {what}")));
        let Ok(url) = Url::parse(self.url.trim()) else {
            return wrong("is none");
        };
        let is_here = is_loopback(url.host_str().unwrap_or_default());
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return wrong("must begin with https://, or on this machine with http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user name or a password, which would not be kept secret");
        }
        Ok(url)
    }
}

/// What is posted.
#[derive(Serialize)]
struct Plain<'a> {
    message: &'a str,
    #[serde(flatten)]
    alert: &'a Alert,
}

fn body(alert: &Alert, slack: bool) -> Result<String, serde_json::Error> {
    let message = alert.to_string();
    if slack {
        return serde_json::to_string(&serde_json::json!({ "text": escaped(&message) }));
    }
    serde_json::to_string(&Plain {
        message: &message,
        alert,
    })
}

/// Text in which Slack finds no markup of its own, such as a mention of everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// An alert's id as a header can hold it.
fn idempotency_key(id: &str) -> HeaderValue {
    let mut key = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            key.push(char::from(byte));
        } else {
            let _ = write!(key, "%{byte:02X}");
        }
    }
    if key.len() > LONGEST_ID {
        key = hex(&Sha256::digest(id));
    }
    HeaderValue::try_from(key).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn sign(secret: &SecretString, timestamp: u64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(format!("{timestamp}.{body}").as_bytes());
    Some(format!("v1={}", hex(&mac.finalize().into_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl fmt::Debug for WebhookAlerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookAlerts")
            .field("host", &self.host)
            .field("slack", &self.slack)
            .field("signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookAlertsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookAlertsBuilder")
            .field("host", &self.url().ok().map(|url| host(&url)))
            .field("slack", &self.slack)
            .field("signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}
