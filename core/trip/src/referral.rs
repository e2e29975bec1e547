//! "Please open there": what a server may tell a client, and how a client opens there (row T57,
//! R-CHAL-3).

use crate::config::{ConnectOptions, Target};
use crate::crypto::PublicKey;
use crate::error::ReferError;
use crate::wire::{ROUTE_MAX, ReferralBody, ReferralError, write_referral};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Another endpoint, at which a client is to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// Where it is: 1 to [`Self::ADDRESSES_MAX`] addresses, to be tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// The key that it has to prove.
    pub server_key: PublicKey,
    /// The service to name there; at most 255 bytes.
    pub route: Vec<u8>,
}

impl Referral {
    /// How many addresses one referral may name.
    pub const ADDRESSES_MAX: usize = crate::wire::REFERRAL_ADDRESSES;

    /// How to connect to where this refers to, in all else as `options` say: with
    /// [`Target::from`] the referral this is what following it takes.
    #[must_use]
    pub fn options(&self, options: ConnectOptions) -> ConnectOptions {
        ConnectOptions { server_key: Some(self.server_key), route: self.route.clone(), ..options }
    }

    /// The bytes on the wire.
    ///
    /// # Errors
    /// What of it cannot be sent.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ReferError> {
        if !self.server_key.is_canonical() {
            return Err(ReferError::BadKey);
        }
        if self.route.len() > ROUTE_MAX {
            return Err(ReferError::RouteTooLong { length: self.route.len() });
        }
        let mut bytes = Vec::new();
        write_referral(&mut bytes, &self.addresses, self.server_key.as_bytes(), &self.route)
            .map_err(|_: ReferralError| ReferError::Addresses)?;
        Ok(bytes)
    }

    /// What came from a peer; `None` if the key is not canonical (R-OPEN-3).
    pub(crate) fn decode(body: ReferralBody<'_>) -> Option<Self> {
        let (addresses, key, route) = body.fields();
        let server_key = PublicKey::from_wire(key)?;
        Some(Self { addresses, server_key, route: route.to_vec() })
    }
}

impl From<Referral> for Target {
    fn from(referral: Referral) -> Self {
        Self::Addresses(referral.addresses)
    }
}
