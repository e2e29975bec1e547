//! The sockets of a command, and what secures its links.

use crate::address::{HostPort, Remote};
use crate::args;
use crate::fail::{Fail, Result};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use tripline_sansio::LinkKind;
use tripline_std::HubOptions;
use tripline_tls::{ServerIdentity, Tls};
use tripline_udp::Socket;

/// How often the system is asked for another port, where UDP has one that is taken for TCP.
const PORTS: usize = 32;

/// The sockets of a command.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For datagrams.
    pub(crate) udp: Option<Socket>,
    /// For links that others open.
    pub(crate) listener: Option<(LinkKind, TcpListener)>,
}

impl Sockets {
    /// A client's, bound to any port.
    pub(crate) fn client(remote: &Remote) -> Result<Self> {
        let any4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let socket = match remote.at.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => bind(any4),
            Ok(IpAddr::V6(_)) => bind(any6),
            // A name may have addresses of both families; one socket reaches them all.
            Err(_) => bind(any6).or_else(|_| bind(any4)),
        };
        Ok(Self { udp: Some(socket?), listener: None })
    }

    /// A server's, at an address as the user gave it: no host means all addresses.
    pub(crate) fn server(address: &HostPort, options: &args::Server) -> Result<Self> {
        let kind = match (options.tcp, options.tls) {
            (_, true) => Some(LinkKind::Tls),
            (true, false) => Some(LinkKind::Tcp),
            (false, false) => None,
        };
        if options.no_udp && kind.is_none() {
            return Err(Fail::usage("--no-udp leaves nothing to listen on; add --tcp or --tls"));
        }
        let found = places(address)?;
        let mut tried: Result<Self> = Err(Fail::local("no address"));
        for place in found {
            tried = tried.or_else(|_| Self::listen(place, kind, !options.no_udp));
        }
        tried
    }

    /// Both at one port. One that the system chose for UDP may be taken for TCP: then another.
    fn listen(address: SocketAddr, kind: Option<LinkKind>, udp: bool) -> Result<Self> {
        let mut tried = Self::listen_once(address, kind, udp);
        for _ in 0..PORTS {
            if tried.is_ok() || address.port() != 0 || !udp || kind.is_none() {
                break;
            }
            tried = Self::listen_once(address, kind, udp);
        }
        tried
    }

    fn listen_once(mut address: SocketAddr, kind: Option<LinkKind>, udp: bool) -> Result<Self> {
        let udp = udp.then(|| bind(address)).transpose()?;
        if let Some(socket) = &udp {
            address.set_port(local(socket.local_addr())?.port());
        }
        let listen = |kind| {
            let listener = tripline_std::listener(address);
            let failed = |error| Fail::io(format_args!("cannot listen at {address}"), &error);
            listener.map(|listener| (kind, listener)).map_err(failed)
        };
        Ok(Self { udp, listener: kind.map(listen).transpose()? })
    }

    /// Where we are.
    pub(crate) fn local(&self) -> Result<SocketAddr> {
        match (&self.udp, &self.listener) {
            (Some(socket), _) => local(socket.local_addr()),
            (None, Some((_, listener))) => local(listener.local_addr()),
            (None, None) => Err(Fail::local("there is no socket")),
        }
    }

    /// How many datagrams a train may have.
    pub(crate) fn segments(&self) -> usize {
        self.udp.as_ref().map_or(1, Socket::max_gso_segments)
    }
}

fn local(address: std::io::Result<SocketAddr>) -> Result<SocketAddr> {
    address.map_err(|error| Fail::io("cannot tell our address", &error))
}

fn bind(address: SocketAddr) -> Result<Socket> {
    Socket::bind(address, &tripline_udp::Options::default())
        .map_err(|error| Fail::io(format_args!("cannot listen at {address}"), &error))
}

/// What an address may mean.
fn places(address: &HostPort) -> Result<Vec<SocketAddr>> {
    if address.host.is_empty() {
        let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port));
        let any4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port));
        return Ok(vec![any6, any4]);
    }
    let found = tripline_std::resolve(&address.host, address.port);
    found.map_err(|error| Fail::io(format_args!("cannot listen at {address}"), &error))
}

/// What secures the links of a client.
pub(crate) fn client_options(options: &args::Client) -> Result<HubOptions> {
    let tls = match &options.tls_ca {
        None => Tls::client_of_anyone(),
        Some(file) => Tls::client_of_pem(&read(file)?)
            .map_err(|error| Fail::local(format_args!("{}: {}", file.display(), error.text)))?,
    };
    Ok(HubOptions { secure: Some(Arc::new(tls)), ..HubOptions::default() })
}

/// What secures the links of a server.
pub(crate) fn server_options(options: &args::Server) -> Result<HubOptions> {
    if !options.tls {
        return Ok(HubOptions::default());
    }
    let made = match &options.tls_identity {
        None => Tls::self_signed(&["localhost"]),
        Some(file) => {
            let pem = read(file)?;
            ServerIdentity::from_pem(&pem, &pem).and_then(Tls::server)
        }
    };
    let tls = made.map_err(|error| {
        let file = options.tls_identity.as_deref().map(Path::display);
        let file = file.map_or_else(String::new, |file| format!("{file}: "));
        Fail::local(format_args!("{file}{}", error.text))
    })?;
    Ok(HubOptions { secure: Some(Arc::new(tls)), ..HubOptions::default() })
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| Fail::io(file.display(), &error))
}
