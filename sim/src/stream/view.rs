//! What a tap sees of a pipe.

use super::pipes::PipeId;
use crate::host::HostId;
use crate::rule::Stage;
use tripline_sansio::Instant;

/// Bytes of a pipe, as they were written or as they are handed in.
#[derive(Clone, Copy, Debug)]
pub struct PipeView<'a> {
    /// Whether they are being written or delivered.
    pub stage: Stage,
    /// The time.
    pub now: Instant,
    /// The pipe.
    pub pipe: PipeId,
    /// Who writes.
    pub from: HostId,
    /// Who reads.
    pub to: HostId,
    /// The bytes: all that one call wrote, or one piece; `None`: the end, or a reset.
    pub bytes: Option<&'a [u8]>,
}
