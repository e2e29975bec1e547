//! TLS around a link: rustls as a layer around a stream machine.
//!
//! [`Tls`] makes the layers, for clients and servers; a loop puts them around its TCP links
//! ([`Secure`](tripline_sansio::Secure)). [`TlsLayer`] is one of them: in go bytes of the link and
//! plain bytes, out come plain bytes and bytes for the link. It has no socket and no clock; its
//! entropy is its own (the operating system's, by rustls), which is why this is no core crate.
//! [`TlsMachine`] puts a layer around any stream machine.
//!
//! # What it proves, and what not
//!
//! The transport proves who the other side is by its own key, inside. TLS here is a way through
//! networks that let nothing else pass: by default a client takes **any** certificate
//! ([`Tls::client_of_anyone`]) and a server shows one that it has made itself. Whoever sits in the
//! middle can end such a TLS session and sees the packets of the transport, which tell as little as
//! they do over UDP. Who wants more names roots ([`Tls::client`]): then a link to anyone else is
//! refused before a packet is sent.
//!
//! ```
//! use tripline_sansio::{Duration, Instant, Secure, StreamLayer};
//! use tripline_tls::Tls;
//!
//! let both = Tls::client_of_anyone().and_server(Tls::self_signed(&["localhost"])?);
//! let now = Instant::ZERO;
//! let mut client = both.client(now, "localhost", "127.0.0.1:1".parse().unwrap())?;
//! let mut server = both.server(now)?;
//! let (mut there, mut back, mut heard) = (Vec::new(), Vec::new(), Vec::new());
//! while client.poll_write(&mut there) | server.poll_write(&mut back) {
//!     server.handle_bytes(now, &std::mem::take(&mut there), &mut heard)?;
//!     client.handle_bytes(now, &std::mem::take(&mut back), &mut heard)?;
//! }
//! assert!(client.is_open() && server.is_open() && heard.is_empty());
//! client.write(b"hello")?;
//! client.poll_write(&mut there);
//! server.handle_bytes(now, &there, &mut heard)?;
//! assert_eq!(heard, b"hello");
//! # Ok::<_, tripline_sansio::LinkError>(())
//! ```
//!
//! TLS 1.3 only, by `ring`.
#![forbid(unsafe_code)]

mod anyone;
mod config;
mod layer;
#[cfg(test)]
mod tests;

pub use config::{ServerIdentity, Tls};
pub use layer::TlsLayer;
pub use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A stream machine within TLS: a stream machine again.
pub type TlsMachine<M> = tripline_sansio::Layered<TlsLayer, M>;

/// The name that both sides give to what they speak inside (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"trip/1";

/// How long a handshake may take unless told otherwise.
pub const HANDSHAKE_TIMEOUT: tripline_sansio::Duration = tripline_sansio::Duration::from_secs(5);
