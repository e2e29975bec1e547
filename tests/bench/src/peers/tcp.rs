//! TCP, alone and below TLS 1.3 by rustls: blocking calls, one thread on each side.
//!
//! The kernel cuts nothing into packets on loopback and checks no sums, so that plain TCP is about
//! what two copies cost.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::tls::{Backend, Certificate, NAME};
use crate::latency::{PING, Times};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task, complete};

/// Bytes of one write and of one read.
const CHUNK: usize = 256 << 10;

/// Plain: **not encrypted**.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    run(task, Ok, Ok)
}

/// Below rustls, AEAD by ring.
pub fn bulk_tls(task: &Task) -> Result<Record, Failure> {
    let certificate = Certificate::new()?;
    let server = Arc::new(certificate.server(task.suite, Backend::Ring)?);
    let client = Arc::new(certificate.client(task.suite, Backend::Ring)?);
    run(
        task,
        move |stream| Ok(StreamOwned::new(ServerConnection::new(server)?, stream)),
        move |stream| {
            Ok(StreamOwned::new(ClientConnection::new(client, NAME.try_into()?)?, stream))
        },
    )
}

fn run<S: Read + Write, C: Read + Write>(
    task: &Task,
    serving: impl FnOnce(TcpStream) -> Result<S, Failure> + Send + 'static,
    asking: impl FnOnce(TcpStream) -> Result<C, Failure> + Send + 'static,
) -> Result<Record, Failure> {
    let bytes = task.bytes;
    let server = move |address: Sender<SocketAddr>| {
        let mut stream = serving(accept(address)?)?;
        // One byte each way first: the handshake is not what is measured.
        stream.read_exact(&mut [0])?;
        stream.write_all(&[1])?;
        stream.flush()?;
        let (mut buffer, mut received) = (vec![0; CHUNK], 0);
        while received < bytes {
            let size = stream.read(&mut buffer)?;
            if size == 0 {
                break;
            }
            received += size as u64;
        }
        let end = Mark::now();
        complete("bytes", received, bytes)?;
        Ok(end)
    };
    let client = move |at: SocketAddr| {
        let mut stream = asking(TcpStream::connect(at)?)?;
        stream.write_all(&[1])?;
        stream.flush()?;
        stream.read_exact(&mut [0])?;
        let block = vec![0x5a; CHUNK];
        let begun = Mark::now();
        let mut left = bytes;
        while left > 0 {
            let size = left.min(CHUNK as u64) as usize;
            stream.write_all(&block[..size])?;
            left -= size as u64;
        }
        stream.flush()?;
        // The server reads all and hangs up.
        let _ = stream.read(&mut [0]);
        Ok(begun)
    };
    let (end, begun) = sides::run(task.pin, server, client)?;
    Ok(Record::of_bytes(bytes, begun, end))
}

/// Round trips over plain TCP.
pub fn pingpong(task: &Task) -> Result<Record, Failure> {
    let pings = task.pings;
    let server = move |address: Sender<SocketAddr>| {
        let mut stream = accept(address)?;
        let mut ping = PING;
        while stream.read_exact(&mut ping).is_ok() {
            stream.write_all(&ping)?;
        }
        Ok(())
    };
    let client = move |at: SocketAddr| {
        let mut stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let (mut times, mut pong) = (Times::new(pings), [0; PING.len()]);
        while times.wants_more() {
            let begun = Instant::now();
            stream.write_all(&PING)?;
            stream.read_exact(&mut pong)?;
            times.add(begun.elapsed());
            if pong != PING {
                return Err("an answer is wrong".into());
            }
        }
        Ok(times)
    };
    let ((), times) = sides::run(true, server, client)?;
    Ok(times.record())
}

/// Binds, tells the address and waits for the one connection.
fn accept(address: Sender<SocketAddr>) -> Result<TcpStream, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    address.send(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
