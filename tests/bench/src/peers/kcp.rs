//! KCP (`tokio_kcp`): reliable, ordered, **not encrypted**. Its fastest settings, the largest
//! windows that its receiver keeps up with, acknowledgements and writes flushed at once.
//!
//! It cannot end one direction of a stream, so the server knows how many bytes will come and says
//! when it has them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};

use crate::asynchronous::block_on;
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Bytes of one write and of one read.
const CHUNK: usize = 64 << 10;
/// Packets in flight, each way.
const WINDOW: u16 = 1_024;

fn config() -> KcpConfig {
    KcpConfig {
        mtu: 1_452,
        nodelay: KcpNoDelayConfig::fastest(),
        wnd_size: (WINDOW, WINDOW),
        flush_write: true,
        flush_acks_input: true,
        stream: true,
        ..KcpConfig::default()
    }
}

/// The bulk transfer.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    let bytes = task.bytes;
    let over = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&over);
    let server = move |address: Sender<SocketAddr>| {
        block_on(async {
            let mut listener = KcpListener::bind(config(), (Ipv4Addr::LOCALHOST, 0)).await?;
            address.send(listener.local_addr()?)?;
            let (mut stream, _) = listener.accept().await?;
            let (mut buffer, mut received) = (vec![0; CHUNK], 0);
            while received < bytes {
                let size = stream.read(&mut buffer).await?;
                if size == 0 {
                    return Err(format!("the stream ends after {received} bytes").into());
                }
                received += size as u64;
            }
            let end = Mark::now();
            stream.write_all(&[1]).await?;
            stream.flush().await?;
            // The answer has to get out, and may have to be said again. Nothing is told when the
            // client goes: a session only expires.
            while !heard.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(end)
        })
    };
    let client = move |at| {
        block_on(async {
            let mut stream = KcpStream::connect(&config(), at).await?;
            let block = vec![0x5a; CHUNK];
            let begun = Mark::now();
            let mut left = bytes;
            while left > 0 {
                let size = left.min(CHUNK as u64) as usize;
                stream.write_all(&block[..size]).await?;
                left -= size as u64;
            }
            stream.flush().await?;
            stream.read_exact(&mut [0; 1]).await?;
            over.store(true, Ordering::SeqCst);
            Ok(begun)
        })
    };
    let (end, begun) = sides::run(task.pin, server, client)?;
    Ok(Record::of_bytes(bytes, begun, end))
}
