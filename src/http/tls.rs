//! TLS on the listener (`[server.tls]`): versions 1.2 and 1.3, HTTP/1.1 alone, and a certificate that may be put in the
//! place of another while connections go on.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::config::{Certificate, Facts};

/// The listener's certificate as it is now: one cheap handle for all that show it.
#[derive(Debug, Clone)]
pub struct Shown(Arc<RwLock<Pair>>);

#[derive(Debug, Clone)]
struct Pair {
    key: Arc<CertifiedKey>,
    facts: Facts,
}

impl Shown {
    /// A handle that shows `certificate`.
    ///
    /// # Errors
    /// Where its key does not fit it, or is of no kind that TLS can use.
    pub fn new(certificate: &Certificate) -> Result<Self, String> {
        Ok(Self(Arc::new(RwLock::new(pair(certificate)?))))
    }

    /// Shows `certificate` from the next connection on; those that are open go on as they are.
    ///
    /// # Errors
    /// As [`Shown::new`]; then the one before is shown on.
    pub fn replace(&self, certificate: &Certificate) -> Result<(), String> {
        let pair = pair(certificate)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// What is told of the one that is shown.
    pub fn facts(&self) -> Facts {
        self.present().facts
    }

    fn present(&self) -> Pair {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The settings of a listener that shows it.
    pub(super) fn settings(&self) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions()?;
        let resolver = Arc::new(Resolver(self.clone()));
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }
}

#[derive(Debug)]
struct Resolver(Shown);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.present().key)
    }
}

fn pair(certificate: &Certificate) -> Result<Pair, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate.chain).collect();
    let chain = chain.map_err(|error| format!("the certificate is not PEM: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose())
        .map_err(|_| String::from("the private key is not PEM"))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| format!("certificate and key do not go together: {error}"))?;
    Ok(Pair {
        key: Arc::new(key),
        facts: certificate.facts,
    })
}
