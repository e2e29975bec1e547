//! Our own engine as a contender: a byte stream of one direction, everything else as a user gets it
//! who configures nothing.

use super::{Contender, Ends, Engine, Progress, Task};
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::{
    Aead, Config, Congestion, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, PublicKey,
    ReceiveResult, SecretKey, SendError, SendOptions, State, StreamId, StreamOptions,
    TransportConfig, default_aead,
};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Seed, Transmit};

/// A congestion controller of ours, and the name that commands and reports use.
pub type Named = (&'static str, fn() -> Congestion);

/// Our congestion controllers, all of them.
pub const CONTROLLERS: &[Named] = &[
    ("cubic", || Congestion::Cubic),
    ("newreno", || Congestion::NewReno),
    ("bbr", || Congestion::Bbr),
];

/// What the sender hands in at once; it is shared, not copied.
static CHUNK: [u8; 64 << 10] = [0x5a; 64 << 10];

/// Our engine with one of its congestion controllers.
#[derive(Clone, Debug)]
pub struct Tripline {
    name: String,
    congestion: Congestion,
    aead: Arc<dyn Aead>,
}

impl Tripline {
    /// With this controller, under this name; the AEAD is the portable one.
    pub fn new(name: impl Into<String>, congestion: Congestion) -> Self {
        Self { name: name.into(), congestion, aead: default_aead() }
    }

    /// With the controller of this name ([`CONTROLLERS`]), if there is one.
    pub fn named(controller: &str) -> Option<Self> {
        let (name, make) = CONTROLLERS.iter().find(|(name, _)| *name == controller)?;
        Some(Self::new(format!("tripline {name}"), make()))
    }

    /// With another computation of the AEAD, which only makes it faster.
    #[must_use]
    pub fn aead(mut self, aead: Arc<dyn Aead>) -> Self {
        self.aead = aead;
        self
    }

    fn config(&self, base: Config, task: &Task) -> Config {
        let transport = TransportConfig {
            datagram_size: task.datagram,
            // No search for larger ones: everyone sends the task's.
            datagram_ceiling: task.datagram,
            congestion: self.congestion.clone(),
            ..TransportConfig::default()
        };
        Config { transport, aead: Arc::clone(&self.aead), ..base }
    }
}

impl Contender for Tripline {
    fn name(&self) -> &str {
        &self.name
    }

    fn ends(&self, task: &Task, seed: &Seed) -> Result<Ends, String> {
        let identity = SecretKey::generate(&mut seed.random("identity"));
        let key = identity.public_key();
        let end = |config: Config, label: &str, role: Role| End {
            endpoint: Endpoint::new(self.config(config, task), &seed.child(label), Instant::ZERO),
            role,
            connection: None,
            progress: Progress::default(),
        };
        let sender = Role::Sender { to: task.receiver, key, left: task.bytes, stream: None };
        Ok(Ends {
            sender: Box::new(end(Config::client(), "sender", sender)),
            receiver: Box::new(end(Config::public_server(identity), "receiver", Role::Receiver)),
        })
    }
}

/// What an end has to do.
enum Role {
    /// Connects and sends.
    Sender {
        to: SocketAddr,
        key: PublicKey,
        /// Bytes that the endpoint has not taken yet.
        left: u64,
        stream: Option<StreamId>,
    },
    /// Takes all that comes.
    Receiver,
}

/// An endpoint and the application on it.
struct End {
    endpoint: Endpoint,
    role: Role,
    connection: Option<ConnectionHandle>,
    progress: Progress,
}

impl End {
    /// Notes why it cannot go on; the first reason counts.
    fn fail(&mut self, why: impl std::fmt::Debug) {
        self.progress.failed.get_or_insert_with(|| format!("{why:?}"));
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { connection, .. } => {
                self.connection = Some(connection);
                self.progress.connected_at.get_or_insert(now);
                self.pump(now);
            }
            Event::Writable { .. } => self.pump(now),
            Event::Readable { connection, stream } => self.take(now, connection, stream),
            end @ (Event::Failed { .. } | Event::Lost { .. } | Event::Closed { .. }) => {
                self.fail(end);
            }
            _ => {}
        }
    }

    /// Hands in as much as is taken, and finishes the stream behind the last byte.
    fn pump(&mut self, now: Instant) {
        let Some(connection) = self.connection else { return };
        let Role::Sender { left, stream, .. } = &mut self.role else { return };
        let id = match *stream {
            Some(id) => id,
            None => {
                let options = StreamOptions::one_way(Order::Bytes);
                match self.endpoint.open(now, connection, options) {
                    Ok(id) => *stream.insert(id),
                    Err(error) => return self.fail(error),
                }
            }
        };
        if *left == 0 {
            return;
        }
        while *left > 0 {
            let size = CHUNK.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            let chunk: &'static [u8] = &CHUNK[..size];
            match self.endpoint.send(now, connection, id, chunk, SendOptions::default()) {
                Ok(_) => *left -= size as u64,
                Err(SendError::Blocked) => return,
                Err(error) => return self.fail(error),
            }
            self.progress.payload += size as u64;
        }
        if let Err(error) = self.endpoint.finish(now, connection, id) {
            self.fail(error);
        }
    }

    /// Takes what a stream has to give.
    fn take(&mut self, now: Instant, connection: ConnectionHandle, stream: StreamId) {
        loop {
            match self.endpoint.receive(now, connection, stream) {
                Ok(ReceiveResult::Data(bytes)) => self.progress.payload += bytes.len() as u64,
                Ok(ReceiveResult::Nothing) => return,
                Ok(ReceiveResult::Finished) => {
                    self.progress.finished_at = Some(now);
                    return;
                }
                Ok(ReceiveResult::Closed(code)) => return self.fail(code),
                Err(error) => return self.fail(error),
            }
        }
    }
}

impl Engine for End {
    fn begin(&mut self, now: Instant) {
        let Role::Sender { to, key, .. } = self.role else { return };
        match self.endpoint.connect(now, to.into(), ConnectOptions::to(key)) {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => self.fail(error),
        }
        self.pump(now);
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.handle_datagram(now, path, ecn, datagram);
        if self.progress.connected_at.is_none()
            && let Some(connection) = self.connection
            && self.endpoint.state(connection).is_some_and(|state| state != State::Opening)
        {
            self.progress.connected_at = Some(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.endpoint.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn work(&mut self, now: Instant) -> bool {
        let mut worked = false;
        while let Some(event) = self.endpoint.poll_event() {
            self.on_event(now, event);
            worked = true;
        }
        worked
    }

    fn progress(&self) -> Progress {
        let stats = self.connection.and_then(|one| self.endpoint.connection_stats(one));
        let declared_lost = stats.map_or(0, |stats| stats.packets_lost);
        Progress { declared_lost, ..self.progress.clone() }
    }
}
