//! How a peer behaves, and how single calls and notifications are to be treated.

use crate::bounds::{CALLS_LIMIT, FRAME_LEAST, FRAME_LIMIT};
use crate::lane::Lane;
use tripline::SendOptions;
use tripline_sansio::Duration;

/// How a [`Peer`](crate::Peer) behaves. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest frame we take: a payload and its head, which has a few bytes. Not above what the
    /// pipe carries; by default 256 KiB, as the transport's messages.
    pub frame_max: usize,
    /// How many calls the peer may have in flight with us; it is refused politely beyond. At most
    /// [`CALLS_LIMIT`].
    pub calls_max: u32,
    /// How many calls of ours there may be at once, those included that wait for their turn.
    pub asked_max: usize,
    /// How long a call waits if it does not say (row N02); `None`: for ever.
    pub deadline: Option<Duration>,
    /// How many bytes of items the reply to each call of ours may have on its way or unread. One
    /// item has at most half of that.
    pub item_window: u64,
    /// How long a small message may wait for others to share a packet with. Zero: until the loop
    /// drains us, so what one turn says goes out together.
    pub batch_wait: Duration,
    /// How much may wait for the pipe before calls and notifications are *blocked*.
    pub send_buffer: usize,
    /// What becomes of calls and notifications while there is no pipe, and of those that were never
    /// handed to the one that broke.
    pub unsent: Unsent,
    /// How often something is sent over a pipe that cannot tell by itself whether the peer lives,
    /// or that is given up when nothing is said. `None`: never. (Over TRiP it is what the side that
    /// connects has for `keep_alive` if that is zero.)
    pub heartbeat: Option<Duration>,
    /// After how much silence such a pipe is given up. `None`: never.
    pub silence_max: Option<Duration>,
    /// The connection is *raw* (row N07): it carries streams without names, all for one handler,
    /// and no calls. Both sides must want that, or both not: else the pipe ends with HELLO.
    pub is_raw: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_max: 256 << 10,
            calls_max: 4_096,
            asked_max: 65_536,
            deadline: Some(Duration::from_secs(10)),
            item_window: 256 << 10,
            batch_wait: Duration::ZERO,
            send_buffer: 1 << 20,
            unsent: Unsent::Keep,
            heartbeat: Some(Duration::from_secs(10)),
            silence_max: Some(Duration::from_secs(30)),
            is_raw: false,
        }
    }
}

impl Config {
    /// The same with values out of range moved into it.
    pub(crate) fn in_range(mut self) -> Self {
        self.frame_max = self.frame_max.clamp(FRAME_LEAST, FRAME_LIMIT);
        self.calls_max = self.calls_max.min(CALLS_LIMIT);
        self.item_window = self.item_window.clamp(1, 1 << 60);
        self.send_buffer = self.send_buffer.max(1);
        let least = Duration::from_millis(1);
        self.heartbeat = self.heartbeat.map(|wait| wait.max(least));
        self.silence_max = self.silence_max.map(|wait| wait.max(least));
        self
    }
}

/// What becomes of what cannot be sent now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsent {
    /// It waits for the next pipe.
    #[default]
    Keep,
    /// It is reported: commands fail while there is no pipe.
    Report,
}

/// What becomes of a call whose pipe breaks after it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// It ends as *gone*, and nobody knows whether it was executed.
    #[default]
    Never,
    /// It is asked again over the next pipe, and executed once: the peer knows it again, and
    /// answers it a second time if it has answered already. A peer that has forgotten (it was
    /// started anew) is not asked: then it ends as *gone*.
    Deduplicated,
    /// The same, and a peer that has forgotten executes it again: only for what may be done twice.
    Idempotent,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// How long to wait for the outcome.
    pub deadline: Wait,
    /// What becomes of it if the pipe breaks.
    pub retry: Retry,
    /// By which lane it goes, and its answer comes.
    pub lane: Lane,
    /// The items of its reply count as taken when [`Peer::consumed`](crate::Peer::consumed) says
    /// so, not when they are told: for who hands them on to somebody slower.
    pub manual_window: bool,
    /// While too much waits to be sent, the call waits too, its time running, instead of being
    /// refused as *blocked*. Such calls are bounded by [`Config::asked_max`] alone.
    pub waits_for_room: bool,
}

impl CallOptions {
    /// Waits for so long.
    pub fn within(wait: Duration) -> Self {
        Self { deadline: Wait::For(wait), ..Self::default() }
    }
}

/// How long a call waits for its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// As long as [`Config::deadline`] says.
    #[default]
    Default,
    /// So long.
    For(Duration),
    /// Until it comes.
    Forever,
}

/// How a notification is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyOptions {
    /// By which lane.
    pub lane: Lane,
    /// How often, and for how long, it is tried to deliver it (rows N48, T40). Over a pipe of bytes
    /// it only expires while it waits for that.
    pub send: SendOptions,
}
