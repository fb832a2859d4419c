//! The certificates between this program and a collector.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::builder::TelemetryBuilder;
use crate::error::TelemetryError;

/// A file with certificates or a key, and who named it: a variable, or a method of the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PemFile {
    path: PathBuf,
    from: Cow<'static, str>,
}

impl PemFile {
    pub(crate) fn new(path: impl Into<PathBuf>, from: impl Into<Cow<'static, str>>) -> Self {
        Self {
            path: path.into(),
            from: from.into(),
        }
    }

    fn read(&self) -> Result<Vec<u8>, TelemetryError> {
        fs::read(&self.path).map_err(|error| self.unusable("cannot be read").because(error))
    }

    fn unusable(&self, what: &str) -> TelemetryError {
        let (from, path) = (&self.from, self.path.display());
        TelemetryError::setting(format!("{from}: {path} {what}"))
    }
}

/// Whom the collector's certificate has to be signed by, and how this program shows who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Nobody else's signature is taken. `None`: those that the system trusts.
    pub(crate) authorities: Option<PemFile>,
    pub(crate) certificate: Option<PemFile>,
    pub(crate) key: Option<PemFile>,
}

impl Trust {
    /// What is not set here is as it is there.
    pub(crate) fn or(&self, common: &Self) -> Self {
        let or = |own: &Option<_>, common: &Option<PemFile>| {
            let own = own.as_ref().or(common.as_ref());
            own.cloned()
        };
        Self {
            authorities: or(&self.authorities, &common.authorities),
            certificate: or(&self.certificate, &common.certificate),
            key: or(&self.key, &common.key),
        }
    }

    /// A client that knows the certificates.
    ///
    /// # Errors
    ///
    /// A file cannot be read or used, or of a certificate and its key one is missing.
    pub(crate) fn given_to(&self, client: ClientBuilder) -> Result<ClientBuilder, TelemetryError> {
        let mut client = client;
        if let Some(file) = &self.authorities {
            let unusable = || file.unusable("holds no certificate in PEM form");
            let certificates = Certificate::from_pem_bundle(&file.read()?);
            let certificates = certificates.map_err(|error| unusable().because(error))?;
            if certificates.is_empty() {
                return Err(unusable());
            }
            client = client.tls_certs_only(certificates);
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let both = [certificate.read()?, key.read()?].join(&b'\n');
                let identity = Identity::from_pem(&both).map_err(|error| {
                    let (with, path) = (&key.from, key.path.display());
                    let what =
                        format!("and {with}: {path} are no certificate and its key in PEM form");
                    certificate.unusable(&what).because(error)
                })?;
                Ok(client.identity(identity))
            }
            (Some(alone), None) => Err(alone.unusable("is a certificate whose key is not named")),
            (None, Some(alone)) => Err(alone.unusable("is a key whose certificate is not named")),
            (None, None) => Ok(client),
        }
    }
}

impl TelemetryBuilder {
    /// A file of certificates in PEM form: collectors must show one that is signed by one of these, and no other is taken.
    /// Default: those that the system trusts. [`build`](Self::build) fails where the file cannot be read.
    pub fn certificate_authorities(self, file: impl Into<PathBuf>) -> Self {
        let file = PemFile::new(file, "TelemetryBuilder::certificate_authorities");
        self.change(|settings| settings.trust.authorities = Some(file))
    }

    /// Files with the certificate and the key, in PEM form, by which collectors know this program.
    /// Default: none. [`build`](Self::build) fails where they cannot be read.
    pub fn client_certificate(
        self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        const FROM: &str = "TelemetryBuilder::client_certificate";
        let (certificate, key) = (PemFile::new(certificate, FROM), PemFile::new(key, FROM));
        self.change(|settings| {
            settings.trust.certificate = Some(certificate);
            settings.trust.key = Some(key);
        })
    }
}
