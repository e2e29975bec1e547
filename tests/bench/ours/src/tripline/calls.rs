//! Calls over our own engine: 8-byte bodies, echoed, each with its own outcome. All that calls have
//! is at work: deadlines, limits, numbers, and the conversation that outlives its connection.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tripline::{Config, Endpoint, LinkHub, PublicKey, SecretKey};
use tripline_rpc::{
    Address, AskError, CallOptions, ClientOptions, ConnId, Event, Host, Node, NodeConfig,
    NodeEvent, Outcome, Scheme,
};
use tripline_sansio::Instant;
use tripline_std::{HubLoop, HubOptions, Options, Turn, UdpLink, os_seed};
use tripline_udp::Socket;

use super::{STUCK, Stop, server_with, with_suite};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task, complete};

/// Bytes of each call, and of each answer.
const BODY: usize = 8;
/// The method.
const ECHO: u16 = 1;
/// Connections that are being made at a time.
const AT_ONCE: usize = 32;
/// Calls in flight on one connection: beyond that they only cost memory.
const WINDOW: usize = 512;
/// Connections that ask before anything is sent: who lets all of them ask first keeps the server
/// waiting, and is kept waiting by it then.
const TOGETHER: usize = 16;

/// As many calls as fast as they go, [`WINDOW`] of them in flight on each connection.
pub fn calls(task: &Task) -> Result<Record, Failure> {
    let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
    let (task, key) = (*task, identity.public_key());
    let server = server_with(with_suite(Config::default(), task.suite), identity);
    let client = with_suite(Config::client(), task.suite);
    let stop_server = Stop::default();
    let stop_client = stop_server.clone();
    let (_, asker) = sides::run(
        task.pin,
        move |address: std::sync::mpsc::Sender<SocketAddr>| {
            let (mut looper, local) = looper(server)?;
            stop_server.add(looper.waker());
            address.send(local)?;
            serve(&mut looper, &stop_server)
        },
        move |at| {
            let (mut looper, _) = looper(client)?;
            stop_client.add(looper.waker());
            let mut asker = Asker::new(&task, at, key);
            let result = asker.run(&mut looper);
            stop_client.ring();
            result.map(|()| asker)
        },
    )?;
    let wanted = task.connections * task.requests;
    complete("answered calls", asker.answered, wanted)?;
    let begun = asker.begun.ok_or("never begun")?;
    Ok(Record::of(wanted, begun, asker.ended.ok_or("never ended")?))
}

/// A loop around a node, and where its socket is.
fn looper(config: Config) -> Result<(HubLoop<Node>, SocketAddr), Failure> {
    let (seed, how) = (os_seed()?, HubOptions::default());
    let options = Options { clock: how.options.clock, ..Options::default() };
    let endpoint = Endpoint::new(config, &seed.child("endpoint"), options.clock.now());
    let hub = LinkHub::new(endpoint, &seed.child("links"));
    let mut node = Node::new(hub, NodeConfig::default(), &seed.child("node"));
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options.socket)?;
    let local = socket.local_addr()?;
    node.adopt_udp(local);
    let mut looper = HubLoop::new(node, &how)?;
    looper.add_udp(LinkHub::UDP, UdpLink::new(socket, options.receive_buffers));
    Ok((looper, local))
}

/// The server: every call is answered with what it brought.
fn serve(looper: &mut HubLoop<Node>, stop: &Stop) -> Result<(), Failure> {
    let mut asked = Vec::new();
    while !stop.rung() {
        if looper.run_once(Some(STUCK))? == Turn::TimedOut {
            return Err("the server is stuck".into());
        }
        while let Some(event) = looper.next_event() {
            if let NodeEvent::Peer { conn, event: Event::Request { request, payload, .. } } = event
            {
                asked.push((conn, request, payload));
            }
        }
        looper.with(|node, now| {
            let mut all = asked.drain(..);
            all.try_for_each(|(conn, request, body)| node.reply(now, conn, request, &body[..]))
        })?;
    }
    Ok(())
}

/// The client: all connections of one node.
struct Asker {
    task: Task,
    address: Address,
    /// Calls that are still to be made on each, once it is connected.
    left: BTreeMap<ConnId, u64>,
    connected: u64,
    answered: u64,
    begun: Option<Mark>,
    ended: Option<Mark>,
}

impl Asker {
    fn new(task: &Task, at: SocketAddr, key: PublicKey) -> Self {
        let host = Host::Ip(at.ip());
        let address = Address { scheme: Scheme::Trip, key: Some(key), host, port: at.port() };
        let left = BTreeMap::new();
        Self { task: *task, address, left, connected: 0, answered: 0, begun: None, ended: None }
    }

    fn run(&mut self, looper: &mut HubLoop<Node>) -> Result<(), Failure> {
        let wanted = self.task.connections * self.task.requests;
        for _ in 0..self.task.connections.min(AT_ONCE as u64) {
            self.connect(looper);
        }
        while self.answered < wanted {
            if looper.run_once(Some(Duration::from_secs(20)))? == Turn::TimedOut {
                return Err("the client is stuck".into());
            }
            while let Some(event) = looper.next_event() {
                self.on_event(looper, event)?;
            }
            if self.begun.is_some() {
                self.ask_all(looper)?;
            }
        }
        self.ended = Some(Mark::now());
        Ok(())
    }

    fn connect(&mut self, looper: &mut HubLoop<Node>) {
        let address = self.address.clone();
        let conn = looper.with(|node, now| node.connect(now, address, ClientOptions::default()));
        self.left.insert(conn, self.task.requests);
    }

    fn on_event(&mut self, looper: &mut HubLoop<Node>, event: NodeEvent) -> Result<(), Failure> {
        match event {
            NodeEvent::Peer { event: Event::Outcome { outcome, .. }, .. } => match outcome {
                Outcome::Reply(body) if body.len() == BODY => self.answered += 1,
                other => return Err(format!("{other:?}").into()),
            },
            NodeEvent::Peer { event: Event::Ready { .. }, .. } => {
                self.connected += 1;
                if (self.left.len() as u64) < self.task.connections {
                    self.connect(looper);
                } else if self.connected == self.task.connections {
                    self.begun = Some(Mark::now());
                }
            }
            NodeEvent::Failed { why, .. } | NodeEvent::Lost { why, .. } => {
                return Err(why.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets all connections ask, some at a time.
    fn ask_all(&mut self, looper: &mut HubLoop<Node>) -> Result<(), Failure> {
        let mut conns: Vec<_> = self.left.iter_mut().filter(|(_, left)| **left > 0).collect();
        for some in conns.chunks_mut(TOGETHER) {
            looper.with(|node, now| ask(node, now, some))?;
            looper.run_once(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

/// Asks as much as the window allows.
fn ask(node: &mut Node, now: Instant, conns: &mut [(&ConnId, &mut u64)]) -> Result<(), Failure> {
    for (conn, left) in conns {
        let under_way = node.peer(**conn).ok_or("a connection is gone")?.calls();
        let room = WINDOW.saturating_sub(under_way) as u64;
        for _ in 0..room.min(**left) {
            let body = left.to_le_bytes();
            match node.call(now, **conn, ECHO, &body, CallOptions::default()) {
                Ok(_) => **left -= 1,
                Err(AskError::Blocked | AskError::TooMany { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
