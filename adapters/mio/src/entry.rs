//! Where most programs begin: a source around an endpoint of the transport.

use crate::{Address, Error, Options, Source};
use std::net::SocketAddr;
use tripline::{Config, ConnectOptions, ConnectionHandle, Endpoint};
use tripline_common::{Site, endpoint};
use tripline_udp::Socket;

/// Begins to connect to the server at `address` (`KEY@HOST:PORT`), without an identity of our own
/// (row T78): a source to be registered, and the connection, of which it will tell
/// [`Connected`](tripline::Event::Connected) or [`Failed`](tripline::Event::Failed).
///
/// A host name is resolved here and now, which may take the system some time. A program that cannot
/// wait hands a [`Target::Name`](tripline::Target::Name) to the endpoint and answers
/// [`Event::Resolve`](tripline::Event::Resolve).
///
/// # Errors
/// [`Error::Address`], [`Error::Start`], [`Error::Io`].
pub fn connect(address: &str) -> Result<(Source<Endpoint>, ConnectionHandle), Error> {
    let address: Address = address.parse()?;
    let (target, options) = (address.resolved()?, Options::default());
    let mut source = start(Socket::bind_any(&options.socket)?, Config::client(), &options)?;
    let how = ConnectOptions::to(address.key);
    let begun = source.with(|endpoint, now| endpoint.connect(now, target, how));
    Ok((source, begun.map_err(Error::Start)?))
}

/// Listens on `address`, such as `0.0.0.0:4444`, or `127.0.0.1:0` for a port of the system's choice
/// (row T78). The source is to be registered; clients are told as
/// [`Connected`](tripline::Event::Connected).
///
/// # Errors
/// [`Error::Address`] if it is no address; [`Error::Io`] if there is no such socket to be had.
pub fn listen(address: &str, config: Config) -> Result<Source<Endpoint>, Error> {
    let bad = |_| Error::Address(format!("{address:?}; IP:PORT is wanted"));
    bind(address.parse().map_err(bad)?, config, &Options::default())
}

/// An endpoint with this configuration, over a new socket at `address`: for servers, and for
/// clients that connect by [`Endpoint::connect`]. Trains are as long as the configuration says, or
/// as the socket can send if that is less.
///
/// # Errors
/// [`Error::Io`] if there is no such socket to be had.
pub fn bind(
    address: SocketAddr,
    config: Config,
    options: &Options,
) -> Result<Source<Endpoint>, Error> {
    start(Socket::bind(address, &options.socket)?, config, options)
}

/// What [`connect`] takes: the endpoint's key and the address of the socket (which names no host if
/// the socket listens on all of them).
///
/// # Errors
/// What the system says.
pub fn address(source: &Source<Endpoint>) -> Result<String, Error> {
    let local = source.local_addr()?;
    Ok(match source.machine().public_key() {
        Some(key) => format!("{key}@{local}"),
        None => local.to_string(),
    })
}

fn start(socket: Socket, config: Config, options: &Options) -> Result<Source<Endpoint>, Error> {
    let endpoint = endpoint(config, site(Some(&socket), options))?;
    Ok(Source::new(socket, options, endpoint)?)
}

pub(crate) fn site(socket: Option<&Socket>, options: &Options) -> Site {
    let segments = socket.map(Socket::max_gso_segments);
    Site { segments, detect_aes: options.detect_aes, now: options.clock.now() }
}
