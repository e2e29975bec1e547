//! The integration tests: one binary, one module per concern. `api`, `tidy` and `supply`
//! look at the source tree and the dependency tree themselves.
#![forbid(unsafe_code)]

mod api;
mod attack;
mod bulk;
mod close;
mod determinism;
mod ecn;
mod handshake;
mod hello;
mod pacing;
mod path;
mod properties;
mod regressions;
mod requests;
mod rows;
mod supply;
mod tidy;
mod transfer;
mod violations;
