//! Keys, suites, the handshake, and the protection of packets.
//!
//! Everything secret or hostile in the transport is reckoned here, on byte arrays: no packet layout
//! beyond header, text and tag, no state of a connection, no policy. What is random comes in as an
//! argument; what fails changes nothing.
#![deny(clippy::arithmetic_side_effects)]
// What is not test code is held to the rules when it is built without the tests.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::string_slice,
        reason = "test code may reckon freely: a panic is a failed test"
    )
)]

mod aead;
mod data;
mod hash;
mod key_text;
mod keys;
mod mac;
mod noise;
#[cfg_attr(not(feature = "plain"), path = "no_plain.rs")]
mod plain;
mod replay;
#[cfg(feature = "fast-aead")]
mod ring;
mod suite;
#[cfg(test)]
mod testing;
mod zone_keys;

#[cfg(feature = "fast-aead")]
pub use self::ring::FastAead;
pub use aead::{Aead, AeadKey, OpenError, PureAead, TAG_LEN, default_aead};
pub(crate) use data::{OpenKey, SealKey};
pub use key_text::{KeyKind, KeyTextError};
pub use keys::{Psk, PublicKey, SecretKey};
pub(crate) use mac::{derived_key, id_mac, keyed_hash64, keyed_mac, mac1, mac1_key, same};
pub(crate) use noise::{Handshake, Setup, Split};
pub(crate) use plain::data_aead;
pub(crate) use replay::ReplayWindow;
pub use suite::{Cipher, Pattern, Suite};
pub(crate) use zone_keys::{KeyHalf, Root};
