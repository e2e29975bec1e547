//! Where programs begin that may travel by links: a source around the transport's own hub.

use crate::hub::{HubOptions, HubSource};
use crate::{Address, Error, Options, hardware_aes, os_seed, resolve};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, LinkHub, LinkRoute, Over, Target,
};
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
    let target = match address.target() {
        Target::Name { host, port } => Target::Addresses(resolve(&host, port)?),
        addresses @ Target::Addresses(_) => addresses,
    };
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
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let socket = Socket::bind(any, &how.options.socket)
        .or_else(|_| Socket::bind((Ipv4Addr::UNSPECIFIED, 0).into(), &how.options.socket))?;
    start(Some(socket), config, how)
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
    mut config: Config,
    how: &HubOptions,
) -> Result<HubSource<LinkHub>, Error> {
    // What the user chose stands, as far as this machine can do it.
    if let Some(socket) = &socket {
        config.segments_max = config.segments_max.min(socket.max_gso_segments());
    }
    config.hardware_aes |= how.options.detect_aes && hardware_aes();
    let seed = os_seed()?;
    let endpoint = Endpoint::new(config, &seed, how.options.clock.now());
    let mut source = HubSource::new(LinkHub::new(endpoint, &seed.child("hub")), how);
    if let Some(socket) = socket {
        source.add_udp(LinkHub::UDP, socket)?;
    }
    Ok(source)
}
