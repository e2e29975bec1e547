//! A crowd: many hosts, many connections, a few messages on each.
//!
//! In go two numbers, out comes a scenario. One host in ten is a server; the others connect to the
//! servers in turn, so that no host holds more than its share and nearly every connection is of a
//! pair of its own. It is a measure of scale, too long for a file.

use crate::scenario::{Scenario, ScenarioError};
use std::fmt::Write;

/// Clients for each server.
const CLIENTS: u32 = 9;
/// When the last connection begins, in milliseconds.
const SPREAD_MS: u64 = 10_000;
/// Messages on each connection, and the bytes of each.
const MESSAGES: (u32, u32) = (3, 200);

/// A scenario of so many hosts, at most 65,536, that begin so many connections within ten seconds.
///
/// # Errors
/// If there are no hosts to connect, or too many for the addresses.
pub fn crowd(hosts: u32, connections: u32) -> Result<Scenario, ScenarioError> {
    let servers = (hosts / (CLIENTS + 1)).max(1);
    let clients = hosts.saturating_sub(servers);
    if clients == 0 || hosts > 1 << 16 {
        let what = format!("{hosts} hosts are no crowd: 2 to 65,536 are");
        return Err(ScenarioError::Sense(what));
    }
    let mut text = format!("name = \"crowd\"\nseed = {hosts}\nlasts = \"15s\"\nhosts = [\n");
    let address = |host: u32| format!("10.0.{}.{}:443", host >> 8, host & 0xff);
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    \"{line}\",");
    };
    for server in 0..servers {
        line(format_args!("server{server} public {}", address(server)));
    }
    for client in 0..clients {
        line(format_args!("client{client} client {}", address(servers + client)));
    }
    text.push_str("]\nsteps = [\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "    \"{line}\",");
    };
    let (times, bytes) = MESSAGES;
    for number in 0..connections {
        let at = SPREAD_MS * u64::from(number) / u64::from(connections);
        let client = number % clients;
        let server = (client + number / clients) % servers;
        line(format_args!("{at}ms client{client} connect server{server} as c{number}"));
        line(format_args!("{at}ms client{client} open s{number} ordered two-way on c{number}"));
        line(format_args!("{at}ms client{client} send s{number} {bytes} times={times} every=1s"));
    }
    text.push_str("]\n");
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::play;

    #[test]
    fn a_crowd_needs_two_hosts_and_addresses() {
        assert!(crowd(1, 1).is_err() && crowd(70_000, 1).is_err());
        assert_eq!(crowd(2, 1).unwrap().hosts.len(), 2);
    }

    /// The same shape at a hundredth of its products, so that what grows with hosts times
    /// connections shows as time here already.
    #[test]
    fn a_hundred_hosts_and_a_thousand_connections_play_in_one_world() {
        let scenario = crowd(100, 1_000).unwrap();
        let outcome = play(&scenario).unwrap();
        assert_eq!((outcome.deeds.steps, outcome.deeds.passed_over), (3_000, 0));
        // Each pair connects once more in the calm, and sends one message.
        let pairs = outcome.deeds.connections - 1_000;
        assert_eq!(outcome.deeds.connected, outcome.deeds.connections);
        assert_eq!(outcome.deeds.received, 3 * 1_000 + pairs);
        assert!((800..=1_000).contains(&pairs), "{pairs} pairs");
    }
}
