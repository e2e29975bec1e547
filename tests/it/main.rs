//! The integration tests: one binary, one module per concern.
#![forbid(unsafe_code)]

mod close;
mod handshake;
mod hello;
mod schedule;
mod transfer;
