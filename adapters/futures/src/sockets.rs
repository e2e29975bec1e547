//! The sockets that an endpoint begins with, all at one address.

use crate::runtime::Runtime;
use crate::udp::Udp;
use crate::{ListenOptions, Options};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tripline_sansio::LinkKind;
use tripline_tcp::{Listeners, ToListen};

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

    /// What a listener listens on.
    pub(crate) fn listen(runtime: &R, at: SocketAddr, how: &ListenOptions) -> io::Result<Self> {
        let what = ToListen {
            udp: (!how.no_udp).then_some(&how.options.socket),
            links: how.links.iter().map(|link| (link.kind, link.port)).collect(),
            secure: how.secure.is_some(),
        };
        let Listeners { udp, links, local } = Listeners::bind(at, &what)?;
        let watch = |socket| Udp::new(runtime, socket, how.options.receive_buffers);
        Ok(Self { udp: udp.map(watch).transpose()?, listeners: links, local })
    }
}
