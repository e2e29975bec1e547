//! The payloads of OPEN, CHALLENGE and CONFIRM, and the parameters in them, behind tags that fit.

use crate::cipher::MAGIC;
use crate::stage::{Bench, identity};
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac, Digest};
use tripline_sansio::Duration;

/// Patterns as the suite byte names them.
const NK: u8 = 1;
const IK: u8 = 2;
const XX: u8 = 3;

/// A public key that any message may carry.
fn key(name: &str) -> [u8; 32] {
    *identity(name).public_key().as_bytes()
}

/// A sealed field of a Noise message: its own plaintext.
fn sealed(plain: &[u8]) -> Vec<u8> {
    [plain, &MAGIC].concat()
}

/// An OPEN whose Noise message is `noise`, with the mac1 that the server wants.
fn open_packet(pattern: u8, noise: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x01, 0, 0, 0, 1];
    packet.extend([7; 8]);
    packet.push(pattern);
    packet.extend(u16::try_from(noise.len()).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend(noise);
    let server = if pattern == XX { [0; 32] } else { key("server") };
    let mac_key: [u8; 32] =
        Blake2s256::new().chain_update(b"TRiP/1 mac1").chain_update(server).finalize().into();
    let mut mac = <Blake2sMac<U16> as KeyInit>::new(&mac_key.into());
    Mac::update(&mut mac, &packet);
    packet.extend_from_slice(&mac.finalize().into_bytes());
    packet.push(0);
    packet.resize(packet.len().max(1_200), 0);
    packet
}

/// Payload 1 of an OPEN, in NK or IK by the input's first byte, goes to a public server.
///
/// # Panics
/// If the server panics, breaks a rule of the run loop, or answers with more than it was sent.
pub fn open(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    let payload = &payload[..payload.len().min(880)];
    let mut noise = key("ephemeral").to_vec();
    let pattern = if choice & 1 == 0 { NK } else { IK };
    if pattern == IK {
        noise.extend(sealed(&key("client")));
    }
    noise.extend(sealed(payload));
    let packet = open_packet(pattern, &noise);
    let mut server = Bench::server();
    server.hear(1, &packet);
    let sent = server.take_sent();
    assert!(sent.len() <= 1 && sent.iter().all(|answer| answer.len() <= packet.len()));
    assert_eq!(server.events, [], "an OPEN alone connects nobody");
    server.wait(Duration::from_secs(61));
}

/// Payload 2 of a CHALLENGE, as it comes to a client in NK (by the input's first byte: in XX).
///
/// # Panics
/// If the client panics, breaks a rule of the run loop, or ends the attempt more than once.
pub fn challenge(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    let known = choice & 1 == 0;
    let (mut client, handle) = Bench::client(known);
    let open = client.take_sent().remove(0);
    let mut packet = vec![0x02];
    packet.extend(&open[5..13]);
    packet.extend(key("ephemeral"));
    if !known {
        packet.extend(sealed(&key("server")));
    }
    packet.extend(sealed(&payload[..payload.len().min(900)]));
    client.hear(2, &packet);
    let now = client.now;
    // XX asks whether the key is trusted; anywhere else this changes nothing.
    let _ = client.endpoint.trust(now, handle);
    client.drain();
    client.wait(Duration::from_secs(120));
    assert!(client.ends() <= 1, "one attempt, one end: {:?}", client.events);
}

/// The payload of a CONFIRM, behind an honest OPEN and CHALLENGE of XX.
///
/// # Panics
/// If the server panics, breaks a rule of the run loop, or says a connection's end twice.
pub fn confirm(data: &[u8]) {
    let (mut client, handle) = Bench::client(false);
    let mut server = Bench::server();
    client.take_sent().iter().for_each(|datagram| server.hear(1, datagram));
    server.take_sent().iter().for_each(|datagram| client.hear(2, datagram));
    let now = client.now;
    client.endpoint.trust(now, handle).expect("it waits for that");
    client.drain();
    let honest = client.take_sent().into_iter().find(|datagram| datagram[0] == 0x04);
    let honest = honest.expect("CONFIRM follows trust");
    let mut packet = honest[..9].to_vec();
    packet.extend(sealed(&key("client")));
    packet.extend(sealed(&data[..data.len().min(900)]));
    server.hear(1, &packet);
    server.wait(Duration::from_secs(60));
    assert!(server.ends() <= 1, "one connection, one end: {:?}", server.events);
}

/// Parameters alone: in an OPEN to a server, and in a CHALLENGE to a client.
///
/// # Panics
/// As [`open()`] and [`challenge()`].
pub fn parameters(data: &[u8]) {
    // NK; user id; no route.
    open(&[&[0][..], &[1; 8], &[0], data].concat());
    // The key is known; accept; the server's ID.
    challenge(&[&[0, 0][..], &[2; 8], data].concat());
}
