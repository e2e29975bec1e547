//! Several sockets on one port, one for each core that is to work (row T69).

use crate::{Options, Socket, Steering};
use std::io;
use std::net::SocketAddr;

/// Sockets that share one address, in the order of their numbers.
#[derive(Debug)]
pub struct Group {
    /// The sockets.
    pub sockets: Vec<Socket>,
    /// Whether the kernel brings each datagram to the socket that [`Steering`] names; if not, why:
    /// then it goes by the peer's address alone.
    pub steered: io::Result<()>,
}

/// Binds `count` sockets to `address`; with port 0 the system chooses one port for all of them.
///
/// With `steering` the kernel is asked to choose among them by what a datagram says. If it refuses,
/// the group works all the same, see [`Group::steered`]; what reaches the wrong socket then is for
/// the caller to carry over. That may happen with steering too: a train of merged datagrams goes
/// where its first one belongs.
///
/// # Errors
/// As [`Socket::bind`]; [`io::ErrorKind::InvalidInput`] if `count` is 0.
pub fn bind_group(
    address: SocketAddr,
    options: &Options,
    count: u16,
    steering: Option<&Steering<'_>>,
) -> io::Result<Group> {
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a group of no sockets"));
    }
    let options = Options { reuse_port: true, ..*options };
    let first = Socket::bind(address, &options)?;
    let address = first.local_addr()?;
    // Before the others are there, so that nothing that is steered waits in the wrong queue.
    let steered = match steering {
        Some(steering) => steering.attach(&first, count),
        None => Err(io::Error::new(io::ErrorKind::Unsupported, "steering was not asked for")),
    };
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(Socket::bind(address, &options)?);
    }
    Ok(Group { sockets, steered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecvBuffers;
    use std::net::UdpSocket;

    /// Numbers in the upper half of the second byte, in datagrams that begin with 9 or have the
    /// highest bit.
    const RULE: Steering<'static> =
        Steering { first: &[(0xff, 9), (0x80, 0x80)], at: 1, shift: 28 };

    /// Which socket has received: its number, for each datagram. Loopback delivers within the send.
    fn arrived(group: &mut Group) -> Vec<(usize, Vec<u8>)> {
        let mut buffers = RecvBuffers::new(8);
        let mut all = Vec::new();
        for (number, socket) in group.sockets.iter_mut().enumerate() {
            let mut hand_on = |_, _, datagram: &mut [u8]| all.push((number, datagram.to_vec()));
            while socket.recv_batch(&mut buffers, &mut hand_on).is_ok() {}
        }
        all
    }

    /// T69: the kernel brings each datagram to the socket that it names, from wherever it comes.
    #[test]
    fn t69_a_program_steers_by_what_a_datagram_says() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut group = bind_group(loopback, &Options::default(), 3, Some(&RULE)).expect("a group");
        if let Err(error) = &group.steered {
            eprintln!("skipped: the kernel takes no steering program: {error}");
            return;
        }
        let to = group.sockets[0].local_addr().expect("an address");
        for _ in 0..5 {
            let peer = UdpSocket::bind(loopback).expect("a socket");
            for number in 0..16u8 {
                for first in [9, 0x80, 0xff] {
                    peer.send_to(&[first, number << 4, 0, 0, 0], to).expect("sent");
                }
            }
        }
        let all = arrived(&mut group);
        assert_eq!(all.len(), 5 * 16 * 3);
        for (socket, datagram) in all {
            assert_eq!(socket, usize::from(datagram[1] >> 4) % 3, "{datagram:?}");
        }
    }

    /// T69: what names no socket goes by its sender's address, always to the same one, with a
    /// program or without; and all sockets have their share.
    #[test]
    fn t69_the_rest_goes_by_its_address() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        for rule in [Some(&RULE), None] {
            let mut group = bind_group(loopback, &Options::default(), 2, rule).expect("a group");
            let to = group.sockets[0].local_addr().expect("an address");
            let mut shares = [0; 2];
            for number in 0..64u8 {
                let peer = UdpSocket::bind(loopback).expect("a socket");
                for _ in 0..3 {
                    peer.send_to(&[1, number, 2, 3, 4], to).expect("sent");
                }
                let all = arrived(&mut group);
                assert_eq!(all.len(), 3);
                assert!(all.iter().all(|(socket, _)| *socket == all[0].0), "{all:?}");
                shares[all[0].0] += 1;
            }
            // Fair but for once in 2^63.
            assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        }
    }

    #[test]
    fn a_rule_beyond_its_bounds_is_refused_and_a_group_of_none_too() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let many = Steering { first: &[(0xff, 1); 17], ..RULE };
        for rule in [many, Steering { shift: 32, ..RULE }, Steering { at: 1 << 16, ..RULE }] {
            let group = bind_group(loopback, &Options::default(), 2, Some(&rule));
            let error = group.expect("a group").steered.expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        assert!(bind_group(loopback, &Options::default(), 0, None).is_err());
    }
}
