//! What can be set about content.

use agent_sdk::redact::Redactor;

use super::ContentFiles;
use crate::builder::TelemetryBuilder;

impl TelemetryBuilder {
    /// Also writes prompts, answers and tool data to files, and names them on the spans. Default: no files.
    ///
    /// From the environment: `OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK=upload` and
    /// `OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH`.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use agent_sdk_otel::{ContentFiles, Telemetry};
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder()
    ///     .content_files(ContentFiles::new("/var/lib/triage/content"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn content_files(mut self, files: ContentFiles) -> Self {
        self.settings.capture.files = Some(files);
        self
    }

    /// What is taken out of content before it leaves. Default: a [`Redactor`] with all built-in patterns: keys, tokens, e-mail
    /// addresses, card numbers. Secrets that were [named](Self::secret) before are forgotten: name them after this, or on the redactor.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.settings.capture.redactor = redactor;
        self
    }

    /// Names a secret, which then leaves in no span and no file, content or not: neither as it is nor in base64, percent-encoded or
    /// in hex. Its value shows in no error and in no debug text.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let key = "a-key-without-any-prefix";
    /// let telemetry = Telemetry::builder().secret(key).build()?;
    /// assert!(!format!("{telemetry:?}").contains(key));
    /// # Ok(())
    /// # }
    /// ```
    pub fn secret(mut self, secret: &str) -> Self {
        let redactor = &mut self.settings.capture.redactor;
        *redactor = redactor.clone().with_secret(secret);
        self
    }
}
