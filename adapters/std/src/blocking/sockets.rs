//! The sockets of a listener, all at one address, and the loop around them.

use super::watch::Watch;
use super::{Driver, User};
use crate::blocking::cell::{Accept, Inbox, Shared};
use crate::shards::{Post, keep_to_core};
use crate::{Error, HubLoop, HubOptions, ListenOptions, UdpLink, hardware_aes, listener, os_seed};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use tripline::{Config, Endpoint, LinkHub, LinkRoute};
use tripline_common::Door;
use tripline_sansio::LinkKind;
use tripline_udp::Socket;

/// How often another port is tried, where the system chose one that is taken for links.
const PORTS: usize = 32;

/// The sockets of one endpoint, and where it works.
pub(crate) struct Sockets {
    udp: Option<Socket>,
    listeners: Vec<(LinkKind, TcpListener)>,
    /// The way to the other endpoints on its port.
    post: Option<Post>,
    /// The core that its thread keeps to.
    core: Option<usize>,
}

impl Sockets {
    /// One UDP socket.
    pub(super) fn udp(socket: Socket) -> Self {
        Self { udp: Some(socket), listeners: Vec::new(), post: None, core: None }
    }

    /// The UDP socket of one of several endpoints on a port.
    pub(crate) fn shared(socket: Socket, post: Post, core: Option<usize>) -> Self {
        Self { post: Some(post), core, ..Self::udp(socket) }
    }

    /// What a listener listens on: one port for all whose port is not said. Where the system
    /// chooses that, it may have to do so more than once, as UDP's and TCP's are not the same.
    pub(super) fn bind(address: SocketAddr, how: &ListenOptions) -> io::Result<Self> {
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
            match Self::bind_once(address, how) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && address.port() == 0
                        && tries > 0 => {}
                other => return other,
            }
        }
    }

    fn bind_once(mut address: SocketAddr, how: &ListenOptions) -> io::Result<Self> {
        let mut udp = None;
        if !how.no_udp {
            let socket = Socket::bind(address, &how.options.socket)?;
            address.set_port(socket.local_addr()?.port());
            udp = Some(socket);
        }
        let mut listeners = Vec::new();
        for LinkRoute { kind, port } in &how.links {
            let mut at = address;
            at.set_port(port.unwrap_or(address.port()));
            let door = listener(at)?;
            if port.is_none() {
                address.set_port(door.local_addr()?.port());
            }
            listeners.push((*kind, door));
        }
        Ok(Self { udp, listeners, post: None, core: None })
    }

    /// Where we are, or anywhere.
    fn local(&self) -> io::Result<SocketAddr> {
        match (&self.udp, self.listeners.first()) {
            (Some(socket), _) => socket.local_addr(),
            (None, Some((_, listener))) => listener.local_addr(),
            (None, None) => Ok(SocketAddr::from(([0, 0, 0, 0], 0))),
        }
    }
}

/// An endpoint over these sockets, and its thread.
pub(super) fn start(
    sockets: Sockets,
    mut config: Config,
    how: &HubOptions,
    door: Door,
    listening: bool,
) -> Result<Arc<User>, Error> {
    let options = &how.options;
    // What the user chose stands, as far as this machine can do it.
    if let Some(socket) = &sockets.udp {
        config.segments_max = config.segments_max.min(socket.max_gso_segments());
    }
    config.hardware_aes |= options.detect_aes && hardware_aes();
    let local = sockets.local()?;
    let seed = os_seed()?;
    let endpoint = Endpoint::new(config, &seed, options.clock.now());
    let key = endpoint.public_key();
    let hub = LinkHub::new(endpoint, &seed.child("hub"));
    let mut looper = HubLoop::new(Watch::new(hub), how)?;
    let Sockets { udp, listeners, post, core } = sockets;
    if let Some(post) = &post {
        post.bell().hang(looper.waker());
    }
    if let Some(socket) = udp {
        let link = UdpLink::new(socket, options.receive_buffers);
        looper.add_udp(LinkHub::UDP, link.with_post(post));
    }
    for (kind, listener) in listeners {
        let number = looper.with(|watch, _| watch.hub.number());
        looper.add_listener(number, kind, listener);
    }
    let shared = Arc::new(Shared {
        waker: looper.waker(),
        local,
        key,
        inbox: Mutex::new(Inbox::default()),
        accept: Mutex::new(Accept { listening, ..Accept::default() }),
        accepted: Condvar::new(),
    });
    let driver = Driver::new(looper, Arc::clone(&shared), door);
    let thread = std::thread::Builder::new().name("tripline".into());
    thread.spawn(move || {
        core.into_iter().for_each(keep_to_core);
        driver.run();
    })?;
    Ok(Arc::new(User { shared }))
}
