//! The sockets of a listener, all at one address, and the loop around them.

use super::watch::Watch;
use super::{Driver, User};
use crate::blocking::cell::{Accept, Inbox, Shared};
use crate::shards::{Post, keep_to_core};
use crate::{Error, HubLoop, HubOptions, ListenOptions, UdpLink};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use tripline::{Config, LinkHub};
use tripline_common::{Door, Site, link_hub};
use tripline_sansio::LinkKind;
use tripline_tcp::{Listeners, ToListen};
use tripline_udp::Socket;

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

    /// What a listener listens on.
    pub(super) fn bind(address: SocketAddr, how: &ListenOptions) -> io::Result<Self> {
        let what = ToListen {
            udp: (!how.no_udp).then_some(&how.options.socket),
            links: how.links.iter().map(|link| (link.kind, link.port)).collect(),
            secure: how.secure.is_some(),
        };
        let Listeners { udp, links, .. } = Listeners::bind(address, &what)?;
        Ok(Self { udp, listeners: links, post: None, core: None })
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
    config: Config,
    how: &HubOptions,
    door: Door,
    listening: bool,
) -> Result<Arc<User>, Error> {
    let options = &how.options;
    let local = sockets.local()?;
    let site = Site {
        segments: sockets.udp.as_ref().map(Socket::max_gso_segments),
        detect_aes: options.detect_aes,
        now: options.clock.now(),
    };
    let hub = link_hub(config, site)?;
    let key = hub.endpoint().public_key();
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
