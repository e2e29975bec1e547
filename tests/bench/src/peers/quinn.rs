//! quinn, a QUIC implementation: rustls and ring below it, with its default transport configuration
//! or tuned.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, ConnectionError, Endpoint, TransportConfig, VarInt};
use rustls::crypto::ring;
use rustls::quic;

use super::tls::{Backend, Certificate, NAME};
use crate::asynchronous::{self, Connection, Peer, Reader, Writer};
use crate::task::{Failure, Record, Suite, Task};

/// What the system is asked for on each socket when tuned, in bytes; as our own sockets.
const SOCKET_BUFFER: usize = 4 << 20;
/// From so many connections on, connecting them all may take longer than a silent one lives.
const MANY: u64 = 1_000;
/// Bytes that a read takes at once where it copies.
const READ: usize = 64 << 10;

/// quinn, in one of its forms.
#[derive(Clone)]
pub struct Quinn {
    certificate: Certificate,
    form: Form,
}

/// How it is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it comes: GSO and GRO on.
    Default,
    /// As its documentation lets users tune it for a fast path with a known MTU.
    Tuned,
    /// As it comes, but nobody gives up a connection that is silent.
    Silent,
}

/// The bulk transfer, as it comes.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    asynchronous::bulk(Quinn::new(Form::Default)?, task)
}

/// The bulk transfer, tuned.
pub fn bulk_tuned(task: &Task) -> Result<Record, Failure> {
    asynchronous::bulk(Quinn::new(Form::Tuned)?, task)
}

/// Requests behind their lengths on one stream of each connection.
pub fn requests(task: &Task) -> Result<Record, Failure> {
    // With many, the first would be given up before the last is there.
    let form = if task.connections > MANY { Form::Silent } else { Form::Default };
    asynchronous::requests(Quinn::new(form)?, task)
}

/// The same with a call for each request and answer.
pub fn requests_each(task: &Task) -> Result<Record, Failure> {
    asynchronous::requests_each(Quinn::new(Form::Default)?, task)
}

/// [`requests`], tuned.
pub fn requests_tuned(task: &Task) -> Result<Record, Failure> {
    asynchronous::requests(Quinn::new(Form::Tuned)?, task)
}

/// A stream for each request.
pub fn requests_on_streams(task: &Task) -> Result<Record, Failure> {
    asynchronous::requests_on_streams(Quinn::new(Form::Default)?, task)
}

/// One request outstanding.
pub fn unbatched(task: &Task) -> Result<Record, Failure> {
    asynchronous::unbatched(Quinn::new(Form::Default)?, task)
}

/// Round trips.
pub fn pingpong(task: &Task) -> Result<Record, Failure> {
    asynchronous::pingpong(Quinn::new(Form::Default)?, task)
}

/// Handshakes.
pub fn connects(task: &Task) -> Result<Record, Failure> {
    asynchronous::connects(Quinn::new(Form::Default)?, task)
}

/// Connections that do nothing.
pub fn idle(task: &Task) -> Result<Record, Failure> {
    asynchronous::idle(Quinn::new(Form::Silent)?, task)
}

impl Quinn {
    fn new(form: Form) -> Result<Self, Failure> {
        Ok(Self { certificate: Certificate::new()?, form })
    }

    fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        match self.form {
            Form::Default => {}
            Form::Silent => {
                config.max_idle_timeout(None);
            }
            Form::Tuned => tune(&mut config),
        }
        Arc::new(config)
    }

    /// An endpoint on a free port.
    fn endpoint(&self, server: Option<quinn::ServerConfig>) -> Result<Endpoint, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        if self.form == Form::Tuned {
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER)?;
        }
        let runtime = Arc::new(quinn::TokioRuntime);
        Ok(Endpoint::new(quinn::EndpointConfig::default(), server, socket, runtime)?)
    }
}

/// Credit as our own engine has it, the path's MTU told instead of searched for, a large first
/// window, fewer acknowledgements.
fn tune(config: &mut TransportConfig) {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(1 << 20);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10))
        .max_ack_delay(Some(Duration::from_millis(1)));
    config
        .initial_mtu(1_452)
        .min_mtu(1_452)
        .mtu_discovery_config(None)
        .stream_receive_window(VarInt::from_u32(4 << 20))
        .receive_window(VarInt::from_u32(8 << 20))
        .send_window(8 << 20)
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(congestion));
}

/// QUIC seals its first packets with AES-128-GCM whatever the handshake agrees on.
pub fn initial_suite() -> Result<quic::Suite, Failure> {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().and_then(|tls| tls.quic_suite());
    Ok(suite.ok_or("the provider has no suite for first packets")?)
}

impl Peer for Quinn {
    type Server = Endpoint;
    type Client = Endpoint;
    type Arriving = (quinn::Incoming, Endpoint);
    type Connection = Linked;

    async fn server(&self, suite: Suite) -> Result<(Endpoint, SocketAddr), Failure> {
        let tls = self.certificate.server(suite, Backend::Ring)?;
        let tls = QuicServerConfig::with_initial(Arc::new(tls), initial_suite()?)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(self.transport());
        let endpoint = self.endpoint(Some(config))?;
        let address = endpoint.local_addr()?;
        Ok((endpoint, address))
    }

    async fn accept(server: &mut Endpoint) -> Result<Option<Self::Arriving>, Failure> {
        Ok(server.accept().await.map(|incoming| (incoming, server.clone())))
    }

    async fn arrive((incoming, endpoint): Self::Arriving) -> Result<Linked, Failure> {
        Ok(Linked { connection: incoming.await?, endpoint })
    }

    async fn client(&self, suite: Suite) -> Result<Endpoint, Failure> {
        let tls = self.certificate.client(suite, Backend::Ring)?;
        let tls = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?)?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(self.transport());
        let mut endpoint = self.endpoint(None)?;
        endpoint.set_default_client_config(config);
        Ok(endpoint)
    }

    async fn connect(client: &Endpoint, to: SocketAddr) -> Result<Linked, Failure> {
        let connection = client.connect(to, NAME)?.await?;
        Ok(Linked { connection, endpoint: client.clone() })
    }
}

/// A connection, and the endpoint that it is on.
pub struct Linked {
    connection: quinn::Connection,
    endpoint: Endpoint,
}

impl Connection for Linked {
    type Writer = quinn::SendStream;
    type Reader = quinn::RecvStream;

    async fn open(&mut self) -> Result<(Self::Writer, Self::Reader), Failure> {
        Ok(self.connection.open_bi().await?)
    }

    async fn accept(&mut self) -> Option<(Self::Writer, Self::Reader)> {
        self.connection.accept_bi().await.ok()
    }

    fn close(&mut self) {
        self.connection.close(0u32.into(), b"done");
    }

    async fn closed(&mut self) {
        // What was closed here has to get out first.
        if self.connection.closed().await == ConnectionError::LocallyClosed {
            self.endpoint.wait_idle().await;
        }
    }
}

impl Writer for quinn::SendStream {
    async fn put(&mut self, bytes: Bytes) -> Result<(), Failure> {
        Ok(self.write_chunk(bytes).await?)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(quinn::SendStream::finish(self)?)
    }
}

impl Reader for quinn::RecvStream {
    async fn get(&mut self) -> Result<Option<Bytes>, Failure> {
        // In order, without a copy.
        Ok(self.read_chunk(usize::MAX, true).await?.map(|chunk| chunk.bytes))
    }

    async fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let end = out.len();
        out.resize(end + READ, 0);
        let read = self.read(&mut out[end..]).await?;
        out.truncate(end + read.unwrap_or(0));
        Ok(read.is_some())
    }
}
