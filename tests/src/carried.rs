//! An endpoint and what carries its packets: datagrams, pipes, or pipes with TLS in them.
//!
//! So that one body of a test runs over each: [`Carrier::run`] says which, and every
//! [`Pair`](crate::Pair) that the body makes obeys. Whoever calls the endpoint notices nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use tripline::{Endpoint, Event, LinkEndpoint, LinkId};
use tripline_sansio::{Instant, LinkLayer, Path, Secure, Transmit};
use tripline_sim::{Cut, DatagramMachine, Duration, Ecn, PipeMachine, StreamConfig};
use tripline_tls::Tls;

/// What carries the packets of a [`Pair`](crate::Pair).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Carrier {
    /// Datagrams, as everywhere else.
    #[default]
    Datagrams,
    /// A reliable stream of bytes that cuts them anywhere.
    Pipe,
    /// The same with TLS in it.
    Tls,
}

thread_local! {
    static CARRIER: Cell<Carrier> = const { Cell::new(Carrier::Datagrams) };
    static USED: Cell<Used> = const { Cell::new(Used { packets: 0, datagrams: 0 }) };
    static TLS: RefCell<Option<Rc<Tls>>> = const { RefCell::new(None) };
}

/// What the pairs of a test have sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Used {
    /// Writes to pipes.
    packets: u64,
    /// Datagrams.
    datagrams: u64,
}

impl Carrier {
    /// What carries the packets of pairs that are made on this thread.
    pub fn current() -> Self {
        CARRIER.get()
    }

    /// Runs a test over this carrier.
    ///
    /// # Panics
    /// If the test does, or if not all of it went over this carrier.
    pub fn run(self, test: fn()) {
        CARRIER.set(self);
        USED.set(Used { packets: 0, datagrams: 0 });
        test();
        CARRIER.set(Self::Datagrams);
        let used = USED.get();
        if self != Self::Datagrams {
            assert!(used.packets > 0, "nothing went over the {self:?}");
            assert_eq!(used.datagrams, 0, "some of it went by datagrams");
        }
    }

    /// What the pipes of pairs are like, with this delay.
    pub(crate) fn pipes(delay: Duration) -> StreamConfig {
        StreamConfig::perfect().delay(delay).cut(Cut::UpTo(3_000))
    }
}

fn note(change: impl FnOnce(&mut Used)) {
    let mut used = USED.get();
    change(&mut used);
    USED.set(used);
}

/// Both sides of TLS, made once for each thread: keys take a while in debug builds.
fn tls() -> Rc<Tls> {
    TLS.with_borrow_mut(|made| {
        let make = || {
            let server = Tls::self_signed(&["server"]).expect("a certificate");
            Rc::new(Tls::client_of_anyone().and_server(server))
        };
        Rc::clone(made.get_or_insert_with(make))
    })
}

/// An endpoint, to be used as one, and its links.
pub struct Carried {
    links: LinkEndpoint,
    is_client: bool,
    layers: BTreeMap<u64, LinkLayer>,
    /// Pipes whose layer may have bytes of its own.
    ready: VecDeque<u64>,
    plain: Vec<u8>,
}

impl Carried {
    pub(crate) fn new(endpoint: Endpoint, is_client: bool) -> Self {
        Self {
            links: LinkEndpoint::new(endpoint),
            is_client,
            layers: BTreeMap::new(),
            ready: VecDeque::new(),
            plain: Vec::new(),
        }
    }
}

impl From<Endpoint> for Carried {
    /// One that nobody opens links from.
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint, false)
    }
}

impl Deref for Carried {
    type Target = Endpoint;
    fn deref(&self) -> &Endpoint {
        self.links.endpoint()
    }
}

impl DerefMut for Carried {
    fn deref_mut(&mut self) -> &mut Endpoint {
        self.links.endpoint_mut()
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carried").field("links", &self.links.links()).finish_non_exhaustive()
    }
}

impl DatagramMachine for Carried {
    type Event = Event;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.links.handle_datagram(now, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.links.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let transmit = self.links.poll_transmit(now, out)?;
        note(|used| used.datagrams += 1);
        Some(transmit)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.links.handle_too_big(now, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.links.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.links.poll_event()
    }
}

impl PipeMachine for Carried {
    fn handle_opened(&mut self, now: Instant, pipe: u64) -> bool {
        if Carrier::current() == Carrier::Tls {
            let nowhere = std::net::SocketAddr::from(([10, 0, 0, 2], 1));
            let made = match self.is_client {
                true => tls().client(now, "server", nowhere),
                false => tls().server(now),
            };
            self.layers.insert(pipe, made.expect("a layer"));
            self.ready.push_back(pipe);
        }
        self.links.opened(LinkId::new(pipe))
    }

    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        let link = LinkId::new(pipe);
        let Some(layer) = self.layers.get_mut(&pipe) else {
            return self.links.handle_bytes(now, link, bytes).is_ok();
        };
        self.plain.clear();
        layer.handle_bytes(now, bytes, &mut self.plain).expect("TLS that nobody disturbs");
        self.ready.push_back(pipe);
        self.plain.is_empty() || self.links.handle_bytes(now, link, &self.plain).is_ok()
    }

    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool {
        self.handle_broken(now, pipe);
        false
    }

    fn handle_broken(&mut self, now: Instant, pipe: u64) {
        self.layers.remove(&pipe);
        self.links.closed(now, LinkId::new(pipe));
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.ready.pop_front().or_else(|| self.links.poll_ready(now).map(LinkId::number))
    }

    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        let link = LinkId::new(pipe);
        let some = match self.layers.get_mut(&pipe) {
            None => self.links.poll_write(now, link, out),
            Some(layer) => {
                self.plain.clear();
                if layer.is_open() && self.links.poll_write(now, link, &mut self.plain) {
                    layer.write(&self.plain).expect("TLS takes all");
                }
                layer.poll_write(out)
            }
        };
        note(|used| used.packets += u64::from(some));
        some
    }
}
