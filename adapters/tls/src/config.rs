//! Who we are and whom we believe, before there is a link.

use crate::anyone::Anyone;
use crate::{ALPN, HANDSHAKE_TIMEOUT, TlsLayer};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline_sansio::{Duration, Instant, LinkError, LinkFailure, LinkLayer, Secure};

/// What a server shows: its certificates, its own first, and the key of that.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The certificates, in DER.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The key, in DER.
    pub key: PrivateKeyDer<'static>,
}

/// Makes layers of TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls {
    client: Option<Arc<ClientConfig>>,
    server: Option<Arc<ServerConfig>>,
    timeout: Duration,
}

pub(crate) fn insecure(why: impl Display) -> LinkError {
    LinkError { failure: LinkFailure::Insecure, text: why.to_string() }
}

fn provider() -> Arc<CryptoProvider> {
    // Named, never the process's default: with two in one program that default would panic.
    Arc::new(ring::default_provider())
}

impl Tls {
    const NOBODY: Self = Self { client: None, server: None, timeout: HANDSHAKE_TIMEOUT };

    /// A client that takes any certificate. Enough where what is inside proves who is there, as the
    /// transport does by its keys; **nothing else does then**.
    pub fn client_of_anyone() -> Self {
        let provider = provider();
        let anyone = Anyone(provider.signature_verification_algorithms);
        let made = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13]);
        let client = made.ok().map(|builder| {
            let verifier = builder.dangerous().with_custom_certificate_verifier(Arc::new(anyone));
            named(verifier.with_no_client_auth())
        });
        Self { client, ..Self::NOBODY }
    }

    /// A client that takes only certificates that one of these roots stands for, and that bear the
    /// name that was connected to.
    ///
    /// # Errors
    /// A root is not a certificate.
    pub fn client(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, LinkError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).map_err(insecure)?;
        }
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(insecure)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { client: Some(named(client)), ..Self::NOBODY })
    }

    /// The same with the roots that stand in a PEM file.
    ///
    /// # Errors
    /// There are none in it, or it is no such file.
    pub fn client_of_pem(roots: &[u8]) -> Result<Self, LinkError> {
        Self::client(certificates(roots)?)
    }

    /// A server that shows this.
    ///
    /// # Errors
    /// The key is none, or not that of the certificate.
    pub fn server(identity: ServerIdentity) -> Result<Self, LinkError> {
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(insecure)?
            .with_no_client_auth()
            .with_single_cert(identity.certificates, identity.key)
            .map_err(insecure)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Resumption is for those who connect often; a link lives long.
        server.send_tls13_tickets = 0;
        Ok(Self { server: Some(Arc::new(server)), ..Self::NOBODY })
    }

    /// A server that shows a certificate of these names that it has just made and signed itself.
    ///
    /// # Errors
    /// A name is none.
    pub fn self_signed(names: &[&str]) -> Result<Self, LinkError> {
        Self::server(ServerIdentity::self_signed(names)?)
    }

    /// Both: a client as this is, a server as that.
    #[must_use]
    pub fn and_server(self, server: Self) -> Self {
        Self { server: server.server, ..self }
    }

    /// The same with handshakes that may take so long.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The layer of a link to `remote`, which is called `name`; without a name it is not told one.
    ///
    /// # Errors
    /// We are no client, or the name is none.
    pub fn client_layer(
        &self,
        now: Instant,
        name: &str,
        remote: SocketAddr,
    ) -> Result<TlsLayer, LinkError> {
        let config = self.client.clone().ok_or_else(|| insecure("no client"))?;
        let name = match name {
            "" => ServerName::from(remote.ip()),
            name => ServerName::try_from(name.to_owned()).map_err(insecure)?,
        };
        let client = ClientConnection::new(config, name).map_err(insecure)?;
        Ok(TlsLayer::new(client.into(), now, self.timeout))
    }

    /// The layer of a link that was opened to us.
    ///
    /// # Errors
    /// We are no server.
    pub fn server_layer(&self, now: Instant) -> Result<TlsLayer, LinkError> {
        let config = self.server.clone().ok_or_else(|| insecure("no certificate to show"))?;
        let server = ServerConnection::new(config).map_err(insecure)?;
        Ok(TlsLayer::new(server.into(), now, self.timeout))
    }
}

/// The certificates of a PEM file: at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(insecure)?;
    if all.is_empty() { Err(insecure("no certificate in this file")) } else { Ok(all) }
}

fn named(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

impl ServerIdentity {
    /// Certificates and a key that stand in PEM files; both may stand in one.
    ///
    /// # Errors
    /// They do not.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, LinkError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(insecure)?;
        Ok(Self { certificates: self::certificates(certificates)?, key })
    }

    /// A new key (Ed25519, so that lengths repeat) and a certificate of these names, signed by
    /// itself.
    ///
    /// # Errors
    /// A name is none.
    pub fn self_signed(names: &[&str]) -> Result<Self, LinkError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(insecure)?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parameters = rcgen::CertificateParams::new(names).map_err(insecure)?;
        let certificate = parameters.self_signed(&key).map_err(insecure)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Self { certificates: vec![certificate.der().clone()], key: key.into() })
    }
}

impl Secure for Tls {
    fn client(&self, now: Instant, name: &str, remote: SocketAddr) -> Result<LinkLayer, LinkError> {
        Ok(Box::new(self.client_layer(now, name, remote)?))
    }

    fn server(&self, now: Instant) -> Result<LinkLayer, LinkError> {
        Ok(Box::new(self.server_layer(now)?))
    }
}
