//! quinn, a QUIC implementation, with its default transport configuration: rustls and ring below
//! it, a certificate made on the spot, one tokio runtime and one thread on each side.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring as ring_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::quic;
use rustls::version::TLS13;

use crate::workload::{Failure, Figures, Suite, Workload, thread_cpu};

/// The certificate's name.
const NAME: &str = "localhost";
/// What the client hands over in one write. The buffer is shared, not copied, by each write.
const WRITE: usize = 1 << 20;

/// What the client's thread measured.
struct ClientFigures {
    handshake: Duration,
    first_write: Instant,
    cpu: Duration,
}

/// What the server's thread measured.
struct ServerFigures {
    last_read: Instant,
    received: u64,
    cpu: Duration,
}

/// Runs the workload once.
pub fn run(work: &Workload) -> Result<Figures, Failure> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server_config = server_config(work.suite, certificate.clone(), key)?;
    let client_config = client_config(work.suite, certificate)?;

    let (address_out, address_in) = channel();
    let work = *work;
    let server = thread::spawn(move || serve(server_config, address_out));
    let client = thread::spawn(move || send(client_config, &work, address_in));
    // The client is asked first: if it fails, the server may wait for a peer that never comes, and
    // the process ends with the client's error.
    let client = client.join().map_err(|_| "the client's thread panicked")??;
    let server = server.join().map_err(|_| "the server's thread panicked")??;
    if server.received != work.bytes {
        return Err(format!("{} of {} bytes arrived", server.received, work.bytes).into());
    }
    Ok(Figures {
        handshake: client.handshake,
        transfer: server.last_read.duration_since(client.first_write),
        cpu_client: client.cpu,
        cpu_server: server.cpu,
        received: server.received,
    })
}

/// Accepts one connection and reads one stream to its end.
fn serve(
    config: quinn::ServerConfig,
    address: Sender<SocketAddr>,
) -> Result<ServerFigures, Failure> {
    runtime()?.block_on(async {
        let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
        address.send(endpoint.local_addr()?)?;
        let incoming = endpoint.accept().await.ok_or("the endpoint closed")?;
        let connection = incoming.await?;
        let mut stream = connection.accept_uni().await?;
        let mut received = 0;
        // Chunks come without a copy, in order, as an application would want them.
        while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
            received += chunk.bytes.len() as u64;
        }
        let last_read = Instant::now();
        connection.close(0u32.into(), b"done");
        endpoint.wait_idle().await;
        Ok(ServerFigures { last_read, received, cpu: thread_cpu() })
    })
}

/// Connects, sends everything on one stream and waits until the server has closed.
fn send(
    config: quinn::ClientConfig,
    work: &Workload,
    address: Receiver<SocketAddr>,
) -> Result<ClientFigures, Failure> {
    let server = address.recv()?;
    runtime()?.block_on(async {
        let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        endpoint.set_default_client_config(config);
        let begun = Instant::now();
        let connection = endpoint.connect(server, NAME)?.await?;
        let handshake = begun.elapsed();
        let block = Bytes::from(vec![0x5a; WRITE]);
        let mut stream = connection.open_uni().await?;
        let first_write = Instant::now();
        let mut left = work.bytes;
        while left > 0 {
            let size = left.min(WRITE as u64) as usize;
            stream.write_chunk(block.slice(..size)).await?;
            left -= size as u64;
        }
        stream.finish()?;
        connection.closed().await;
        endpoint.wait_idle().await;
        Ok(ClientFigures { handshake, first_write, cpu: thread_cpu() })
    })
}

/// One thread per side: the runtime runs on the thread that waits for it.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A provider that offers the one suite of this run.
fn provider(suite: Suite) -> Arc<CryptoProvider> {
    let only = match suite {
        Suite::Aes256 => ring_provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        Suite::Aes128 => ring_provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        Suite::ChaCha => ring_provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    Arc::new(CryptoProvider { cipher_suites: vec![only], ..ring_provider::default_provider() })
}

/// QUIC seals its first packets with AES-128-GCM whatever the handshake agrees on.
fn initial_suite() -> Result<quic::Suite, Failure> {
    let suite = ring_provider::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().and_then(|tls| tls.quic_suite());
    Ok(suite.ok_or("the provider has no suite for first packets")?)
}

/// The server's configuration, default but for the suite.
fn server_config(
    suite: Suite,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
) -> Result<quinn::ServerConfig, Failure> {
    let tls = rustls::ServerConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    let tls = QuicServerConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    Ok(quinn::ServerConfig::with_crypto(Arc::new(tls)))
}

/// The client's configuration, default but for the suite; it trusts the one certificate.
fn client_config(
    suite: Suite,
    certificate: CertificateDer<'static>,
) -> Result<quinn::ClientConfig, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let tls = rustls::ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    Ok(quinn::ClientConfig::new(Arc::new(tls)))
}
