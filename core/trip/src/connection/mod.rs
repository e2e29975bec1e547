//! One connection: the shared state of two endpoints after a handshake.
