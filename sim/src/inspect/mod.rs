//! The inspector: reads along on the wire and under the seal, and says who breaks a rule.
//!
//! It is put into a run at two places: as the cipher of every endpoint ([`Inspector::on`]), where
//! it hears what is sealed and what verifies, and as a tap of the [`World`](crate::World)
//! ([`Inspector::tap`]), where it sees every datagram. It knows PROTOCOL.md and nothing of the
//! engine: packets are read by the decoder of `wire`. What it finds are [`Violation`]s,
//! values that are collected and never a panic, and [`Marks`] of what was met on the way.
//!
//! ```
//! use tripline_sim::{Inspector, Instant, Seal, World};
//! use tripline::{Config, Endpoint};
//! let inspector = Inspector::new(Seal::Fast);
//! let config = inspector.on(Config::client());
//! let mut world = World::new(1);
//! world.add_tap(inspector.tap());
//! let client = Endpoint::new(config, &world.seed_for("client"), Instant::ZERO);
//! world.add_host("10.0.0.1:1111".parse().unwrap(), client);
//! assert!(inspector.take_violations().is_empty());
//! ```

mod violation;

pub use violation::{VIOLATIONS_MAX, Violation};

use crate::cipher::{FastAead, Recorder, Tape};
use crate::marks::Marks;
use crate::rule::PacketView;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tripline::{Aead, Config};

/// Which cipher the endpoints of an inspected run compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seal {
    /// [`FastAead`].
    Fast,
    /// The one of each configuration.
    Real,
}

/// See the head of this module. Copies share what they have seen.
#[derive(Clone)]
pub struct Inspector {
    seal: Seal,
    tape: Arc<Mutex<Tape>>,
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    marks: Marks,
    violations: Vec<Violation>,
}

impl Inspector {
    /// One that has seen nothing yet.
    pub fn new(seal: Seal) -> Self {
        Self { seal, tape: Arc::default(), state: Rc::default() }
    }

    /// The same configuration with the cipher that tells.
    #[must_use]
    pub fn on(&self, config: Config) -> Config {
        let inner: Arc<dyn Aead> = match self.seal {
            Seal::Fast => Arc::new(FastAead),
            Seal::Real => config.aead.clone(),
        };
        Config { aead: Arc::new(Recorder::new(inner, self.tape.clone())), ..config }
    }

    /// What a world is to show every datagram to.
    pub fn tap(&self) -> impl FnMut(&PacketView<'_>) + 'static {
        let state = self.state.clone();
        move |_packet| drop(state.borrow_mut())
    }

    /// What was found so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.state.borrow().violations.clone()
    }

    /// The same, and forgets it.
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.state.borrow_mut().violations)
    }

    /// What was met so far.
    pub fn marks(&self) -> Marks {
        self.state.borrow().marks.clone()
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("seal", &self.seal).finish_non_exhaustive()
    }
}
