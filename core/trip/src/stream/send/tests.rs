//! Tests of the sending half, against a peer that reads the frames by the rules of PROTOCOL.md §4.
