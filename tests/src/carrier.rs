//! What lies between the two sides of a [`Pair`](crate::Pair), chosen for a whole test, so that one
//! body of a test runs over each kind: [`Carrier::run`] says which, every pair that the body makes
//! obeys, and in the end the books are looked at: all of it went that way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tripline_sim::{Chance, Cut, Duration, LinkConfig, StreamConfig};
use tripline_tls::Tls;

/// What carries the packets of a [`Pair`](crate::Pair).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Carrier {
    /// Datagrams, as everywhere else.
    #[default]
    Datagrams,
    /// A simulated stream of bytes that cuts them anywhere.
    Pipe,
    /// The same with TLS in it.
    TlsPipe,
    /// TCP connections of this machine, by the loops' own code around them (`tripline-tcp`). The
    /// time stays virtual: a simulated pipe says when which byte may be read.
    Tcp,
    /// The same with TLS in them, as the loops put it there.
    Tls,
}

/// What the pairs of a test have sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// Pairs that were made.
    pub(crate) pairs: u64,
    /// Writes to links.
    pub(crate) writes: u64,
    /// Datagrams, sent or handed in.
    pub(crate) datagrams: u64,
    /// Bytes that TCP connections of this machine took.
    pub(crate) written: u64,
    /// Bytes that were read from them.
    pub(crate) read: u64,
}

thread_local! {
    static CARRIER: Cell<Carrier> = const { Cell::new(Carrier::Datagrams) };
    static USED: Cell<Used> = const { Cell::new(Used {
        pairs: 0, writes: 0, datagrams: 0, written: 0, read: 0,
    }) };
    static TLS: RefCell<Option<Rc<Tls>>> = const { RefCell::new(None) };
}

impl Carrier {
    /// What carries the packets of pairs that are made on this thread.
    pub fn current() -> Self {
        CARRIER.get()
    }

    /// Whether it is one of streams of bytes: links.
    pub fn is_link(self) -> bool {
        self != Self::Datagrams
    }

    /// Whether TLS is in it.
    pub fn is_secured(self) -> bool {
        matches!(self, Self::TlsPipe | Self::Tls)
    }

    /// Whether TCP connections of this machine are under it.
    pub fn is_real(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// Runs a test over this carrier.
    ///
    /// # Panics
    /// If the test does, or if not all of it went over this carrier.
    pub fn run(self, test: fn()) {
        CARRIER.set(self);
        USED.set(Used::default());
        test();
        CARRIER.set(Self::Datagrams);
        let used = USED.get();
        if self.is_link() {
            assert!(used.writes > 0, "nothing went over the {self:?}: {used:?}");
            assert_eq!(used.datagrams, 0, "some of it went by datagrams: {used:?}");
        }
        let real = used.written > 0;
        assert_eq!(real, self.is_real(), "TCP connections of this machine: {used:?}");
        assert!(used.read <= used.written, "{used:?}");
    }

    /// What the pipes of pairs are like, where datagrams would go over this link. What is lost
    /// there is held up here, as TCP holds up what it must send again.
    pub(crate) fn pipes(link: &LinkConfig) -> StreamConfig {
        let pipe = StreamConfig { rate: link.rate, ..StreamConfig::perfect() };
        let pipe = pipe.delay(link.delay).jitter(link.jitter).cut(Cut::UpTo(3_000));
        match link.loss {
            Chance::NEVER => pipe,
            loss => pipe.stall(loss, STALL),
        }
    }
}

/// For how long a lost segment holds up what follows, at most.
const STALL: Duration = Duration::from_millis(200);

/// Puts something into the books of this thread's test.
pub(crate) fn note(change: impl FnOnce(&mut Used)) {
    let mut used = USED.get();
    change(&mut used);
    USED.set(used);
}

/// Both sides of TLS, made once for each thread: keys take a while in debug builds.
pub(crate) fn tls() -> Rc<Tls> {
    TLS.with_borrow_mut(|made| {
        let make = || {
            let server = Tls::self_signed(&["server"]).expect("a certificate");
            Rc::new(Tls::client_of_anyone().and_server(server))
        };
        Rc::clone(made.get_or_insert_with(make))
    })
}
