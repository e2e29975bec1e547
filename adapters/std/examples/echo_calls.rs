//! Calls in ten lines: a server that says what it hears, and a client.
//!
//! `cargo run -p tripline-std --example echo_calls`; instead of `trip` it may be `tcp`, `udp` …
#![forbid(unsafe_code)]

use tripline_std::calls::{Router, connect, listen, wait};

/// The example.
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = tripline::SecretKey::from_bytes([9; 32]); // your own: `tripline keygen FILE`
    let (server, address) = listen("trip://127.0.0.1:0", tripline::Config::public_server(key))?;
    let echo = Router::new().on_ask("echo", |text: String| Ok(text));
    std::thread::spawn(move || wait(echo.serve(&server)));

    let caller = connect(&address.to_string())?;
    let answer: String = caller.ask("echo", "hello").wait()?;
    println!("{address} says {answer}");
    assert_eq!(answer, "hello");
    Ok(())
}
