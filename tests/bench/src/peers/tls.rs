//! Certificates and cipher suites for the peers that use TLS.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;

use crate::task::{Failure, Suite};

/// The certificate's name.
pub const NAME: &str = "localhost";

/// A certificate (ECDSA, P-256) made on the spot, that the client trusts.
#[derive(Clone)]
pub struct Certificate {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// Who computes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// ring: what quinn and our own engine use.
    Ring,
    /// aws-lc: what s2n-quic uses.
    AwsLc,
}

impl Certificate {
    /// Makes one.
    pub fn new() -> Result<Self, Failure> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        Ok(Self { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der() })
    }

    /// The server's side, with one cipher suite.
    pub fn server(&self, suite: Suite, backend: Backend) -> Result<rustls::ServerConfig, Failure> {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        Ok(rustls::ServerConfig::builder_with_provider(provider(suite, backend))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key.into())?)
    }

    /// The client's side. It resumes nothing: every handshake is a whole one.
    pub fn client(&self, suite: Suite, backend: Backend) -> Result<rustls::ClientConfig, Failure> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let mut config = rustls::ClientConfig::builder_with_provider(provider(suite, backend))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

/// A provider that offers the one suite of this run.
fn provider(suite: Suite, backend: Backend) -> Arc<CryptoProvider> {
    let (base, only) = match backend {
        Backend::Ring => (ring::default_provider(), ring_suite(suite)),
        Backend::AwsLc => (aws_lc_rs::default_provider(), aws_lc_suite(suite)),
    };
    Arc::new(CryptoProvider { cipher_suites: vec![only], ..base })
}

fn ring_suite(suite: Suite) -> rustls::SupportedCipherSuite {
    match suite {
        Suite::Aes256 => ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        Suite::Aes128 => ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        Suite::ChaCha => ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    }
}

fn aws_lc_suite(suite: Suite) -> rustls::SupportedCipherSuite {
    match suite {
        Suite::Aes256 => aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        Suite::Aes128 => aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        Suite::ChaCha => aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    }
}
