//! s2n-quic, a QUIC implementation, with its default providers but for TLS: rustls and aws-lc, as
//! its own rustls provider has them, pinned to one cipher suite. GSO and GRO are on, and it
//! searches for the MTU up to 1,472 bytes of UDP payload.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::provider::tls::rustls::{Client as TlsClient, Server as TlsServer};
use s2n_quic::stream::{ReceiveStream, SendStream};
use s2n_quic::{Client, Server};

use super::tls::{Backend, Certificate, NAME};
use crate::asynchronous::{self, Connection, Peer, Reader, Writer};
use crate::task::{Failure, Record, Suite, Task};

/// The protocol that both sides name; it wants one.
const PROTOCOL: &[u8] = b"bench";
/// Chunks that a read takes at once.
const CHUNKS: usize = 32;
/// How long what was closed here is given to get out.
const PARTING: std::time::Duration = std::time::Duration::from_millis(50);

/// s2n-quic.
#[derive(Clone)]
pub struct S2n {
    certificate: Certificate,
}

/// The bulk transfer.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    asynchronous::bulk(S2n::new()?, task)
}

/// Requests behind their lengths on one stream of each connection.
pub fn requests(task: &Task) -> Result<Record, Failure> {
    asynchronous::requests(S2n::new()?, task)
}

/// The same with a call for each request and answer.
pub fn requests_each(task: &Task) -> Result<Record, Failure> {
    asynchronous::requests_each(S2n::new()?, task)
}

/// One request outstanding.
pub fn unbatched(task: &Task) -> Result<Record, Failure> {
    asynchronous::unbatched(S2n::new()?, task)
}

/// Round trips.
pub fn pingpong(task: &Task) -> Result<Record, Failure> {
    asynchronous::pingpong(S2n::new()?, task)
}

/// Handshakes.
pub fn connects(task: &Task) -> Result<Record, Failure> {
    asynchronous::connects(S2n::new()?, task)
}

impl S2n {
    fn new() -> Result<Self, Failure> {
        Ok(Self { certificate: Certificate::new()? })
    }
}

impl Peer for S2n {
    type Server = Server;
    type Client = Client;
    type Arriving = Linked;
    type Connection = Linked;

    async fn server(&self, suite: Suite) -> Result<(Server, SocketAddr), Failure> {
        let mut tls = self.certificate.server(suite, Backend::AwsLc)?;
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::builder().with_tls(TlsServer::from(tls))?.with_io(address)?.start()?;
        let address = server.local_addr()?;
        Ok((server, address))
    }

    async fn accept(server: &mut Server) -> Result<Option<Linked>, Failure> {
        Ok(server.accept().await.map(|connection| Linked { connection, ended: false }))
    }

    async fn arrive(arriving: Linked) -> Result<Linked, Failure> {
        // It hands on what is done.
        Ok(arriving)
    }

    async fn client(&self, suite: Suite) -> Result<Client, Failure> {
        let mut tls = self.certificate.client(suite, Backend::AwsLc)?;
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Client::builder().with_tls(TlsClient::from(tls))?.with_io(address)?.start()?)
    }

    async fn connect(client: &Client, to: SocketAddr) -> Result<Linked, Failure> {
        let connection = client.connect(Connect::new(to).with_server_name(NAME)).await?;
        Ok(Linked { connection, ended: false })
    }
}

/// A connection, and whether it was ended here.
pub struct Linked {
    connection: s2n_quic::Connection,
    ended: bool,
}

impl Connection for Linked {
    type Writer = SendStream;
    type Reader = ReceiveStream;

    async fn open(&mut self) -> Result<(SendStream, ReceiveStream), Failure> {
        let (reader, writer) = self.connection.open_bidirectional_stream().await?.split();
        Ok((writer, reader))
    }

    async fn accept(&mut self) -> Option<(SendStream, ReceiveStream)> {
        let (reader, writer) =
            self.connection.accept_bidirectional_stream().await.ok().flatten()?.split();
        Some((writer, reader))
    }

    fn close(&mut self) {
        self.ended = true;
        self.connection.close(0u32.into());
    }

    async fn closed(&mut self) {
        while self.accept().await.is_some() {}
        if self.ended {
            tokio::time::sleep(PARTING).await;
        }
    }
}

impl Writer for SendStream {
    async fn put(&mut self, bytes: Bytes) -> Result<(), Failure> {
        Ok(self.send(bytes).await?)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(SendStream::finish(self)?)
    }
}

impl Reader for ReceiveStream {
    async fn get(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.receive().await?)
    }

    async fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut chunks: [Bytes; CHUNKS] = Default::default();
        let (count, open) = self.receive_vectored(&mut chunks).await?;
        for chunk in &chunks[..count] {
            out.extend_from_slice(chunk);
        }
        Ok(open || count > 0)
    }
}
