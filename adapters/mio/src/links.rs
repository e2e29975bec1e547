//! Where programs begin that may travel by links: a source around the transport's own hub.

use crate::entry::site;
use crate::{Address, Error, HubOptions, HubSource, ListenOptions};
use std::net::SocketAddr;
use tripline::{Config, ConnectOptions, ConnectionHandle, LinkHub, Over};
use tripline_common::link_hub;
use tripline_tcp::Listeners;
use tripline_udp::Socket;

/// As [`connect`](crate::connect), by what `over` says: datagrams, TCP, TLS, or whichever answers
/// first (row N49). [`LinkHub::carrier`] says which it is.
///
/// # Errors
/// As [`connect`](crate::connect).
pub fn connect_over(
    address: &str,
    over: Over,
    how: &HubOptions,
) -> Result<(HubSource<LinkHub>, ConnectionHandle), Error> {
    let address: Address = address.parse()?;
    let target = address.resolved()?;
    let mut source = link_client(Config::client(), how)?;
    let options = ConnectOptions::to(address.key);
    let begun = source.with(|hub, now| hub.connect(now, target, options, over));
    Ok((source, begun.map_err(Error::Start)?))
}

/// A client over a new UDP socket for IPv6 and IPv4; [`LinkHub::connect`] makes connections.
///
/// # Errors
/// [`Error::Io`] if there is no such socket to be had.
pub fn link_client(config: Config, how: &HubOptions) -> Result<HubSource<LinkHub>, Error> {
    start(Some(Socket::bind_any(&how.options.socket)?), config, how)
}

/// Listens on `address` for what the options say; and the address that it is at, with the port that
/// the system chose if it was to.
///
/// # Errors
/// [`Error::Io`] if there are no such sockets to be had.
pub fn listen_over(
    address: SocketAddr,
    config: Config,
    how: &ListenOptions,
) -> Result<(HubSource<LinkHub>, SocketAddr), Error> {
    let Listeners { udp, links, local } = how.bind(address)?;
    let mut source = start(udp, config, &how.hub())?;
    for (kind, listener) in links {
        let number = source.with(|hub, _| hub.number());
        source.add_listener(number, kind, listener);
    }
    Ok((source, local))
}

fn start(
    socket: Option<Socket>,
    config: Config,
    how: &HubOptions,
) -> Result<HubSource<LinkHub>, Error> {
    let hub = link_hub(config, site(socket.as_ref(), &how.options))?;
    let mut source = HubSource::new(hub, how);
    if let Some(socket) = socket {
        source.add_udp(LinkHub::UDP, socket)?;
    }
    Ok(source)
}
