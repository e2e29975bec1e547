//! The same suite for loops around stream machines: a socket that carries bytes, cuts them anywhere
//! and ends.

use crate::book::Dirt;
use crate::check::play;
use crate::order::{LEN as ORDER_BYTES, Orders};
use crate::rule::{Broken, Rule};
use crate::scene::{Ready, Scene};
use crate::state::State;
use crate::stream_scripts::scripts;
use crate::told::Told;
use std::io;
use tripline_sansio::{Duration, Instant, StreamMachine};

/// As [`Scene`], with a socket that carries bytes. Like a TCP socket it moves as many bytes with a
/// call as it likes, few or many.
#[derive(Clone, Debug)]
pub struct StreamScene(Scene);

impl StreamScene {
    /// Reads the clock.
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Receives bytes: how many. Zero is the end of the peer's bytes; it is told once, and the
    /// socket is not readable any more after that.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = self.0.with(|state| state.receive_bytes(buffer));
        received.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Sends bytes: how many of them the socket has taken, from the front.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if it is full.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.0.with(|state| state.send_bytes(bytes));
        taken.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// As [`Scene::wait`].
    pub fn wait(&self, until: Option<Instant>, for_room: bool) -> Ready {
        self.0.wait(until, for_room)
    }

    /// As [`Scene::wait_for`].
    pub fn wait_for(&self, at_most: Option<Duration>, for_room: bool) -> Ready {
        self.0.wait_for(at_most, for_room)
    }

    /// As [`Scene::wait_edge`].
    pub fn wait_edge(&self, until: Option<Instant>) -> Ready {
        self.0.wait_edge(until)
    }
}

/// A stream machine that watches how it is driven.
#[derive(Debug)]
pub struct StreamProbe {
    scene: Scene,
    /// The bytes of an order that is not whole yet.
    begun: Vec<u8>,
    /// Bytes to give out.
    owed: usize,
    /// Bytes given out so far, by which the next ones are made.
    given: usize,
}

impl StreamProbe {
    fn new(scene: Scene) -> Self {
        Self { scene, begun: Vec::new(), owed: 0, given: 0 }
    }

    fn settle(&self, by: Dirt) {
        let mut state = self.scene.state();
        let (deadline, events) = (state.probe.deadline(), state.probe.events());
        state.book.settle(deadline, events, by);
    }

    /// Whether the scene has used the machine, and it was not asked for bytes since.
    pub(crate) fn is_commanded(&self) -> bool {
        self.scene.state().book.dirt == Some(Dirt::Command)
    }

    /// A transmit of an order is a kilobyte here.
    fn collect(&mut self) {
        self.owed += usize::from(self.scene.state().probe.take_transmits()) * 1_000;
    }
}

impl StreamMachine for StreamProbe {
    type Event = Told;

    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.scene.with(|state| state.on_bytes(now, bytes));
        for byte in bytes {
            self.begun.push(*byte);
            if self.begun.len() == ORDER_BYTES {
                let orders = Orders::read(&self.begun);
                self.begun.clear();
                self.scene.state().probe.obey(now, orders);
            }
        }
        self.settle(Dirt::Datagram);
    }

    fn handle_eof(&mut self, now: Instant) {
        self.scene.with(|state| state.on_eof(now));
        // Who is told of the end says goodbye.
        self.scene.state().probe.obey(now, Orders::send(1).telling(1));
        self.settle(Dirt::Datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.scene.with(|state| state.on_timeout(now));
        self.scene.state().probe.timeout(now);
        self.settle(Dirt::Timeout);
    }

    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.scene.with(|state| state.on_poll_transmit(now));
        self.collect();
        let before = out.len();
        let most = self.owed.min(700);
        self.owed -= most;
        // A pattern long enough that a byte that is lost shows.
        out.extend((self.given..self.given + most).map(|at| {
            let [.., high, low] = at.to_be_bytes();
            high ^ low
        }));
        self.given += most;
        if most == 0 {
            // Lets a deadline that comes with the end of the drain come.
            let _ = self.scene.state().probe.transmit(now, &mut Vec::new());
        }
        let bytes = out.get(before..).unwrap_or_default();
        self.scene.with(|state| state.on_write(most > 0, bytes));
        self.settle(Dirt::Timeout);
        most > 0
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.scene.with(State::count_call);
        self.scene.state().book.deadline
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.scene.with(State::on_poll_event);
        let mut state = self.scene.state();
        let event = state.probe.event()?;
        state.take_event(event);
        Some(event)
    }
}

/// A loop around a stream machine in the hands of the suite; see [`Subject`](crate::Subject).
pub trait StreamSubject: Sized {
    /// A loop around `machine` in the world of `scene`.
    fn start(machine: StreamProbe, scene: &StreamScene) -> Self;

    /// As [`Subject::turn`](crate::Subject::turn).
    fn turn(&mut self, events: &mut Vec<Told>);
}

/// Plays all scenes of one rule with a loop around a stream machine. [`Rule::Refusal`] and
/// [`Rule::Trace`] have none.
///
/// # Errors
/// The first rule that the loop breaks; it may be another one than the scene is about.
pub fn check_stream<S: StreamSubject>(rule: Rule) -> Result<(), Broken> {
    for script in scripts(rule) {
        let scene = Scene::new(State::new(rule, script, false));
        let machine = StreamProbe::new(scene.clone());
        play(&scene, || S::start(machine, &StreamScene(scene.clone())), S::turn)?;
    }
    Ok(())
}
