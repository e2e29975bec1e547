//! The integration tests: one binary, one module per concern. `tidy` and `supply` look at the
//! source tree and the dependency tree themselves.
#![forbid(unsafe_code)]

mod attack;
mod close;
mod determinism;
mod guard;
mod handshake;
mod hello;
mod properties;
mod regressions;
mod rows;
mod supply;
mod tidy;
mod transfer;
mod violations;
