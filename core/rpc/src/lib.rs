//! Calls and notifications: ask, and get exactly one answer.
//!
//! A [`Peer`] is one side of a conversation as a pure state machine, over any pipe of messages: the
//! streams of a TRiP connection, a run of bytes ([`Framed`]), or nothing but memory. In go
//! commands, messages and the time; out come messages, events and a deadline. The frames are in
//! PROTOCOL.md beside this crate, whose requirement numbers (`R-CALL-3`) the code cites.
//!
//! - [`Peer::call`] asks; whatever happens, there is one [`Event::Outcome`] for it. The other side
//!   hears [`Event::Request`] and answers with [`Peer::reply`], [`Peer::fail`] or [`Peer::refuse`],
//!   before that with any number of [`Peer::item`]s. [`Peer::notify`] wants no answer. Both sides
//!   can do both (row M08).
//! - A deadline travels with its call; [`Peer::cancel`] calls one off. What is late is counted and
//!   reaches nobody.
//! - A [`Node`] is any number of conversations, whatever carries them: streams of TRiP, TCP, TLS,
//!   or plain datagrams, which [`Msgbox`] speaks by itself as well.
//! - A conversation outlives its pipe: what becomes of calls then is [`Retry`]'s to say.
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

mod address;
mod asked;
mod bounds;
mod boxed;
mod config;
mod data;
mod event;
mod framed;
mod handlers;
mod kept;
mod lane;
mod method;
mod msgbox;
mod node;
mod outbox;
mod outcome;
mod payload;
mod peer;
mod served;
mod slots;
mod timers;
mod wire;

pub use address::{Address, AddressError, Host, Scheme};
pub use bounds::CALLS_LIMIT;
pub use config::{CallOptions, Config, NotifyOptions, Retry, Unsent, Wait};
pub use data::{Handle, HandleMap};
pub use event::{Abandoned, CallId, Event, RequestId};
pub use framed::Framed;
pub use handlers::{Handlers, Scope};
pub use lane::Lane;
pub use method::{Method, MethodRef};
pub use msgbox::{
    BoxRequestId, ContactId, GetId, Msgbox, MsgboxConfig, MsgboxError, MsgboxEvent, MsgboxHeader,
    MsgboxKind, MsgboxStats,
};
pub use node::{
    ClientOptions, ConnId, NamedStream, NetworkKind, Node, NodeConfig, NodeEvent, ReconnectPolicy,
    StreamFailure, UnknownConn, Via,
};
pub use outbox::{Piece, Taken};
pub use outcome::{AnswerError, AskError, CallFailure, Executed, Outcome, Refusal, Violation};
pub use payload::{Buffer, Payload};
pub use peer::{Peer, Pipe, Stats, StreamNews};
pub use wire::SessionId;
