//! ENet (`rusty_enet`, ENet's C code moved to Rust): reliable ordered packets, **not encrypted**.
//! One host on each side, one channel.
//!
//! It has no credit of its own towards the application, which therefore keeps count of what is
//! under way, and sleeps on the socket for at most a millisecond, the step of ENet's clock.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rusty_enet::{Event, Host, HostSettings, Packet, PeerID};

use super::wait::readable_within;
use crate::meter::Mark;
use crate::script::Script;
use crate::sides;
use crate::task::{Failure, Record, Task, complete};

/// Requests of one connection that may wait for answers.
const WINDOW: u64 = 128;
/// Bytes of one packet of bulk; ENet cuts it into datagrams.
const CHUNK: usize = 32 << 10;
/// Bytes of bulk that may wait for the server's word.
const AHEAD: u64 = 512 << 10;
/// After how much silence the run counts as stuck.
const STUCK: Duration = Duration::from_secs(30);
/// What is asked of the system for each socket, as for the others: ENet takes losses hard.
const SOCKET_BUFFER: usize = 4 << 20;
/// The least step of ENet's clock.
const STEP: Duration = Duration::from_millis(1);

/// One side: a host that is serviced until it has nothing to do.
struct Side {
    host: Host<UdpSocket>,
    heard: Instant,
}

/// What a host tells, without borrowing it.
enum Told {
    Connected(PeerID),
    Packet(PeerID, Packet),
}

impl Side {
    fn new(peers: u64) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        set_socket_recv_buffer_size(&socket, SOCKET_BUFFER)?;
        set_socket_send_buffer_size(&socket, SOCKET_BUFFER)?;
        let settings =
            HostSettings { peer_limit: peers as usize, channel_limit: 1, ..Default::default() };
        let host = Host::new(socket, settings).map_err(|error| format!("{error:?}"))?;
        Ok(Self { host, heard: Instant::now() })
    }

    /// The next thing that happened; sends what is due. Nothing when it has waited a step.
    fn next(&mut self) -> Result<Option<Told>, Failure> {
        let told = match self.host.service()? {
            Some(Event::Connect { peer, .. }) => Told::Connected(peer.id()),
            Some(Event::Receive { peer, packet, .. }) => Told::Packet(peer.id(), packet),
            Some(Event::Disconnect { .. }) => return Err("a peer is gone".into()),
            None if self.heard.elapsed() > STUCK => {
                return Err("nothing happens any more".into());
            }
            None => {
                readable_within(self.host.socket(), STEP)?;
                return Ok(None);
            }
        };
        self.heard = Instant::now();
        Ok(Some(told))
    }

    fn send(&mut self, to: PeerID, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.host.peer_mut(to).send(0, &Packet::reliable(bytes))?)
    }
}

/// The bulk transfer.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    let bytes = task.bytes;
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let server = move |address: Sender<SocketAddr>| {
        let mut side = Side::new(1)?;
        address.send(side.host.socket().local_addr()?)?;
        let (mut received, mut told, mut end) = (0, 0, None);
        // Until the client knows it too: what was said last may have to be said again.
        while !seen.load(Ordering::SeqCst) {
            let Some(Told::Packet(peer, packet)) = side.next()? else { continue };
            received += packet.data().len() as u64;
            if received == bytes {
                end = end.or(Some(Mark::now()));
            }
            if received - told >= AHEAD / 4 || received == bytes {
                told = received;
                side.send(peer, &received.to_le_bytes())?;
            }
        }
        complete("bytes", received, bytes)?;
        Ok(end.ok_or("nothing was to be sent")?)
    };
    let client = move |at| {
        let mut side = Side::new(1)?;
        let peer = side.host.connect(at, 1, 0)?.id();
        while !matches!(side.next()?, Some(Told::Connected(_))) {}
        let block = vec![0x5a; CHUNK];
        let begun = Mark::now();
        let (mut sent, mut there) = (0, 0);
        while there < bytes {
            while sent < bytes && sent - there < AHEAD {
                let size = (bytes - sent).min(CHUNK as u64) as usize;
                side.send(peer, &block[..size])?;
                sent += size as u64;
            }
            if let Some(Told::Packet(_, packet)) = side.next()? {
                there = u64::from_le_bytes(packet.data().try_into()?);
            }
        }
        over.store(true, Ordering::SeqCst);
        Ok(begun)
    };
    let (end, begun) = sides::run(task.pin, server, client)?;
    Ok(Record::of_bytes(bytes, begun, end))
}

/// Pipelined requests.
pub fn requests(task: &Task) -> Result<Record, Failure> {
    run(task, WINDOW)
}

/// One request outstanding.
pub fn unbatched(task: &Task) -> Result<Record, Failure> {
    run(task, 1)
}

fn run(task: &Task, window: u64) -> Result<Record, Failure> {
    let task = *task;
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let server = move |address: Sender<SocketAddr>| {
        let mut side = Side::new(task.connections)?;
        address.send(side.host.socket().local_addr()?)?;
        while !seen.load(Ordering::SeqCst) {
            if let Some(Told::Packet(peer, packet)) = side.next()? {
                side.send(peer, packet.data())?;
            }
        }
        Ok(())
    };
    let client = move |at| {
        let mut side = Side::new(task.connections)?;
        for _ in 0..task.connections {
            side.host.connect(at, 1, 0)?;
        }
        let mut peers = Vec::new();
        while (peers.len() as u64) < task.connections {
            if let Some(Told::Connected(peer)) = side.next()? {
                peers.push(peer);
            }
        }
        let mut scripts = vec![Script::new(task.requests); peers.len()];
        let begun = Mark::now();
        for peer in &peers {
            ask(&mut side, &mut scripts[peer.0], *peer, window)?;
        }
        let mut done = 0;
        while done < peers.len() {
            let Some(Told::Packet(peer, packet)) = side.next()? else { continue };
            let script = scripts.get_mut(peer.0).ok_or("an unknown peer")?;
            script.answer(packet.data())?;
            done += usize::from(script.done());
            ask(&mut side, &mut scripts[peer.0], peer, window)?;
        }
        over.store(true, Ordering::SeqCst);
        Ok((begun, Mark::now()))
    };
    let ((), (begun, end)) = sides::run(task.pin, server, client)?;
    Ok(Record::of(task.connections * task.requests, begun, end))
}

/// Asks until the window is full; half a window at a time.
fn ask(side: &mut Side, script: &mut Script, peer: PeerID, window: u64) -> Result<(), Failure> {
    if script.outstanding() > window / 2 {
        return Ok(());
    }
    let mut request = BytesMut::new();
    while script.outstanding() < window && script.ask(&mut request).is_some() {
        side.send(peer, &request)?;
        request.clear();
    }
    Ok(())
}
