//! What all handles share with whoever drives the node.

use crate::front::{Front, Topic};
use std::sync::Arc;
use std::task::Waker;
use tripline_common::{Books, Waits};
use tripline_sansio::Duration;

/// The node with its books, behind one lock, and the clock.
pub(crate) type Shared = tripline_common::Shared<Front>;

/// How long what is under way has when the last handle was dropped.
const FAREWELL: Duration = Duration::from_secs(2);

impl Books for Front {
    type Topic = Topic;

    const WITHIN: &'static str = "Calls::with";

    fn used(&mut self) {
        self.nudge();
    }

    fn waits(&mut self) -> &mut Waits<Topic> {
        &mut self.waits
    }

    fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }
}

/// What every handle holds: when the last one goes, all ends in order.
#[derive(Debug)]
pub(crate) struct Alive(pub(crate) Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.leave(|front, now| {
            front.is_abandoned = true;
            front.turn_away(now);
            front.node.shut_down(now, FAREWELL);
        });
    }
}
