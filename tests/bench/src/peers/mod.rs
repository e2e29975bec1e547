//! The transports that are compared, a module each.
//!
//! Every function in here that is a peer of a workload takes a [`Task`](crate::task::Task), runs it
//! once with threads of its own, checks that all of it arrived, and answers a
//! [`Record`](crate::task::Record). [`crate::workloads`] lists them.

pub mod enet;
pub mod kcp;
pub mod quinn;
pub mod s2n;
pub mod tcp;
pub mod tls;
pub mod tonic;
pub mod udp;
mod wait;
