//! Keys, suites, the handshake, and the protection of packets.
