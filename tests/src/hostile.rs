//! A peer that holds the keys and does what the test says: the handshake is a true one, then the
//! engine of one side is taken away, and the test writes its packets and reads the answers by hand.

use crate::frames::{self, Frame};
use crate::{Pair, Side, Wiretap, identity};
use std::collections::BTreeSet;
use tripline::{Config, ConnectionHandle, ConnectionStats, Event, State};
use tripline_sansio::Duration;

/// An honest side, a connection that it believes in, and the test at the other end of it.
///
/// ```
/// use tripline::{Event, LostCause};
/// use tripline_tests::{Hostile, frames};
/// let mut peer = Hostile::client(1);
/// peer.write(&frames::varints(&[0x3f])); // a type that nobody knows
/// assert!(matches!(peer.events()[..], [Event::Lost { cause: LostCause::Violation { .. }, .. }]));
/// assert_eq!(peer.read()[0].fields, [2, 0x3f], "DISCONNECT: violation, by this frame");
/// ```
pub struct Hostile {
    /// Both sides; the hostile one has no connection any more, and its host is cut off.
    pub pair: Pair,
    /// The side that is honest.
    pub honest: Side,
    /// The honest side's handle.
    pub connection: ConnectionHandle,
    /// The ID that the honest side is sent to.
    pub id: u64,
    ours: Wiretap,
    theirs: Wiretap,
    heard: BTreeSet<u64>,
}

impl Hostile {
    /// A hostile client of an honest public server.
    pub fn client(seed: u64) -> Self {
        Self::client_of(seed, Config::public_server(identity("server")))
    }

    /// A hostile client of a server with this configuration.
    pub fn client_of(seed: u64, server: Config) -> Self {
        Self::new(seed, Side::Server, Config::client(), server)
    }

    /// A hostile server of an honest client.
    pub fn server(seed: u64) -> Self {
        Self::server_of(seed, Config::client())
    }

    /// A hostile server of a client with this configuration.
    pub fn server_of(seed: u64, client: Config) -> Self {
        Self::new(seed, Side::Client, client, Config::public_server(identity("server")))
    }

    /// A finished handshake of these two, a second of rest, and then one side is `honest` alone.
    /// The ciphers of both configurations are replaced by taps, nothing is marked for ECN, so that
    /// there is one kind of ACK, and no MTU is searched for, so that all datagrams have one size
    /// and none is a probe that the test did not ask for.
    pub fn new(seed: u64, honest: Side, mut client: Config, mut server: Config) -> Self {
        for transport in [&mut client.transport, &mut server.transport] {
            transport.ecn = false;
            transport.datagram_ceiling = transport.datagram_size;
        }
        let taps = [Wiretap::default(), Wiretap::default()];
        let mut pair = Pair::with(seed, taps[0].on(client), taps[1].on(server));
        let (client, server) = pair.connected();
        pair.run(Duration::from_secs(1));
        let (connection, killed) = match honest {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        pair.cut_off(honest.other());
        pair.call(honest.other(), |endpoint, now| endpoint.kill(now, killed))
            .expect("the handle is good");
        pair.events(honest);
        let [client, server] = taps;
        let (ours, theirs) = match honest {
            Side::Client => (server, client),
            Side::Server => (client, server),
        };
        let id = ours.ids()[0];
        let mut hostile =
            Self { pair, honest, connection, id, ours, theirs, heard: BTreeSet::new() };
        hostile.read();
        hostile
    }

    /// Writes a packet with these frames and the next number; the honest side has it at once.
    pub fn write(&mut self, frames: &[u8]) {
        let packet = self.seal(frames);
        self.pair.deliver(self.honest, &packet);
    }

    /// The same with a number of the test's choice, which must not be one that was used.
    pub fn write_numbered(&mut self, number: u64, frames: &[u8]) {
        let packet = self.ours.forge_numbered(self.id, number, frames);
        self.pair.deliver(self.honest, &packet);
    }

    /// The same, with a number under which it does not verify; over links it comes from somebody
    /// else's.
    pub fn forge_numbered(&mut self, number: u64, frames: &[u8]) {
        let packet = self.ours.forge_numbered(self.id, number, frames);
        self.pair.forge(self.honest, &packet);
    }

    /// A sealed packet with the next number, for the test to deliver when and from where it likes.
    pub fn seal(&mut self, frames: &[u8]) -> Vec<u8> {
        self.ours.forge(self.id, frames)
    }

    /// The number that [`Self::write`] takes next.
    pub fn next_number(&self) -> u64 {
        self.ours.next_number(self.id)
    }

    /// The packets that the honest side sent since the last reading: the number of each, and its
    /// frames.
    pub fn read_numbered(&mut self) -> Vec<(u64, Vec<Frame>)> {
        let packets = self.theirs.take();
        self.heard.extend(packets.iter().map(|packet| packet.number));
        packets.iter().map(|packet| (packet.number, frames::read(&packet.text))).collect()
    }

    /// Their numbers alone.
    pub fn read_numbers(&mut self) -> Vec<u64> {
        self.read_numbered().into_iter().map(|(number, _)| number).collect()
    }

    /// The frames that the honest side sent since the last reading, PADDING left out.
    pub fn read(&mut self) -> Vec<Frame> {
        let all = self.read_numbered().into_iter().flat_map(|(_, frames)| frames);
        all.filter(|frame| frame.kind != frames::kind::PADDING).collect()
    }

    /// Those of one type; the others are lost.
    pub fn read_kind(&mut self, kind: u64) -> Vec<Frame> {
        self.read().into_iter().filter(|frame| frame.kind == kind).collect()
    }

    /// What was read so far counts as lost on its way: it is never acknowledged, later packets are,
    /// and so the honest side finds out.
    pub fn lose(&mut self) {
        self.read();
        self.heard.clear();
        for token in 0..4 {
            self.write(&frames::ping(token, false));
            self.read();
        }
        self.acknowledge();
    }

    /// Acknowledges everything that was read so far and not lost.
    pub fn acknowledge(&mut self) {
        let frames = frames::ack(self.heard.iter().copied());
        self.write(&frames);
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        self.pair.run(duration);
    }

    /// What the honest side told its user since it was asked last.
    pub fn events(&mut self) -> Vec<Event> {
        self.pair.events(self.honest)
    }

    /// Where the honest side's connection stands; `None` once it is gone.
    pub fn state(&self) -> Option<State> {
        self.pair.state(self.honest, self.connection)
    }

    /// The honest side's counters for this connection.
    ///
    /// # Panics
    /// If it is gone.
    pub fn stats(&self) -> ConnectionStats {
        let host = self.pair.host(self.honest);
        let stats = self.pair.world.machine(host).connection_stats(self.connection);
        stats.expect("the connection is there")
    }
}
