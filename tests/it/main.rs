//! The integration tests: one binary, one module per concern. `tidy` and `supply` look at the
//! source tree and the dependency tree themselves.
#![forbid(unsafe_code)]

mod attack;
mod cells_admission;
mod cells_close;
mod cells_handshake;
mod cells_packets;
mod close;
mod determinism;
mod handshake;
mod hello;
mod properties;
mod regressions;
mod rows;
mod rules_handshake;
mod rules_streams;
mod supply;
mod tidy;
mod transfer;
mod violations;
