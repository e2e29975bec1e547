//! Everything that a peer tells its user.

use crate::method::Method;
use crate::outcome::{Outcome, Violation};
use crate::slots::Key;
use bytes::Bytes;
use tripline_sansio::{Duration, Instant};

/// A call of ours. Dies with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) Key);

/// A call of the peer's. Dies when it is answered, or called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) Key);

impl CallId {
    /// A small number that no other call has at the same time: for tables of one's own.
    pub fn slot(self) -> u32 {
        self.0.slot
    }
}

impl RequestId {
    /// A small number that no other request has at the same time: for tables of one's own.
    pub fn slot(self) -> u32 {
        self.0.slot
    }
}

/// Something that happened.
///
/// Each call of ours has any number of [`Event::Item`] and then exactly one [`Event::Outcome`].
/// Each [`Event::Request`] is answered once, or called off by one [`Event::Abandoned`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has said HELLO over the pipe of now.
    Ready {
        /// Both still know what was asked and answered over the pipe before.
        resumed: bool,
    },
    /// The end of a call of ours.
    Outcome {
        /// The call.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// A part of a streaming reply.
    Item {
        /// The call.
        call: CallId,
        /// The part.
        payload: Bytes,
    },
    /// The peer asks.
    Request {
        /// By which to answer.
        request: RequestId,
        /// What for.
        method: Method,
        /// With what.
        payload: Bytes,
        /// Until when the caller waits; what is answered later reaches nobody.
        deadline: Option<Instant>,
    },
    /// Nobody waits for an answer to this any more. The request is gone.
    Abandoned {
        /// The request.
        request: RequestId,
        /// Why.
        why: Abandoned,
    },
    /// The peer says something and wants no answer.
    Notification {
        /// What about.
        method: Method,
        /// What.
        payload: Bytes,
    },
    /// A notification that was taken and did not get to a pipe comes back, as
    /// [`Unsent::Report`](crate::Unsent::Report) wants.
    Unsent {
        /// What about.
        method: Method,
        /// What.
        payload: Bytes,
    },
    /// After *blocked*: there is room again.
    Writable,
    /// After [`AnswerError::Blocked`](crate::AnswerError::Blocked): the caller takes items again.
    Thirsty {
        /// The request.
        request: RequestId,
    },
    /// The peer takes no more calls; those under way have so long.
    GoingAway {
        /// How long.
        grace: Duration,
    },
    /// After [`Peer::go_away`](crate::Peer::go_away): nothing is under way any more.
    Idle,
    /// The peer broke the rules, or is silent. The pipe is to be closed.
    Broken {
        /// How.
        violation: Violation,
    },
}

/// Why nobody waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abandoned {
    /// The caller called it off.
    Cancelled,
    /// The caller's time is up.
    Deadline,
    /// The caller's connection is gone.
    Gone,
    /// We are shutting down, and the time for that is up.
    GoingAway,
}
