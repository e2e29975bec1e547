//! Calls for programs: ask and be asked, from any thread or task, over any loop.
//!
//! *In*: a [`Node`](tripline_rpc::Node) and whoever drives it, through [`Driven`]: a thread of
//! `tripline-std`, a task of `tripline-smol` or `tripline-tokio`, the simulator. *Out*: handles.
//! [`Calls`] is the node, [`Caller`] one connection of it, and both are `Send`, `Sync` and cheap to
//! copy; [`Call`] is one call, a future whose end is the answer; [`Request`] is one that somebody
//! else has made. Who has no runtime waits with [`wait`].
//!
//! Every future here is cancel-safe: one that is dropped has either taken nothing or given out what
//! it took. A [`Call`] that is dropped is called off; a [`Request`] that is dropped is refused.
//!
//! Handlers by name are a [`Router`]; values instead of bytes are [`Format`]s: postcard, and behind
//! features JSON and MessagePack. Behind the feature `tower`, callers and services are tower's.
//!
//! This crate starts no thread and opens no socket: each adapter's `calls` module does.
#![forbid(unsafe_code)]

mod call;
mod caller;
mod calls;
mod driven;
mod error;
mod format;
mod front;
mod options;
mod request;
mod router;
mod shared;
#[cfg(feature = "tower")]
mod tower;

pub use call::{Call, Items, TypedCall};
pub use caller::Caller;
pub use calls::Calls;
pub use driven::{Driven, Task};
pub use error::{CallError, ConnectFailure};
#[cfg(feature = "json")]
pub use format::Json;
#[cfg(feature = "msgpack")]
pub use format::MessagePack;
pub use format::{Format, FormatError, Postcard};
pub use front::{CallsStats, Status};
pub use futures_lite::future::block_on as wait;
pub use options::CallsOptions;
pub use request::{Arrived, Failure, Notice, Request};
pub use router::Router;
#[cfg(feature = "tower")]
pub use tower::{Asked, serve_tower};
pub use tripline_rpc::{
    Address, CallOptions, ClientOptions, Executed, Lane, Method, NodeConfig, NotifyOptions,
    ReconnectPolicy, Refusal, Retry, Scope, Wait,
};
