//! The conformance suite of loops: whether a loop drives a machine as it must be driven, and if
//! not, which rule it breaks, when, and what happened before.
//!
//! Every adapter of tripline passes it, and so can a loop of your own. *In*: a loop around a
//! [`Machine`] of the suite, by way of a small trait ([`Subject`]) whose implementation puts the
//! suite's [`Scene`] in the place of the system's clock, socket and sleep. *Out*: nothing, or the
//! rule that is [`Broken`]. Time is virtual, nothing waits, and the same loop gets the same answer
//! each time. What the suite never does: look into the loop.
//!
//! ```
//! use tripline_kit::{Machine, Rule, Scene, Subject, Told, check};
//! use tripline_sansio::{DatagramMachine, Instant, Transmit};
//! use tripline_udp::SendOutcome;
//!
//! /// The shortest loop that obeys all rules but those of bounds.
//! struct Short {
//!     machine: Machine,
//!     scene: Scene,
//!     out: Vec<u8>,
//!     kept: Option<(Transmit, usize)>,
//! }
//!
//! impl Short {
//!     fn drain(&mut self, now: Instant) {
//!         loop {
//!             let next = self.kept.take().or_else(|| {
//!                 self.out.clear();
//!                 Some((self.machine.poll_transmit(now, &mut self.out)?, 0))
//!             });
//!             let Some((transmit, done)) = next else { return };
//!             let rest = &self.out[done..];
//!             match self.scene.send(&Transmit { len: rest.len(), ..transmit }, rest) {
//!                 SendOutcome::Full { sent } => {
//!                     self.kept = Some((transmit, done + sent));
//!                     return;
//!                 }
//!                 SendOutcome::Dropped(tripline_udp::DropCause::TooBig) => {
//!                     self.machine.handle_too_big(now, &transmit);
//!                 }
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//!
//! impl Subject for Short {
//!     fn start(machine: Machine, scene: &Scene) -> Self {
//!         let mut short = Self { machine, scene: scene.clone(), out: Vec::new(), kept: None };
//!         short.drain(scene.now());
//!         short
//!     }
//!
//!     fn turn(&mut self, events: &mut Vec<Told>) {
//!         events.extend(std::iter::from_fn(|| self.machine.poll_event()));
//!         let now = self.scene.now();
//!         let full = self.kept.is_some();
//!         let deadline = self.machine.poll_timeout().filter(|at| !full || *at > now);
//!         let ready = self.scene.wait(deadline, full);
//!         let now = self.scene.now();
//!         let Self { machine, scene, .. } = self;
//!         while let Ok(_) = scene.recv(&mut |path, ecn, datagram| {
//!             machine.handle_datagram(now, path, ecn, datagram);
//!         }) {}
//!         if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
//!             self.machine.handle_timeout(now);
//!         }
//!         if !full || ready.writable {
//!             self.drain(now);
//!         }
//!     }
//! }
//!
//! for rule in [Rule::Order, Rule::Deadline, Rule::Room, Rule::Wake, Rule::Trace] {
//!     check::<Short>(rule).unwrap();
//! }
//! // It takes as much as there is, however much that is.
//! assert_eq!(check::<Short>(Rule::Bounded).unwrap_err().rule, Rule::Bounded);
//! ```
//!
//! [`conformance!`] makes a test of each rule. Loops around stream machines have a suite of the
//! same kind: [`StreamSubject`], [`check_stream`], [`stream_conformance!`].
//!
//! The scenes know loops of one thread that drive their machine themselves. What they cannot see: a
//! turn that never comes back and calls nothing (it hangs), how precise the real sleep is, and what
//! the real socket does. [`Scene`] has no way to be slow: the present time is that of the last
//! wake.
#![forbid(unsafe_code)]

mod actor;
mod book;
mod bytes;
mod check;
mod hub;
mod judge;
mod machine;
mod order;
mod probe;
mod record;
mod rule;
mod scene;
mod scripts;
mod state;
mod stream;
mod stream_scripts;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
mod told;

pub use check::{Subject, check, check_all};
pub use hub::LinkProbe;
pub use machine::Machine;
pub use rule::{Broken, Rule};
pub use scene::{Ready, Scene};
pub use stream::{StreamProbe, StreamScene, StreamSubject, check_stream};
pub use told::Told;

/// Makes a test of each rule for a [`Subject`], in the module where it stands.
///
/// ```no_run
/// # struct MyLoop;
/// # impl tripline_kit::Subject for MyLoop {
/// #     fn start(_: tripline_kit::Machine, _: &tripline_kit::Scene) -> Self { Self }
/// #     fn turn(&mut self, _: &mut Vec<tripline_kit::Told>) {}
/// # }
/// mod conforms {
///     tripline_kit::conformance!(super::MyLoop);
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    ($subject:ty) => {
        $crate::conformance!(@tests $subject:
            order Order, events Events, clock Clock, deadline Deadline, room Room,
            refusal Refusal, batches Batches, bounded Bounded, wake Wake, idle Idle, early Early,
            trace Trace
        );
    };
    (@tests $subject:ty: $($name:ident $rule:ident),*) => {
        $(
            #[test]
            fn $name() {
                if let Err(broken) = $crate::check::<$subject>($crate::Rule::$rule) {
                    panic!("{broken}");
                }
            }
        )*

        /// No rule is left out.
        #[test]
        fn every_rule_is_checked() {
            assert_eq!([$($crate::Rule::$rule),*], $crate::Rule::ALL);
        }
    };
}

/// Makes a test of each rule for a [`StreamSubject`], as [`conformance!`] does.
#[macro_export]
macro_rules! stream_conformance {
    ($subject:ty) => {
        $crate::stream_conformance!(@tests $subject:
            order Order, events Events, clock Clock, deadline Deadline, room Room,
            batches Batches, bounded Bounded, wake Wake, idle Idle, early Early
        );
    };
    (@tests $subject:ty: $($name:ident $rule:ident),*) => {
        $(
            #[test]
            fn $name() {
                if let Err(broken) = $crate::check_stream::<$subject>($crate::Rule::$rule) {
                    panic!("{broken}");
                }
            }
        )*
    };
}
