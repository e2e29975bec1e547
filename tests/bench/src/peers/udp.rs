//! Raw UDP: what the kernel, and the kernel and the cipher together, allow. No transport: nothing
//! is sent again, and a datagram that is lost fails the run.
//!
//! Trains of 1,200-byte datagrams by GSO, received merged by GRO (`quinn-udp`). So that nothing
//! overflows on loopback, the receiver says now and then how far it is, and the sender keeps at
//! most [`WINDOW`] bytes ahead.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::Sender;
use std::time::Instant;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use ring::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::wait::readable;
use crate::latency::{PING, Times};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Suite, Task};

/// Bytes of a datagram.
const DATAGRAM: usize = 1_200;
/// Datagrams of a train: as many as one send call takes.
const TRAIN: usize = 54;
/// Bytes sent and not reported by the receiver.
const WINDOW: u64 = 1 << 20;
/// How often the receiver reports, in bytes.
const REPORT: u64 = 128 << 10;
/// What is asked of the system for each socket.
const SOCKET_BUFFER: usize = 4 << 20;
/// Receive buffers of 64 KiB.
const BUFFERS: usize = 8;
/// The packet number before what is sealed.
const NUMBER: usize = 8;

/// Datagrams as they are: **not encrypted**.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    run(task, None)
}

/// The floor: each datagram sealed once and opened once, in place.
pub fn floor(task: &Task) -> Result<Record, Failure> {
    run(task, Some(task.suite))
}

/// The cipher of a run, if there is one.
struct Cipher(Option<LessSafeKey>);

impl Cipher {
    fn new(suite: Option<Suite>) -> Result<Self, Failure> {
        let Some(suite) = suite else { return Ok(Self(None)) };
        let algorithm = match suite {
            Suite::Aes256 => &aead::AES_256_GCM,
            Suite::Aes128 => &aead::AES_128_GCM,
            Suite::ChaCha => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &vec![7; algorithm.key_len()]);
        Ok(Self(Some(LessSafeKey::new(key.map_err(|_| "the key has a wrong length")?))))
    }

    /// Payload of one datagram.
    fn payload(&self) -> usize {
        match &self.0 {
            None => DATAGRAM,
            Some(key) => DATAGRAM - NUMBER - key.algorithm().tag_len(),
        }
    }

    /// Seals a datagram in place.
    fn seal(&self, number: u64, datagram: &mut [u8]) -> Result<(), Failure> {
        let Some(key) = &self.0 else { return Ok(()) };
        let (head, rest) = datagram.split_at_mut(NUMBER);
        head.copy_from_slice(&number.to_be_bytes());
        let (payload, tag) = rest.split_at_mut(self.payload());
        let sealed = key
            .seal_in_place_separate_tag(nonce(head), Aad::from(head), payload)
            .map_err(|_| "sealing failed")?;
        tag.copy_from_slice(sealed.as_ref());
        Ok(())
    }

    /// Opens a datagram in place; how many bytes of payload it has.
    fn open(&self, datagram: &mut [u8]) -> Result<usize, Failure> {
        let Some(key) = &self.0 else { return Ok(datagram.len()) };
        let (head, rest) = datagram.split_at_mut_checked(NUMBER).ok_or("a short datagram")?;
        let payload = key
            .open_in_place(nonce(head), Aad::from(&*head), rest)
            .map_err(|_| "a datagram does not open")?;
        Ok(payload.len())
    }
}

fn nonce(number: &[u8]) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - number.len()..].copy_from_slice(number);
    Nonce::assume_unique_for_key(bytes)
}

/// A socket and how it is driven.
struct Link {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Link {
    fn bind() -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER)?;
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER)?;
        Ok(Self { socket, state })
    }

    fn send(&self, to: SocketAddr, bytes: &[u8]) -> Result<(), Failure> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > DATAGRAM).then_some(DATAGRAM),
            src_ip: None,
        };
        Ok(self.state.try_send((&self.socket).into(), &transmit)?)
    }
}

