//! The sockets that a listener begins with, all at one address.

use crate::net::{Net, StdNet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tripline_sansio::LinkKind;
use tripline_udp::Socket;

/// How often another port is tried, where the system chose one that is taken for links.
const PORTS: usize = 32;

/// What to listen for.
#[derive(Clone, Debug)]
pub struct ToListen<'a> {
    /// Datagrams, by a socket like this.
    pub udp: Option<&'a tripline_udp::Options>,
    /// Links, each at a port of its own or that of the address.
    pub links: Vec<(LinkKind, Option<u16>)>,
    /// Whether there is something to secure links by.
    pub secure: bool,
}

/// Sockets at one address, none of which blocks.
#[derive(Debug)]
pub struct Listeners {
    /// For datagrams.
    pub udp: Option<Socket>,
    /// For links.
    pub links: Vec<(LinkKind, TcpListener)>,
    /// The address of the first of them.
    pub local: SocketAddr,
}

impl Listeners {
    /// Binds all of them: one port for all whose port is not said. Where the system chooses that,
    /// it may have to do so more than once, as UDP's and TCP's are not the same.
    ///
    /// # Errors
    /// No such sockets are to be had; there is nothing to listen for; TLS without a certificate.
    pub fn bind(address: SocketAddr, what: &ToListen<'_>) -> io::Result<Self> {
        let bad = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if what.udp.is_none() && what.links.is_empty() {
            return bad("neither UDP nor a link to listen on");
        }
        if !what.secure && what.links.iter().any(|(kind, _)| *kind == LinkKind::Tls) {
            return bad("to listen for TLS takes a certificate");
        }
        let mut tries = PORTS;
        loop {
            tries -= 1;
            match Self::bind_once(address, what) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && address.port() == 0
                        && tries > 0 => {}
                other => return other,
            }
        }
    }

    fn bind_once(mut address: SocketAddr, what: &ToListen<'_>) -> io::Result<Self> {
        let (mut udp, mut local) = (None, None);
        if let Some(options) = what.udp {
            let socket = Socket::bind(address, options)?;
            let bound = socket.local_addr()?;
            address.set_port(bound.port());
            (udp, local) = (Some(socket), Some(bound));
        }
        let mut links = Vec::new();
        for (kind, port) in &what.links {
            let mut at = address;
            at.set_port(port.unwrap_or(address.port()));
            let door = StdNet.listen(at)?;
            let bound = door.local_addr()?;
            if port.is_none() {
                address.set_port(bound.port());
            }
            local.get_or_insert(bound);
            links.push((*kind, door));
        }
        Ok(Self { udp, links, local: local.unwrap_or(address) })
    }
}
