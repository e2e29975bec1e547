//! The integration tests: one binary, one module per concern. `api`, `tidy` and `supply`
//! look at the source tree and the dependency tree themselves.
#![forbid(unsafe_code)]

mod acks;
mod again;
mod agree;
mod api;
mod attack;
mod bulk;
mod cells_admission;
mod cells_close;
mod cells_handshake;
mod cells_packets;
mod close;
mod determinism;
mod ecn;
mod explain;
mod flood;
mod growth;
mod guard;
mod handshake;
mod hello;
mod limits;
mod links;
mod liveness;
mod mtu;
mod pacing;
mod path;
mod peers;
mod plain;
mod profiles;
mod properties;
mod refer;
mod regressions;
mod requests;
mod rows;
mod rows_calls;
mod rules_handshake;
mod rules_streams;
mod screening;
mod shutdown;
mod supply;
mod tidy;
mod transfer;
mod versions;
mod violations;
mod zones;
