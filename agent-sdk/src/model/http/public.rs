//! The public face of a client.

/// Makes a public client and its builder of an API, with the settings that all clients have: of chats and of anything else, as
/// the trait of its APIs and the type of its client say.
macro_rules! client_and_builder {
    (
        $(#[$client_doc:meta])* $Client:ident,
        $(#[$builder_doc:meta])* $Builder:ident,
        $Api:ty as $Trait:path,
        $Inner:ty
    ) => {
        $(#[$client_doc])*
        #[derive(Clone)]
        pub struct $Client {
            client: $Inner,
        }

        $(#[$builder_doc])*
        #[must_use = "a builder does nothing until `build` is called"]
        pub struct $Builder {
            settings: $crate::model::http::Settings,
            api: $Api,
        }

        impl $Client {
            /// Settings for a client of this model.
            pub fn builder(model: impl Into<std::sync::Arc<str>>) -> $Builder {
                $Builder {
                    settings: $crate::model::http::Settings::new(
                        model.into(),
                        <$Api as $Trait>::DEFAULTS,
                    ),
                    api: <$Api>::default(),
                }
            }

            /// A client of this model, with the key and, where it is set, the base URL from the API's own variables, which
            /// the module names.
            ///
            /// # Errors
            ///
            /// [`ModelErrorKind::Configuration`](crate::model::ModelErrorKind::Configuration) where the key is missing, naming
            /// its variable, or the base URL is none.
            pub fn from_env(
                model: impl Into<std::sync::Arc<str>>,
            ) -> Result<Self, $crate::model::ModelError> {
                Self::builder(model)
                    .variables(|name| std::env::var(name).ok())?
                    .build()
            }
        }

        impl $Builder {
            /// Takes the key and the base URL from variables.
            pub(in crate::model) fn variables(
                mut self,
                variable: impl Fn(&str) -> Option<String>,
            ) -> Result<Self, $crate::model::ModelError> {
                <$Api as $Trait>::variables(&mut self.api, &mut self.settings, &variable)?;
                Ok(self)
            }

            /// Sets the key. It is never printed.
            pub fn api_key(mut self, key: impl Into<secrecy::SecretString>) -> Self {
                self.settings.api_key(key.into());
                self
            }

            /// Asks for the key anew with each request, for keys that expire. The function must not block; `None` fails the
            /// request.
            pub fn api_key_from(
                mut self,
                key: impl Fn() -> Option<secrecy::SecretString> + Send + Sync + 'static,
            ) -> Self {
                self.settings.api_key_from(key);
                self
            }

            /// Sends the key in the header of this name, as it is, in place of where the API wants it.
            pub fn key_header(mut self, name: impl Into<String>) -> Self {
                self.settings.key_header(name.into());
                self
            }

            /// Sends no key: for a server of your own, or one that wants it in another [`header`](Self::header).
            pub fn without_key(mut self) -> Self {
                self.settings.without_key();
                self
            }

            /// Sets where the API is; the API's own path is added. A query is kept, for servers that want one, and never
            /// printed. Default: the provider's public address.
            pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
                self.settings.set_base_url(base_url.into());
                self
            }

            /// Names who runs the model, recorded as `gen_ai.provider.name` and asked of the price table. Default: the
            /// API's own provider.
            pub fn provider(mut self, provider: impl Into<std::sync::Arc<str>>) -> Self {
                self.settings.set_provider(provider.into());
                self
            }

            /// Adds a header to every request. Its value is never printed.
            pub fn header(
                mut self,
                name: impl Into<String>,
                value: impl Into<secrecy::SecretString>,
            ) -> Self {
                self.settings.header(name.into(), value.into());
                self
            }

            /// Sends the requests through a client of your own, for a proxy or other certificates. Default: one pooled
            /// client.
            ///
            /// Turn its redirects off. Where it follows one to another server, it sends the conversation there and also every
            /// [`header`](Self::header), though not a bearer key; all that can be done here is to refuse the answer, which is
            /// done.
            pub fn http_client(mut self, client: reqwest::Client) -> Self {
                self.settings.http_client(client);
                self
            }

            /// Writes every exchange to a file, without its secrets, so that it can be
            /// [served again](Self::replay). Default: nothing is written.
            pub fn recorder(mut self, recorder: $crate::model::Recorder) -> Self {
                self.settings.way($crate::model::http::Way::Recorded(recorder));
                self
            }

            /// Answers from what was recorded: nothing is sent, and no key is needed. Default: no.
            pub fn replay(mut self, replay: $crate::model::Replay) -> Self {
                self.settings.way($crate::model::http::Way::Replayed(replay));
                self
            }

            /// Sets how long each part of a request may take.
            pub fn timeouts(mut self, timeouts: $crate::model::Timeouts) -> Self {
                self.settings.timeouts(timeouts);
                self
            }

            /// Sets how large a reply may be.
            pub fn limits(mut self, limits: $crate::model::Limits) -> Self {
                self.settings.limits(limits);
                self
            }

            /// Makes the client.
            ///
            /// # Errors
            ///
            /// [`ModelErrorKind::Configuration`](crate::model::ModelErrorKind::Configuration) for a missing key, a base URL
            /// that is none, or a header that cannot be sent.
            pub fn build(self) -> Result<$Client, $crate::model::ModelError> {
                let client = <$Inner>::new(self.settings, self.api)?;
                Ok($Client { client })
            }
        }

        impl std::fmt::Debug for $Client {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.client.fmt(f)
            }
        }

        impl std::fmt::Debug for $Builder {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.settings.fmt(f)
            }
        }

    };
}

/// Makes a public client and its builder of a chat API: the type, the [`Model`](crate::model::Model) of it, and the settings that
/// all clients have. What only one API has is added in an `impl` of its own.
macro_rules! http_client {
    (
        $(#[$client_doc:meta])* $Client:ident,
        $(#[$builder_doc:meta])* $Builder:ident,
        $Api:ty
    ) => {
        $crate::model::http::client_and_builder! {
            $(#[$client_doc])* $Client,
            $(#[$builder_doc])* $Builder,
            $Api as $crate::model::http::Api,
            $crate::model::http::Client<$Api>
        }

        impl $Builder {
            /// Changes the settings that all clients have.
            pub(in crate::model) fn set(
                mut self,
                change: impl FnOnce(&mut $crate::model::http::Settings),
            ) -> Self {
                change(&mut self.settings);
                self
            }

            /// Whether answers may be streamed. Default: yes. Without it, a stream is made of one whole answer.
            pub fn streaming(mut self, streaming: bool) -> Self {
                self.settings.whole_only(!streaming);
                self
            }

            /// How an answer of a schema is asked for. Default: the API's own way.
            pub fn structured_output(mut self, mode: $crate::model::StructuredOutput) -> Self {
                self.settings.set_structured(mode);
                self
            }
        }

        impl $crate::model::Model for $Client {
            fn info(&self) -> std::sync::Arc<$crate::model::ModelInfo> {
                self.client.info()
            }

            fn streams(&self) -> bool {
                self.client.streams()
            }

            fn retry(&self) -> Option<$crate::model::Retry> {
                Some($crate::model::Retry::default())
            }

            async fn stream(
                &self,
                context: &$crate::operation::RunContext,
                request: $crate::model::ChatRequest,
            ) -> Result<$crate::model::ChatStream, $crate::model::ModelError> {
                self.client.stream(context, request).await
            }

            async fn chat(
                &self,
                context: &$crate::operation::RunContext,
                request: $crate::model::ChatRequest,
            ) -> Result<$crate::model::ChatResponse, $crate::model::ModelError> {
                self.client.chat(context, request).await
            }
        }
    };
}

pub(in crate::model) use {client_and_builder, http_client};
