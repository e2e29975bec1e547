//! The integration tests: one binary, one module per concern.
#![forbid(unsafe_code)]

mod hello;
