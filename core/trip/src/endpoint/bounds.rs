//! The bounds of what an endpoint keeps for strangers, in one place (PROTOCOL.md §11).

pub(crate) use super::half_open::{HALF_OPEN_BYTES_MAX, HALF_OPENS_MAX};
pub(crate) use super::prefixes::PREFIX_BUCKETS;
use crate::bucket::Bucket;
use crate::wire::NOISE_MAX;
use alloc::vec::Vec;
use tripline_sansio::Path;

/// Answers that belong to no connection and wait to be sent: at most so many.
pub(crate) const ANSWERS_MAX: usize = 1_024;
/// What one of them takes at most: a CHALLENGE (§2.3) and where it goes.
pub(crate) const ANSWER_BYTES_MAX: usize = 9 + NOISE_MAX + size_of::<(Path, Vec<u8>)>();
/// What the index of half-opens takes for each, nodes half full: hash and slot, twice over.
pub(crate) const INDEX_ENTRY_BYTES: usize = 2 * size_of::<(u64, u32)>();
/// What a bucket takes.
pub(crate) const BUCKET_BYTES: usize = size_of::<Bucket>();
