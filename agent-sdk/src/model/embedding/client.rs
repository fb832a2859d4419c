//! What the clients of embedding APIs share.

use std::{fmt, sync::Arc};

use reqwest::Url;

use super::{EmbeddingRequest, EmbeddingResponse};
use crate::{
    model::{
        ModelError, ModelInfo,
        http::{Defaults, Exchange, Http, Outgoing, Settings, address},
        wire::{Failed, read_body},
    },
    operation::RunContext,
};

/// An API that makes vectors.
pub(in crate::model) trait EmbeddingApi: Send + Sync + 'static {
    /// Its name, for people.
    const NAME: &'static str;
    /// Where it is and how it is paid for, unless the user says otherwise.
    const DEFAULTS: Defaults;

    /// Takes from variables what they hold.
    fn variables(
        &mut self,
        settings: &mut Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        settings.variables(variable)
    }

    /// What is added to the base URL's path.
    fn path(&self, model: &str) -> String;

    /// The body of a request.
    fn body(&self, model: &str, request: &EmbeddingRequest) -> Result<Vec<u8>, ModelError>;

    /// Reads an answer to the request.
    fn read(&self, body: &str, request: &EmbeddingRequest) -> Result<EmbeddingResponse, Failed>;
}

/// A client of one API, for one model. Cheap to clone; clones share its connections.
pub(in crate::model) struct Embedder<A> {
    inner: Arc<Inner<A>>,
}

struct Inner<A> {
    http: Arc<Http>,
    api: A,
    url: Url,
}

impl<A> Clone for Embedder<A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<A: EmbeddingApi> Embedder<A> {
    /// Makes it of its settings.
    pub(in crate::model) fn new(settings: Settings, api: A) -> Result<Self, ModelError> {
        let provider = settings.provider().to_string();
        let make = move || {
            let base = settings.base_url()?;
            let url = address(&base, &api.path(settings.model()));
            let http = Arc::new(settings.into_http(&base)?);
            Ok(Self {
                inner: Arc::new(Inner { http, api, url }),
            })
        };
        make().map_err(|error: ModelError| error.with_provider(provider))
    }

    pub(in crate::model) fn info(&self) -> Arc<ModelInfo> {
        self.inner.http.info().clone()
    }

    pub(in crate::model) async fn embed(
        &self,
        context: &RunContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ModelError> {
        let Inner { http, api, url } = &*self.inner;
        let body = api.body(&http.info().model, &request);
        let outgoing = Outgoing {
            url: url.clone(),
            headers: Vec::new(),
            body: body.map_err(|error| http.unsent(error))?,
            accept: "application/json",
            stream: false,
        };
        let exchange = Exchange::open(http, context, outgoing).await?;
        exchange
            .answer(|body, media_type, http| {
                let read = |text: &str| api.read(text, &request);
                read_body(A::NAME, body, media_type, || http.secrets(), read)
            })
            .await
    }
}

impl<A: EmbeddingApi> fmt::Debug for Embedder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(A::DEFAULTS.client)
            .field("info", self.inner.http.info())
            .finish_non_exhaustive()
    }
}

/// Makes a public client and its builder of an embedding API.
macro_rules! embedding_client {
    (
        $(#[$client_doc:meta])* $Client:ident,
        $(#[$builder_doc:meta])* $Builder:ident,
        $Api:ty
    ) => {
        $crate::model::http::client_and_builder! {
            $(#[$client_doc])* $Client,
            $(#[$builder_doc])* $Builder,
            $Api as $crate::model::embedding::client::EmbeddingApi,
            $crate::model::embedding::client::Embedder<$Api>
        }

        impl $crate::model::embedding::EmbeddingModel for $Client {
            fn info(&self) -> std::sync::Arc<$crate::model::ModelInfo> {
                self.client.info()
            }

            async fn embed(
                &self,
                context: &$crate::operation::RunContext,
                request: $crate::model::embedding::EmbeddingRequest,
            ) -> Result<$crate::model::embedding::EmbeddingResponse, $crate::model::ModelError> {
                self.client.embed(context, request).await
            }
        }
    };
}

pub(super) use embedding_client;
