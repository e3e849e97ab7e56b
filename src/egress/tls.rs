//! The TLS side of outgoing connections: one provider, the public roots, and what the operator adds to them.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::Protocol;
use crate::config::Certificate;

/// Settings for TLS 1.2 and later that trust the public roots (Mozilla's list) and the certificates in `ca`, and that
/// offer `protocol` by ALPN (RFC 7301).
///
/// # Errors
/// A sentence about `ca` when it is no PEM text with at least one certificate, or about the client's `certificate`.
pub(super) fn config(
    protocol: Protocol,
    ca: Option<&[u8]>,
    certificate: Option<&Certificate>,
) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(pem) = ca {
        add(&mut roots, pem)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let (chain, key) = read(certificate)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| format!("certificate_file and its key do not go together: {e}"))?
        }
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
        Protocol::Either => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &Certificate) -> Result<Identity, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate.chain).collect();
    let chain = chain.map_err(|e| format!("certificate_file is not PEM: {e}"))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose())
        .map_err(|e| format!("certificate_file holds no private key, nor does key_file: {e}"))?;
    Ok((chain, key))
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| format!("ca_file is not PEM: {e}"))?;
        roots
            .add(certificate)
            .map_err(|e| format!("ca_file holds a certificate that cannot be used: {e}"))?;
        found += 1;
    }
    if found == 0 {
        return Err(String::from("ca_file holds no certificate"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        assert!(config(Protocol::Either, None, None).is_ok());
        let check = |pem: &[u8], expected: &str| {
            let fault = config(Protocol::Either, Some(pem), None).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        };
        check(b"", "no certificate");
        check(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used",
        );
    }
}
