//! How a client is made: whom it trusts, who it says it is, where it may go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use notify_core::secret::{ExposeSecret, SecretString};
use notify_core::{Malformed, Secrets};
use reqwest::{Certificate, Identity, Proxy};
use url::Url;

use crate::address::Wire;
use crate::client::{HttpClient, chain};
use crate::guard::{Guarded, Resolver, SystemResolver};
use crate::proxy::ProxyConfig;
use crate::tls::TlsConfig;

/// The longest wait for a connection.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// A client that is not made yet.
#[must_use]
pub struct HttpClientBuilder {
    timeout: Duration,
    wire: Wire,
    resolver: Option<Arc<dyn Resolver>>,
    trusted: Option<Vec<Certificate>>,
    trusts_everybody: bool,
    identity: Option<Identity>,
    proxy: Option<Proxy>,
    hidden: Vec<SecretString>,
}

impl fmt::Debug for HttpClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientBuilder")
            .field("timeout", &self.timeout)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl HttpClientBuilder {
    pub(crate) fn new(timeout: Duration, wire: Wire) -> Self {
        Self {
            timeout,
            wire,
            resolver: None,
            trusted: None,
            trusts_everybody: false,
            identity: None,
            proxy: None,
            hidden: Vec::new(),
        }
    }

    /// Connects to addresses of the internet alone, whatever a name leads to.
    ///
    /// No proxy is asked: it would look names up by itself, where nobody checks what they lead to.
    pub fn public_only(self) -> Self {
        self.public_only_by(Arc::new(SystemResolver))
    }

    /// Does the same with another resolver than the system's.
    pub fn public_only_by(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Trusts the certificates of this PEM text, and no longer those of the system.
    ///
    /// # Errors
    ///
    /// When the text holds no certificate.
    pub fn trust_only(mut self, pem: &[u8]) -> Result<Self, Malformed> {
        let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if found.is_empty() {
            return Err(Malformed::new("no certificate in PEM form"));
        }
        self.trusted = Some(found);
        Ok(self)
    }

    /// Shows a certificate to servers that ask for one.
    ///
    /// `chain` is the PEM text of the certificate and of those up to its authority, `key` that of
    /// its private key.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or no key without a passphrase.
    pub fn identity(mut self, chain: &[u8], key: &SecretString) -> Result<Self, Malformed> {
        let mut pem = key.expose_secret().as_bytes().to_vec();
        pem.push(b'\n');
        pem.extend_from_slice(chain);
        let identity = Identity::from_pem(&pem).map_err(|_| {
            Malformed::new("no certificate with its private key in PEM form")
                .help("the key is an unencrypted one: PKCS #8, RSA or SEC 1")
                .sensitive()
        })?;
        self.identity = Some(identity);
        Ok(self)
    }

    /// Does what the table `tls` of an account says, where there is one.
    ///
    /// # Errors
    ///
    /// When a file or a secret cannot be read, or does not hold what it should.
    pub fn tls(self, tls: Option<&TlsConfig>, secrets: &Secrets) -> Result<Self, Malformed> {
        match tls {
            Some(tls) => tls.apply(self, secrets),
            None => Ok(self),
        }
    }

    /// Goes through the proxy of an account, where there is one, and no longer through the system's.
    ///
    /// Not a client of [`Wire::Loopback`]: a proxy would get its requests in the clear. Nor one of
    /// [`public_only`](Self::public_only).
    ///
    /// # Errors
    ///
    /// When the secret cannot be read or is no address of a proxy.
    pub fn proxy(self, proxy: Option<&ProxyConfig>, secrets: &Secrets) -> Result<Self, Malformed> {
        match proxy {
            Some(proxy) => proxy.apply(self, secrets),
            None => Ok(self),
        }
    }

    /// Takes whatever certificate a server shows.
    pub(crate) fn trust_everybody(mut self) -> Self {
        self.trusts_everybody = true;
        self
    }

    /// Goes through this proxy; `hidden` is what no message may repeat.
    pub(crate) fn through(
        mut self,
        proxy: &Url,
        hidden: Vec<SecretString>,
    ) -> Result<Self, Malformed> {
        let proxy = Proxy::https(proxy.clone())
            .map_err(|_| Malformed::new("not the address of an HTTP proxy").sensitive())?;
        self.proxy = Some(proxy);
        self.hidden.extend(hidden);
        Ok(self)
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// When the system's trust store is needed and is empty or cannot be read, or when key and
    /// certificate do not fit.
    pub fn build(self) -> Result<HttpClient, Malformed> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("workflow-notify/", env!("CARGO_PKG_VERSION")))
            // A connection gets half of the time at most, so that one that never opens ends as
            // "not delivered" and is not taken for an answer that never came.
            .connect_timeout(MAX_CONNECT.min(self.timeout / 2))
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false);
        builder = match self.wire {
            Wire::Tls => {
                let builder = builder
                    .https_only(true)
                    .tls_danger_accept_invalid_certs(self.trusts_everybody);
                match self.proxy {
                    Some(proxy) => builder.no_proxy().proxy(proxy),
                    None => builder,
                }
            }
            Wire::Loopback => builder.no_proxy().tls_certs_only([]),
        };
        let public_only = self.resolver.is_some();
        if let Some(resolver) = self.resolver {
            builder = builder
                .no_proxy()
                .dns_resolver(Arc::new(Guarded::new(resolver)));
        }
        if let Some(trusted) = self.trusted {
            builder = builder.tls_certs_only(trusted);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        match builder.build() {
            Ok(client) => Ok(HttpClient::of(client, public_only, self.hidden)),
            Err(err) => Err(
                Malformed::new(format!("cannot make an HTTP client: {}", chain(&err))).help(
                    "install the system's CA certificates, often the package `ca-certificates`",
                ),
            ),
        }
    }
}
