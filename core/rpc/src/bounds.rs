//! Every bound that is not a setting, in one place. (Those that are settings: [`Config`].)
//!
//! [`Config`]: crate::Config

/// From so many events on that wait to be polled, no more messages are taken from a pipe that can
/// hold the peer back.
pub(crate) const EVENTS_MAX: usize = 4_096;

/// Bytes of a method's name, and of a stream's.
pub(crate) const NAME_MAX: usize = 255;

/// Named streams of one pipe at once, those of both sides; a configuration that allows more streams
/// than half of that may meet it. More end the pipe.
pub(crate) const NAMED_STREAMS_MAX: usize = 4_096;

/// Names that one side may announce on a connection; further ones travel with each message.
pub(crate) const NAMES_MAX: u16 = 1_024;

/// Calls that may be in flight before the peer has said how many it takes.
pub(crate) const CALLS_AT_FIRST: u32 = 64;

/// The most calls in flight that a peer may be offered, whatever the configuration says.
pub const CALLS_LIMIT: u32 = 1 << 20;

/// The smallest `frame_max` that a peer may announce, in bytes: what is larger waits for its HELLO.
pub(crate) const FRAME_LEAST: usize = 4_096;

/// The largest frame that can be agreed on, in bytes.
pub(crate) const FRAME_LIMIT: usize = 1 << 30;

/// Answers of de-duplicated calls that are kept until the caller says that it has them.
pub(crate) const KEPT_MAX: usize = 4_096;

/// Bytes of those answers.
pub(crate) const KEPT_BYTES_MAX: usize = 4 << 20;

/// A message whose payload has at most so many bytes goes into a batch; a larger one travels by
/// itself.
pub(crate) const BATCHED_MAX: usize = 1_024;

/// Bytes of a batch at which it is handed on whatever `batch_wait` says: about one packet.
pub(crate) const BATCH_FULL: usize = 1_100;

/// Bytes of a batch at which the next one is begun.
pub(crate) const BATCH_MAX: usize = 32 << 10;

/// Bytes of the frames that go together in one message of a stream: about one packet, so that a
/// loss holds up hardly more frames than it would otherwise.
pub(crate) const BUNDLE_MAX: usize = 1_100;

/// The longest bundle that is taken, in bytes: what its frames are told from at once, and what each
/// of their payloads keeps in memory.
pub(crate) const BUNDLE_LIMIT: usize = 4_096;

/// What an item of a streaming reply counts beside its bytes, so that empty ones are bounded too.
pub(crate) const ITEM_COST: u64 = 8;

/// So many times `send_buffer` may wait for the peer, answers included; what the user says beyond
/// is *blocked*. At twice that, and its largest frame more, the peer does not read: the pipe ends.
pub(crate) const UNREAD_FACTOR: usize = 4;
