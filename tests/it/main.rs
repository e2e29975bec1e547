//! The integration tests: one binary, one module per concern. `api`, `tidy` and `supply`
//! look at the source tree and the dependency tree themselves.
#![forbid(unsafe_code)]

mod absence;
mod acks;
mod again;
mod agree;
mod api;
mod attack;
mod batches;
mod bulk;
mod cells_admission;
mod cells_close;
mod cells_handshake;
mod cells_packets;
mod close;
mod echo;
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
mod over;
mod pacing;
mod path;
mod peers;
mod plain;
mod profiles;
mod refer;
mod regressions;
mod requests;
mod reserved;
mod row_life;
mod row_streams;
mod row_t60;
mod rows;
mod rows_calls;
mod rules_handshake;
mod rules_streams;
mod scenarios;
mod screening;
mod shutdown;
mod single;
mod supply;
mod tidy;
mod transfer;
mod turmoil;
mod versions;
mod violations;
mod zones;

use zones::limits as zones_limits;
