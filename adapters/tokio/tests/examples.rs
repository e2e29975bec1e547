//! The examples, run as tests: each is a whole program, and fails by itself if something is wrong.
#![forbid(unsafe_code)]

#[path = "../examples/chat.rs"]
mod chat;

/// A chat room: everybody hears the same.
#[test]
fn everybody_in_the_room_hears_the_same() {
    chat::main().expect("it goes well");
}
