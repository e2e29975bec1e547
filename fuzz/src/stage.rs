//! One endpoint on a bench: datagrams go in by hand, what it says comes out, and the rules of the
//! run loop are checked at every turn. There is no simulator here, so that an input costs
//! microseconds.

use crate::cipher::accept_magic;
use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, ReceiveResult, SecretKey, State,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};

/// A drain that hands out more datagrams than this for one input has gone mad.
const DRAIN_MAX: usize = 10_000;

/// The identity called `name`; the same in every run.
pub(crate) fn identity(name: &str) -> SecretKey {
    SecretKey::generate(&mut Seed::from_number(0).random(name))
}

/// An endpoint, its clock, and what it said.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) events: Vec<Event>,
}

impl Bench {
    pub(crate) fn new(config: Config, label: &str) -> Self {
        let config = Config { aead: accept_magic(), ..config };
        let endpoint = Endpoint::new(config, &Seed::from_number(0).child(label), Instant::ZERO);
        Self { endpoint, now: Instant::ZERO, sent: Vec::new(), events: Vec::new() }
    }

    /// A client that connects to the server's key, or without one (XX).
    pub(crate) fn client(known: bool) -> (Self, ConnectionHandle) {
        let mut bench = Self::new(Config::client(), "client");
        let mut options = ConnectOptions::to(identity("server").public_key());
        options.server_key = options.server_key.filter(|_| known);
        let handle = bench
            .endpoint
            .connect(bench.now, address(2).into(), options)
            .expect("the attempt begins");
        bench.drain();
        (bench, handle)
    }

    /// A public server.
    pub(crate) fn server() -> Self {
        Self::new(Config::public_server(identity("server")), "server")
    }

    /// Hands in a datagram from the host of this number, then drains.
    pub(crate) fn hear(&mut self, from: u8, datagram: &[u8]) {
        let path = Path { remote: address(from), local: None };
        let mut bytes = datagram.to_vec();
        self.endpoint.handle_datagram(self.now, path, Ecn::NotEct, &mut bytes);
        self.drain();
    }

    /// Lets time pass, firing every deadline.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1_000 {
            let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Takes all transmits and events; reads what is readable.
    pub(crate) fn drain(&mut self) {
        let mut buffer = Vec::new();
        for count in 0.. {
            buffer.clear();
            let Some(transmit) = self.endpoint.poll_transmit(self.now, &mut buffer) else { break };
            assert!(count < DRAIN_MAX, "a drain without end");
            assert_eq!(transmit.len, buffer.len(), "a transmit says what was appended");
            self.sent.extend(buffer.chunks(transmit.segment_size).map(<[u8]>::to_vec));
        }
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Readable { connection, stream } = event {
                while let Ok(ReceiveResult::Data(_)) =
                    self.endpoint.receive(self.now, connection, stream)
                {}
            }
            self.events.push(event);
        }
        buffer.clear();
        while self.endpoint.poll_transmit(self.now, &mut buffer).is_some() {
            buffer.clear();
        }
        let deadline = self.endpoint.poll_timeout();
        assert!(deadline.is_none_or(|at| at > self.now), "rule 3: {deadline:?} at {:?}", self.now);
    }

    /// The datagrams said since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent)
    }

    /// How many ends of connections were told; each connection ends once.
    pub(crate) fn ends(&self) -> usize {
        let end = |event: &&Event| {
            matches!(event, Event::Failed { .. } | Event::Closed { .. } | Event::Lost { .. })
        };
        self.events.iter().filter(end).count()
    }
}

/// The address of the host of this number.
pub(crate) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7))
}

/// A client and a server with a finished handshake, and what is needed to speak for the client.
pub(crate) struct Ready {
    pub(crate) server: Bench,
    /// What DATA for the server begins with.
    pub(crate) server_id: [u8; 8],
    /// The number of the next packet.
    pub(crate) number: u32,
}

impl Ready {
    pub(crate) fn new() -> Self {
        let (mut client, handle) = Bench::client(true);
        let mut server = Bench::server();
        let mut server_id = [0; 8];
        for _ in 0..4 {
            for datagram in client.take_sent() {
                if datagram[0] >= 0x80 {
                    server_id.copy_from_slice(&datagram[1..9]);
                }
                server.hear(1, &datagram);
            }
            for datagram in server.take_sent() {
                client.hear(2, &datagram);
            }
        }
        assert_eq!(client.endpoint.state(handle), Some(State::Ready));
        // Far from what the client has sent, near enough for four bytes.
        Self { server, server_id, number: 1_000 }
    }

    /// The server hears a packet of these frames.
    pub(crate) fn hear_frames(&mut self, frames: &[u8]) {
        let mut packet = vec![0xc0];
        packet.extend(self.server_id);
        packet.extend(self.number.to_be_bytes());
        packet.extend(frames);
        packet.extend(crate::cipher::MAGIC);
        self.number += 1;
        self.server.hear(1, &packet);
    }
}
