//! Frames behind a tag that fits: a peer that owns the keys and says what it likes.

use crate::stage::Ready;
use tripline_sansio::Duration;

/// The most packets of one input.
const PACKETS_MAX: usize = 200;

/// A server in a finished connection takes in packets whose frames are the input's: a length byte
/// and so many bytes for each packet, `0xff` for a while of silence (the byte behind it says how
/// long).
///
/// # Panics
/// If the server panics, breaks a rule of the run loop, or ends the connection more than once.
pub fn frames(data: &[u8]) {
    let mut ready = Ready::new();
    let mut rest = data;
    for _ in 0..PACKETS_MAX {
        let Some((&len, tail)) = rest.split_first() else { break };
        if len == 0xff {
            let Some((&time, tail)) = tail.split_first() else { break };
            ready.server.wait(Duration::from_millis(u64::from(time) * 8));
            rest = tail;
            continue;
        }
        let (packet, tail) = tail.split_at(tail.len().min(usize::from(len)));
        ready.hear_frames(packet);
        rest = tail;
    }
    ready.server.wait(Duration::from_secs(60));
    assert!(ready.server.ends() <= 1, "one connection, one end: {:?}", ready.server.events);
}
