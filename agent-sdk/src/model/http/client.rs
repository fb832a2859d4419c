//! A client of one API, for one model.

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue, Method};
use reqwest::Url;

use super::{
    Api, Exchange, Http, Outgoing, Settings, StructuredOutput,
    reply::Reply,
    settings::{address, public},
    structured::lowered,
};
use crate::{
    model::{
        ChatRequest, ChatResponse, ChatStream, ModelError, ModelInfo,
        wire::{Decode, not_a_stream, read_whole},
    },
    operation::RunContext,
};

/// A client of one API, for one model. Cheap to clone; clones share its connections.
pub(in crate::model) struct Client<A> {
    inner: Arc<Inner<A>>,
}

struct Inner<A> {
    http: Arc<Http>,
    api: A,
    whole: Url,
    stream: Url,
    whole_only: bool,
    structured: StructuredOutput,
}

impl<A> Clone for Client<A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<A: Api> Client<A> {
    /// Makes it of its settings.
    pub(in crate::model) fn new(mut settings: Settings, mut api: A) -> Result<Self, ModelError> {
        let provider = settings.provider().to_string();
        let make = move || {
            api.prepare(&mut settings)?;
            let base = settings.base_url()?;
            let model = settings.model().clone();
            let [whole, stream] =
                [false, true].map(|stream| address(&base, &api.path(&model, stream)));
            let (whole_only, structured) = (settings.is_whole_only(), settings.structured());
            Ok(Self {
                inner: Arc::new(Inner {
                    http: Arc::new(settings.into_http(&base)?),
                    api,
                    whole,
                    stream,
                    whole_only,
                    structured,
                }),
            })
        };
        make().map_err(|error: ModelError| error.with_provider(provider))
    }

    #[cfg(test)]
    pub(in crate::model) fn http(&self) -> &Arc<Http> {
        &self.inner.http
    }

    /// Where requests go, for answers that come whole or piece by piece.
    #[cfg(test)]
    pub(in crate::model) fn endpoint(&self, stream: bool) -> &Url {
        if stream {
            &self.inner.stream
        } else {
            &self.inner.whole
        }
    }

    pub(in crate::model) fn info(&self) -> Arc<ModelInfo> {
        self.inner.http.info.clone()
    }

    pub(in crate::model) fn streams(&self) -> bool {
        !self.inner.whole_only
    }

    pub(in crate::model) async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        let (request, raise) = lowered(self.structured(&request), request);
        let mut exchange = self.open(context, &request, true).await?;
        let media_type = exchange.head.content_type.as_deref().map(essence);
        if A::Decode::FRAMING.may_be(media_type) {
            let stream = ChatStream::new(Reply::<A::Decode>::new(exchange)).outside_span();
            return Ok(match raise {
                Some(mode) => mode.raise_stream(stream),
                None => stream,
            });
        }
        let read = exchange.read().await;
        let error = match read {
            Ok((body, _)) => exchange.dress(not_a_stream(
                &body,
                exchange.head.content_type(),
                &exchange.http.secrets(),
            )),
            Err(error) => error,
        };
        exchange.attempt.fail(&error);
        Err(error)
    }

    pub(in crate::model) async fn chat(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatResponse, ModelError> {
        let (request, raise) = lowered(self.structured(&request), request);
        let exchange = self.open(context, &request, false).await?;
        let tape = exchange.attempt.tape().cloned();
        let response = exchange
            .answer(|body, media_type, http| {
                let answer =
                    read_whole::<A::Decode>(body, media_type, http.limits(), || http.secrets());
                if let (Some(tape), Ok(answer)) = (tape, &answer) {
                    tape.used(&answer.usage);
                }
                answer
            })
            .await?;
        Ok(match raise {
            Some(mode) => mode.raise(response),
            None => response,
        })
    }

    /// How an answer of a schema is asked for: as the user says, or as the API wants it for this request.
    fn structured(&self, request: &ChatRequest) -> StructuredOutput {
        let Inner { http, api, .. } = &*self.inner;
        match self.inner.structured {
            StructuredOutput::Native => api.structured(&http.info.model, request),
            mode => mode,
        }
    }

    async fn open(
        &self,
        context: &RunContext,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<Exchange, ModelError> {
        let Inner { http, api, .. } = &*self.inner;
        let unsent = |error| http.unsent(error);
        let body = api
            .body(&http.info.model, request, stream)
            .map_err(unsent)?;
        let url = if stream {
            &self.inner.stream
        } else {
            &self.inner.whole
        };
        // Nobody reads the signature of a request that is not sent.
        let headers: Vec<(HeaderName, HeaderValue)> = if http.is_replayed() {
            Vec::new()
        } else {
            api.sign(&Method::POST, url, &body).map_err(unsent)?
        };
        let outgoing = Outgoing {
            url: url.clone(),
            headers,
            body,
            accept: if stream {
                A::Decode::FRAMING.accept()
            } else {
                "application/json"
            },
            stream,
        };
        Exchange::open(http, context, outgoing).await
    }
}

/// A media type without its parameters.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl<A: Api> fmt::Debug for Client<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(A::DEFAULTS.client)
            .field("info", &self.inner.http.info)
            .field("endpoint", &public(&self.inner.whole))
            .field("timeouts", &self.inner.http.timeouts)
            .field("limits", &self.inner.http.limits)
            .finish_non_exhaustive()
    }
}
