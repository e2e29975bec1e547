//! The sockets that an endpoint begins with, all at one address.

use crate::runtime::Runtime;
use crate::udp::Udp;
use crate::{ListenOptions, Options};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tripline::LinkRoute;
use tripline_sansio::LinkKind;
use tripline_tcp::{Net, StdNet};

/// How often another port is tried, where the system chose one that is taken for links.
const PORTS: usize = 32;

/// A UDP socket and listeners, and where they are.
pub(crate) struct Bound<R: Runtime> {
    pub(crate) udp: Option<Udp<R::Io>>,
    pub(crate) listeners: Vec<(LinkKind, TcpListener)>,
    pub(crate) local: SocketAddr,
}

impl<R: Runtime> Bound<R> {
    /// One UDP socket.
    pub(crate) fn udp(runtime: &R, address: SocketAddr, options: &Options) -> io::Result<Self> {
        let udp = Udp::bind(runtime, address, &options.socket, options.receive_buffers)?;
        let local = udp.local_addr();
        Ok(Self { udp: Some(udp), listeners: Vec::new(), local })
    }

    /// What a listener listens on: one port for all whose port is not said. Where the system
    /// chooses that, it may have to do so more than once, as UDP's and TCP's are not the same.
    pub(crate) fn listen(
        runtime: &R,
        address: SocketAddr,
        how: &ListenOptions,
    ) -> io::Result<Self> {
        let bad = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if how.no_udp && how.links.is_empty() {
            return bad("neither UDP nor a link to listen on");
        }
        if how.links.iter().any(|link| link.kind == LinkKind::Tls) && how.secure.is_none() {
            return bad("to listen for TLS takes a certificate");
        }
        let mut tries = PORTS;
        loop {
            tries -= 1;
            match Self::listen_once(runtime, address, how) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && address.port() == 0
                        && tries > 0 => {}
                other => return other,
            }
        }
    }

    fn listen_once(runtime: &R, mut address: SocketAddr, how: &ListenOptions) -> io::Result<Self> {
        let mut udp = None;
        if !how.no_udp {
            let bound = Self::udp(runtime, address, &how.options)?;
            address.set_port(bound.local.port());
            udp = bound.udp;
        }
        let mut listeners = Vec::new();
        for LinkRoute { kind, port } in &how.links {
            let mut at = address;
            at.set_port(port.unwrap_or(address.port()));
            let door = StdNet.listen(at)?;
            if port.is_none() {
                address.set_port(door.local_addr()?.port());
            }
            listeners.push((*kind, door));
        }
        let first = match (&udp, listeners.first()) {
            (None, Some((_, listener))) => listener.local_addr()?,
            (Some(udp), _) => udp.local_addr(),
            (None, None) => address,
        };
        Ok(Self { udp, listeners, local: first })
    }
}
