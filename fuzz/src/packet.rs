//! Datagrams as they come: headers, lengths and first bytes, without keys.

use crate::stage::{Bench, Ready};
use tripline_sansio::Duration;

/// Each datagram of the input (a length of two bytes, then the bytes; the length's top bit fills it
/// up to 1,200) goes to a client that opens, to a server that knows nobody, and to one with a
/// connection, whose ID stands in place of eight bytes `i`.
///
/// # Panics
/// If one of them panics, breaks a rule of the run loop, or believes something that was not sealed.
pub fn packet(data: &[u8]) {
    let (mut client, _) = Bench::client(true);
    let mut server = Bench::server();
    let mut ready = Ready::new();
    ready.server.take_sent();
    let before = ready.server.events.len();
    let mut rest = data;
    while let Some((&[high, low], tail)) = rest.split_first_chunk() {
        let len = usize::from(high & 0x07) << 8 | usize::from(low);
        let (datagram, tail) = tail.split_at(tail.len().min(len));
        rest = tail;
        let mut datagram = datagram.to_vec();
        if high & 0x80 != 0 {
            datagram.resize(datagram.len().max(1_200), 0);
        }
        // The magic tag is for the other targets: here nobody has keys.
        if datagram.ends_with(&crate::cipher::MAGIC) {
            datagram.pop();
        }
        client.hear(2, &datagram);
        server.hear(1, &datagram);
        if let Some(id) = datagram.get_mut(1..9).filter(|id| id.iter().all(|byte| *byte == b'i')) {
            id.copy_from_slice(&ready.server_id);
        }
        ready.server.hear(1, &datagram);
        let said: usize = server.take_sent().iter().map(Vec::len).sum();
        assert!(said <= datagram.len(), "{said} bytes answer {}", datagram.len());
    }
    assert_eq!(server.events, [], "a server without keys of anybody has nothing to tell");
    assert_eq!(ready.server.events.len(), before, "{:?}", ready.server.events);
    client.wait(Duration::from_secs(2));
    assert_eq!(client.ends(), 0, "no datagram ends an attempt: {:?}", client.events);
}
