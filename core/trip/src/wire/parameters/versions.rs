//! A short list of protocol versions, held in place.

use core::fmt;

use tripline_sansio::codec::{Reader, Writer};

use super::ParameterProblem;

/// Up to 16 versions of the protocol, in the order of their sender.
#[derive(Clone, Copy, Default)]
pub struct Versions {
    list: [u32; Self::MAX],
    len: usize,
}

impl Versions {
    /// The most versions that one side may name.
    pub const MAX: usize = 16;
    /// No version named.
    pub const NONE: Self = Self { list: [0; Self::MAX], len: 0 };

    /// The list of `versions`; `None` if they are more than [`Self::MAX`].
    pub fn new(versions: &[u32]) -> Option<Self> {
        let mut list = [0; Self::MAX];
        list.get_mut(..versions.len())?.copy_from_slice(versions);
        Some(Self { list, len: versions.len() })
    }

    /// The versions.
    pub fn as_slice(&self) -> &[u32] {
        self.list.get(..self.len).unwrap_or_default()
    }

    /// Reads four bytes for each version, to the end of `value`.
    pub(super) fn parse(value: &[u8]) -> Result<Self, ParameterProblem> {
        let mut reader = Reader::new(value);
        let mut versions = Self::NONE;
        while !reader.is_empty() {
            let version = reader.u32().map_err(|_| ParameterProblem::Malformed)?;
            *versions.list.get_mut(versions.len).ok_or(ParameterProblem::Range)? = version;
            versions.len = versions.len.saturating_add(1);
        }
        Ok(versions)
    }

    /// Appends the length in bytes and the versions.
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.varint(u64::try_from(self.len.saturating_mul(4)).unwrap_or(u64::MAX));
        for version in self.as_slice() {
            out.u32(*version);
        }
    }
}

impl PartialEq for Versions {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Versions {}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
