//! TRiP, an encrypted, message-oriented transport of many streams over datagrams, as a pure state
//! machine: packets and time in, packets, events and a deadline out.
//!
//! An [`Endpoint`] is one party's whole protocol state on one socket. It has no socket, no clock
//! and no entropy of its own: whoever drives it hands in datagrams and the time, drains what it
//! wants to send and to tell, and sleeps until its deadline ([`tripline_sansio`] has the rules of
//! that loop). The wire is described in PROTOCOL.md beside this crate, whose requirement numbers
//! (`R-OPEN-3`) the code cites.
//!
//! - Connect with [`Endpoint::connect`], open a stream with [`Endpoint::open`], hand in messages
//!   with [`Endpoint::send`] and take them with [`Endpoint::receive`]; many small ones with
//!   [`Endpoint::send_batch`] and [`Endpoint::receive_batch`].
//! - Streams come in four orders ([`Order`]), one-way and two-way; reliability is chosen message by
//!   message ([`SendOptions`]).
//! - Every call has an error type of its own, and [`Error`] takes them all in; how a connection
//!   ends is an [`Event`]; what is wrong with a datagram is a counter ([`Drops`]); why a connection
//!   waits is told by [`Endpoint::explain`]. [`Profile`]s are settings for common uses.
//! - The same [`Seed`](tripline_sansio::Seed) and the same calls give the same bytes. Nothing a
//!   peer sends makes the engine panic; a panic is a bug.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod agreed;
mod batch;
mod bucket;
mod carrier;
mod config;
mod connection;
mod crypto;
mod data;
mod endpoint;
mod error;
mod event;
mod events;
mod explain;
mod fates;
mod handle;
mod link;
mod memory;
#[cfg(feature = "plain")]
mod plain;
mod profile;
mod ranges;
mod recycle;
mod referral;
mod shard;
mod stats;
mod stream;
mod wire;

pub use agreed::{Agreed, Granted, Limits, Minimum, Reconfigure};
pub use batch::{Batch, BatchIter, Messages};
pub use carrier::LinkId;
pub use config::{
    Access, Config, Congestion, ConnectOptions, GuardConfig, OnSilence, Screening, SendOptions,
    ServerConfig, StreamOptions, Target, TransportConfig,
};
pub use connection::recovery::congestion::{
    AckSummary, AckedPacket, Bbr, CongestionEvent, Controller, Cubic, FixedRate, LostPacket,
    NewReno, RestoreError, SentPacket,
};
pub use connection::recovery::ecn::EcnStatus;
pub use connection::recovery::rtt::RttSummary;
pub use connection::zone::limits::KeyLimits;
pub use connection::{BatchResult, ReceiveResult, State};
#[cfg(feature = "fast-aead")]
pub use crypto::FastAead;
pub use crypto::{
    Aead, AeadKey, Cipher, KeyKind, KeyTextError, OpenError as AeadOpenError, Pattern, Psk,
    PublicKey, PureAead, SecretKey, Suite, TAG_LEN, default_aead,
};
pub use data::{ConnectionData, StreamData};
pub use endpoint::Endpoint;
pub use error::{
    ConnectError, Error, LostCause, OpenError, Phase, ReceiveError, ReferError, SendError,
    StartError, StreamError, UnknownConnection, UnknownIncoming,
};
pub use event::{By, Event, Fate, Incoming, Unsafe};
pub use explain::{
    EndingReason, Explanation, OpeningReason, PeerReason, Reason, SendingReason, StreamExplanation,
    StreamReason,
};
pub use handle::{ConnectionHandle, IncomingHandle, MessageToken};
pub use link::{
    Carrier, HubEvent, LINK_BUFFER, LINKS_MAX, LinkEnd, LinkEndpoint, LinkEvent, LinkHub,
    LinkMachine, LinkRoute, LinkStats, Over,
};
#[cfg(feature = "plain")]
pub use plain::Plain;
pub use profile::Profile;
pub use referral::Referral;
pub use shard::{Shard, ShardOwner};
pub use stats::{ConnectionStats, Drops, EndpointStats};
pub use stream::send::Reliability;
pub use wire::{
    Code, Direction, Order, PROTOCOL_VERSION, ParameterError, ParameterProblem, Parameters, Side,
    StreamId, Versions,
};
