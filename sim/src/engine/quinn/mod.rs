//! quinn-proto, a sans-IO QUIC, as a contender: rustls and ring below it, its default transport
//! configuration but for the size of datagrams and the congestion controller.
//!
//! Its random draws follow from the seed; those of rustls (keys, hello) do not, nor its connection
//! IDs. The certificate is a fixed one, Ed25519, whose signatures are all of one length, so that
//! times and lengths repeat although bytes do not. Only with the feature `quinn`.

mod end;
#[cfg(test)]
mod tests;

use super::{Contender, Ends, Task};
use end::{End, Role};
use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig};
use rustls::crypto::ring as ring_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use std::fmt;
use std::sync::Arc;
use tripline_sansio::Seed;

/// The certificate's name.
const NAME: &str = "localhost";
/// What the application writes at once; it is shared, not copied.
const CHUNK: usize = 64 << 10;
/// Datagrams in one train, as quinn's own loop asks for.
const SEGMENTS: usize = 10;

/// An X.509 certificate for [`NAME`], good from 1975 to 4096, signed by [`SECRET`] for itself. It
/// protects nothing: both ends of a cell are in one process.
const CERTIFICATE: &[u8] = include_bytes!("certificate.der");
/// The certificate's Ed25519 key.
const SECRET: [u8; 32] = [0x17; 32];
/// What PKCS #8 (RFC 8410 section 7) puts before such a key.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The controllers by name.
pub const QUINN_CONTROLLERS: &[&str] = &["newreno", "cubic", "bbr"];

/// quinn-proto with one of its congestion controllers.
#[derive(Clone)]
pub struct Quinn {
    name: String,
    congestion: Arc<dyn ControllerFactory + Send + Sync>,
    client: Arc<QuicClientConfig>,
    server: Arc<QuicServerConfig>,
}

impl Quinn {
    /// With the controller of this name, one of [`QUINN_CONTROLLERS`].
    ///
    /// # Errors
    /// If there is no such controller, or its TLS cannot be set up.
    pub fn named(controller: &str) -> Result<Self, String> {
        let congestion: Arc<dyn ControllerFactory + Send + Sync> = match controller {
            "newreno" => Arc::new(NewRenoConfig::default()),
            "cubic" => Arc::new(CubicConfig::default()),
            "bbr" => Arc::new(BbrConfig::default()),
            other => return Err(format!("quinn has no controller {other:?}")),
        };
        let (client, server) = tls().map_err(|error| error.to_string())?;
        Ok(Self { name: format!("quinn {controller}"), congestion, client, server })
    }

    /// The defaults, with the task's datagrams and no search for larger ones.
    fn transport(&self, task: &Task) -> Arc<TransportConfig> {
        let mut transport = TransportConfig::default();
        transport.initial_mtu(task.datagram).mtu_discovery_config(None);
        transport.congestion_controller_factory(Arc::clone(&self.congestion));
        Arc::new(transport)
    }
}

impl fmt::Debug for Quinn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Quinn").field(&self.name).finish()
    }
}

/// Both sides' TLS with the fixed certificate, which the client trusts.
fn tls() -> Result<(Arc<QuicClientConfig>, Arc<QuicServerConfig>), Box<dyn std::error::Error>> {
    let certificate = CertificateDer::from(CERTIFICATE);
    let key = PrivatePkcs8KeyDer::from([&PKCS8[..], &SECRET].concat());
    let provider = Arc::new(ring_provider::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A session kept from an earlier cell would change the next one's handshake.
    client.resumption = rustls::client::Resumption::disabled();
    Ok((
        Arc::new(QuicClientConfig::try_from(Arc::new(client))?),
        Arc::new(QuicServerConfig::try_from(Arc::new(server))?),
    ))
}

impl Contender for Quinn {
    fn name(&self) -> &str {
        &self.name
    }

    fn ends(&self, task: &Task, seed: &Seed) -> Result<Ends, String> {
        let transport = self.transport(task);
        let mut client = ClientConfig::new(self.client.clone());
        client.transport_config(Arc::clone(&transport));
        let mut server = ServerConfig::with_crypto(self.server.clone());
        server.transport_config(transport);
        let endpoint = |label: &str, server: Option<Arc<ServerConfig>>| {
            let mut config = EndpointConfig::default();
            config.rng_seed(Some(seed.random(label).bytes()));
            Endpoint::new(Arc::new(config), server, false, None)
        };
        let sender = Role::Sender { client, to: *task, left: task.bytes, stream: None };
        Ok(Ends {
            sender: Box::new(End::new(endpoint("sender", None), sender)),
            receiver: Box::new(End::new(
                endpoint("receiver", Some(Arc::new(server))),
                Role::Receiver,
            )),
        })
    }
}
