//! Whom to trust, and the certificate to show.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use notify_core::{Malformed, Secrets};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret;
use tokio_rustls::TlsConnector;

use crate::config::TlsConfig;

/// How TLS is begun with one server.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Tls {
    /// Makes the settings for a host out of files and secrets.
    pub(crate) fn new(
        host: &str,
        config: &TlsConfig,
        secrets: &Secrets,
    ) -> Result<Self, Malformed> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Malformed::new("no certificate can be for the name of this server"))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|err| set_up(&err))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(config, provider)?);
        let config = match (&config.cert_file, &config.key) {
            (Some(file), Some(key)) => {
                let key = secrets.get(key)?.expose_secret();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
                    Malformed::new("`tls.key` is no private key in PEM").sensitive()
                })?;
                builder
                    .with_client_auth_cert(certificates(file)?, key)
                    .map_err(|_| {
                        Malformed::new("`tls.cert_file` and `tls.key` do not belong together")
                    })?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

fn set_up(err: &rustls::Error) -> Malformed {
    Malformed::unquoting(format!("TLS cannot be set up: {err}"))
        .help("see that the system's certificates (`ca-certificates`) are there")
}

fn verifier(
    config: &TlsConfig,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Malformed> {
    if config.insecure_skip_verify {
        return Ok(Arc::new(Anybody(provider)));
    }
    let Some(file) = &config.ca_file else {
        let system = Verifier::new(provider).map_err(|err| set_up(&err))?;
        return Ok(Arc::new(system));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|err| {
            Malformed::unquoting(format!(
                "a certificate in `tls.ca_file` is no authority: {err}"
            ))
        })?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier
        .map_err(|err| Malformed::unquoting(format!("`tls.ca_file` is of no use: {err}")))?;
    Ok(verifier)
}

/// Reads the certificates of a PEM file; there is one at least.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Malformed> {
    let shown = file.display();
    let text =
        fs::read(file).map_err(|err| Malformed::new(format!("`{shown}` cannot be read: {err}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Malformed::new(format!(
            "`{shown}` holds no certificate in PEM"
        ))),
    }
}

/// Takes any certificate; the connection is private from those who only listen.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
