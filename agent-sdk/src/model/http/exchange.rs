//! One HTTP exchange: the request out, the head of the answer in, and what a failure means.

use std::{error::Error as StdError, sync::Arc};

use crate::operation::InSpan;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use super::{
    Http,
    attempt::{Attempt, Deadlines},
    client::essence,
    gather::Gather,
    key::Key,
    transport::{Answer, Unanswered},
    waits::{retry_after, should_retry},
};
use crate::{
    model::{
        ModelError, ModelErrorKind,
        cassette::Stalled,
        wire::{refused, too_long},
    },
    operation::RunContext,
};

/// How much of the body of a failure is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The header by which a provider recognises a request that is sent again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body of an answer, as it arrives.
pub(in crate::model) type Body = BoxStream<'static, Result<Bytes, Box<dyn StdError + Send + Sync>>>;

/// A request that is ready to be sent.
pub(in crate::model) struct Outgoing {
    pub(in crate::model) url: Url,
    /// Besides those of every request.
    pub(in crate::model) headers: Vec<(HeaderName, HeaderValue)>,
    pub(in crate::model) body: Vec<u8>,
    pub(in crate::model) accept: &'static str,
    /// Whether the answer is to come piece by piece.
    pub(in crate::model) stream: bool,
}

/// A request whose answer has begun, and began well.
pub(in crate::model) struct Exchange {
    pub(super) http: Arc<Http>,
    pub(super) attempt: Attempt,
    pub(super) deadlines: Deadlines,
    pub(super) head: Head,
    pub(super) body: Body,
}

/// What the head of an answer says.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) request_id: Option<String>,
    /// The error's type, which AWS tells here and not in the body.
    pub(super) error_type: Option<String>,
}

impl Head {
    fn of(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let error_type = text("x-amzn-errortype");
        Self {
            status,
            content_type: text("content-type"),
            request_id: text("x-request-id")
                .or_else(|| text("request-id"))
                .or_else(|| text("x-amzn-requestid")),
            error_type: error_type
                .map(|name| name.split(':').next().unwrap_or_default().to_owned()),
        }
    }

    /// The media type without its parameters, in words.
    pub(super) fn content_type(&self) -> &str {
        let essence = self.content_type.as_deref().map(essence);
        essence
            .filter(|text| !text.is_empty())
            .unwrap_or("no content type")
    }
}

impl Exchange {
    /// Sends a request and waits for the head of its answer.
    pub(in crate::model) async fn open(
        http: &Arc<Http>,
        context: &RunContext,
        mut outgoing: Outgoing,
    ) -> Result<Self, ModelError> {
        let mut attempt = Attempt::start(context, http.info.clone());
        let deadlines = Deadlines::start(&http.timeouts, context, outgoing.stream);
        if let Some(key) = context.idempotency_key()
            && let Ok(key) = HeaderValue::try_from(key)
        {
            outgoing.headers.push((IDEMPOTENCY_KEY, key));
        }
        let span = attempt.span().clone();
        let sent = http
            .send(outgoing, &deadlines, &mut attempt)
            .in_span(span)
            .await;
        match sent {
            Ok((head, body)) => Ok(Self {
                http: http.clone(),
                attempt,
                deadlines,
                head,
                body,
            }),
            Err(error) => {
                attempt.fail(&error);
                Err(error)
            }
        }
    }

    /// Reads the whole body and makes an answer of it; the attempt ends as that goes.
    pub(in crate::model) async fn answer<T>(
        mut self,
        read: impl FnOnce(&[u8], &str, &Http) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let result = self.read().await.and_then(|(body, last_byte)| {
            let answer = read(&body, self.head.content_type(), &self.http);
            answer
                .map(|answer| (answer, last_byte))
                .map_err(|error| self.dress(error))
        });
        match result {
            Ok((answer, last_byte)) => {
                self.attempt.succeed(last_byte);
                Ok(answer)
            }
            Err(error) => {
                self.attempt.fail(&error);
                Err(error)
            }
        }
    }

