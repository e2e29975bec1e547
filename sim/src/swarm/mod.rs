//! The swarm: many scenarios, each drawn from a number.
//!
//! [`draw`] makes a [`Scenario`](crate::scenario::Scenario) of a seed: first whether each feature
//! and each kind of fault exists in it at all, then how much of it. [`run`] draws and plays a range
//! of seeds on several threads, and says what they came to in the order of the seeds, so that the
//! result is the same with any number of threads. [`hashes`] keeps what runs came to in a list, so
//! that a change of behaviour is seen.
//!
//! Nothing here plays a scenario or reads a clock: both are handed in.

mod dice;
mod draw;
pub mod hashes;
mod ordered;
mod reached;
mod run;
mod summary;

pub use draw::{Family, Feature, draw, family, features};
pub use ordered::in_order;
pub use reached::{Reach, Reached};
pub use run::{Plan, TWICE_EVERY, run, run_twice};
pub use summary::{FAILURES_MAX, Found, Summary};