fn run(task: &Task, suite: Option<Suite>) -> Result<Record, Failure> {
    let datagrams = task.bytes.div_ceil(Cipher::new(suite)?.payload() as u64);
    let server = move |address: Sender<SocketAddr>| {
        let link = Link::bind()?;
        address.send(link.socket.local_addr()?)?;
        receive(&link, &Cipher::new(suite)?, datagrams)?;
        Ok(Mark::now())
    };
    let client = move |at| {
        let link = Link::bind()?;
        let cipher = Cipher::new(suite)?;
        let begun = Mark::now();
        send(&link, &cipher, at, datagrams)?;
        Ok(begun)
    };
    let (end, begun) = sides::run(task.pin, server, client)?;
    Ok(Record::of_bytes(task.bytes, begun, end))
}

/// Takes all datagrams, and reports.
fn receive(link: &Link, cipher: &Cipher, datagrams: u64) -> Result<(), Failure> {
    let mut memory = vec![0; BUFFERS << 16];
    let mut metas = [RecvMeta::default(); BUFFERS];
    let (mut seen, mut bytes, mut reported) = (0, 0, 0);
    while seen < datagrams {
        let mut buffers: Vec<IoSliceMut<'_>> =
            memory.chunks_mut(1 << 16).map(IoSliceMut::new).collect();
        let count = match link.state.recv((&link.socket).into(), &mut buffers, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                readable(&link.socket)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut from = None;
        for (buffer, meta) in buffers.iter_mut().zip(&metas[..count]) {
            for datagram in buffer[..meta.len].chunks_mut(meta.stride) {
                seen += 1;
                bytes += datagram.len() as u64;
                cipher.open(datagram)?;
            }
            from = Some(meta.addr);
        }
        if let Some(from) = from.filter(|_| bytes - reported >= REPORT || seen == datagrams) {
            reported = bytes;
            link.send(from, &bytes.to_be_bytes())?;
        }
    }
    Ok(())
}

/// Sends all datagrams, never too far ahead, and waits for the last report.
fn send(link: &Link, cipher: &Cipher, to: SocketAddr, datagrams: u64) -> Result<(), Failure> {
    let mut train = vec![0x5a; TRAIN * DATAGRAM];
    let (mut number, mut reported) = (0, 0);
    loop {
        let ahead = number * DATAGRAM as u64 - reported;
        if number == datagrams && ahead == 0 {
            return Ok(());
        }
        if number == datagrams || ahead > WINDOW {
            readable(&link.socket)?;
            let mut report = [0; 8];
            while link.socket.recv(&mut report).is_ok() {
                reported = u64::from_be_bytes(report);
            }
            continue;
        }
        let count = (datagrams - number).min(TRAIN as u64) as usize;
        for datagram in train[..count * DATAGRAM].chunks_mut(DATAGRAM) {
            cipher.seal(number, datagram)?;
            number += 1;
        }
        link.send(to, &train[..count * DATAGRAM])?;
    }
}

/// Round trips of bare datagrams: **not encrypted**.
pub fn pingpong(task: &Task) -> Result<Record, Failure> {
    let pings = task.pings;
    let server = move |address: Sender<SocketAddr>| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        address.send(socket.local_addr()?)?;
        let mut ping = [0; PING.len()];
        loop {
            let (size, from) = socket.recv_from(&mut ping)?;
            if size == 0 {
                return Ok(());
            }
            socket.send_to(&ping[..size], from)?;
        }
    };
    let client = move |at: SocketAddr| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(at)?;
        let (mut times, mut pong) = (Times::new(pings), [0; PING.len()]);
        while times.wants_more() {
            let begun = Instant::now();
            socket.send(&PING)?;
            socket.recv(&mut pong)?;
            times.add(begun.elapsed());
            if pong != PING {
                return Err("an answer is wrong".into());
            }
        }
        socket.send(&[])?;
        Ok(times)
    };
    let ((), times) = sides::run(true, server, client)?;
    Ok(times.record())
}