    /// Reads the whole body, and says when its last byte came.
    pub(super) async fn read(&mut self) -> Result<(Vec<u8>, Instant), ModelError> {
        let limit = self.http.limits.reply_bytes;
        let mut body = Gather::default();
        let mut last_byte = Instant::now();
        loop {
            let deadline = if body.len() == 0 {
                self.deadlines.first()
            } else {
                self.deadlines.next(Instant::now())
            };
            let Ok(next) = timeout_at(deadline.at, self.body.next()).await else {
                return Err(self.dress(deadline.error()));
            };
            match next {
                None => return Ok((body.whole(), last_byte)),
                Some(Ok(bytes)) => {
                    last_byte = Instant::now();
                    if bytes.len() > limit.saturating_sub(body.len()) {
                        return Err(self.dress(too_long(limit)));
                    }
                    body.push(&bytes);
                }
                Some(Err(error)) if error.is::<Stalled>() => {
                    return Err(self.dress(deadline.error()));
                }
                Some(Err(error)) => {
                    let message = format!("the answer broke off after {} bytes", body.len());
                    return Err(self.dress(ModelError::truncated(message).with_source(error)));
                }
            }
        }
    }

    /// Adds to an error where it happened.
    pub(super) fn dress(&self, error: ModelError) -> ModelError {
        self.http.dress(error, &self.head)
    }
}

impl Http {
    async fn send(
        &self,
        mut outgoing: Outgoing,
        deadlines: &Deadlines,
        attempt: &mut Attempt,
    ) -> Result<(Head, Body), ModelError> {
        let mut headers = self.headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static(outgoing.accept));
        headers.extend(std::mem::take(&mut outgoing.headers));
        if matches!(self.key, Key::Each(_)) {
            let key = self.key.header(&self.auth);
            headers.extend(key.map_err(|error| self.dress(error, &Head::default()))?);
        }
        let Outgoing { url, body, .. } = outgoing;
        let tape = self
            .transport
            .tape(&url, &headers, &body, || self.secrets());
        attempt.record_on(tape.clone());
        let sent = self.transport.send(url, headers, body, tape);
        let deadline = deadlines.first();
        let answer = match timeout_at(deadline.at, sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(unanswered)) => {
                let error = match unanswered {
                    Unanswered::Network(error) => self.unreachable(error),
                    Unanswered::Replayed(error) => error,
                };
                return Err(self.dress(error, &Head::default()));
            }
            Err(_) => return Err(self.dress(deadline.error(), &Head::default())),
        };
        let Answer {
            status,
            headers,
            mut body,
            url,
        } = answer;
        attempt.status(status.as_u16());
        let head = Head::of(status.as_u16(), &headers);
        if url.is_some_and(|url| url.origin() != self.base.origin()) {
            let message =
                "the HTTP client followed a redirect to another server: turn redirects off";
            let error = ModelError::new(ModelErrorKind::Configuration, message);
            return Err(self.dress(error, &head));
        }
        if !status.is_success() {
            let error = self.refused(&head, &mut body, deadlines).await;
            let wait = retry_after(&headers).or(error.retry_after());
            let error = error
                .with_retry_after(wait)
                .with_should_retry(should_retry(&headers));
            return Err(self.dress(error, &head));
        }
        let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
            let message = "the reply is compressed, which was not asked for";
            return Err(self.dress(ModelError::new(ModelErrorKind::Decode, message), &head));
        }
        Ok((head, body))
    }

    /// The server could not be reached, or hung up before it answered.
    fn unreachable(&self, error: reqwest::Error) -> ModelError {
        let error = error.without_url();
        let mut cause: &dyn StdError = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let kind = if error.is_timeout() {
            ModelErrorKind::Timeout
        } else {
            ModelErrorKind::Transport
        };
        let message = format!("could not reach {}: {cause}", self.address);
        ModelError::new(kind, message).with_source(error)
    }

    /// The server refused the request.
    async fn refused(&self, head: &Head, body: &mut Body, deadlines: &Deadlines) -> ModelError {
        let is_redirect = (300..400).contains(&head.status);
        let limit = if is_redirect { 0 } else { MAX_ERROR_BYTES };
        let mut whole = Vec::new();
        while whole.len() < limit {
            let deadline = deadlines.next(Instant::now());
            match timeout_at(deadline.at, body.next()).await {
                Ok(Some(Ok(bytes))) => whole.extend_from_slice(&bytes),
                _ => break,
            }
        }
        refused(
            head.status,
            head.content_type(),
            head.error_type.clone(),
            &whole,
            &self.secrets(),
        )
    }

    /// Adds to an error where it happened.
    pub(super) fn dress(&self, error: ModelError, head: &Head) -> ModelError {
        let known = error.status().is_some() || head.status == 0;
        let error = error
            .with_provider(self.info.provider.to_string())
            .with_request_id(head.request_id.clone());
        if known {
            error
        } else {
            error.with_status(head.status)
        }
    }
}
