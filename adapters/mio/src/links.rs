//! Where programs begin that may travel by links: a source around the transport's own hub.

use crate::entry::site;
use crate::{Address, Error, HubOptions, HubSource, Options};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::{Config, ConnectOptions, ConnectionHandle, LinkHub, LinkRoute, Over};
use tripline_common::link_hub;
use tripline_sansio::Secure;
use tripline_tcp::{Limits, Listeners, ToListen};
use tripline_udp::Socket;

/// How to listen, for [`listen_over`].
#[derive(Clone, Default)]
pub struct ListenOptions {
    /// For the UDP socket, and the clock.
    pub options: Options,
    /// What else to listen for, at the same address: TCP, TLS. Without a port of its own a link
    /// has that of the address.
    pub links: Vec<LinkRoute>,
    /// Not to listen for datagrams.
    pub no_udp: bool,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("options", &self.options)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

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
    let ListenOptions { options, links, no_udp, limits, secure } = how;
    let what = ToListen {
        udp: (!no_udp).then_some(&options.socket),
        links: links.iter().map(|link| (link.kind, link.port)).collect(),
        secure: secure.is_some(),
    };
    let Listeners { udp, links, local } = Listeners::bind(address, &what)?;
    let how = HubOptions { options: *options, limits: *limits, secure: secure.clone() };
    let mut source = start(udp, config, &how)?;
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
