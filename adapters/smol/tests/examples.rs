//! The examples, run as tests: each is a whole program, and fails by itself if something is wrong.
#![forbid(unsafe_code)]

#[path = "../examples/inventory.rs"]
mod inventory;

/// A service is asked in its own types.
#[test]
fn a_warehouse_is_asked_in_its_own_types() {
    inventory::main().expect("it goes well");
}
