//! Ping-pong: 64 bytes there and back on one stream, the next when the last is back.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Connection, Peer, Reader, Writer, accept_one, block_on};
use crate::latency::{PING, Times};
use crate::sides;
use crate::task::{Failure, Record, Task};

/// The round trips once; both sides are pinned.
pub fn pingpong<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving) = (*task, peer.clone());
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (mut server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            let mut connection = accept_one::<P>(&mut server).await?;
            let (mut writer, mut reader) = connection.accept().await.ok_or("no stream came")?;
            while let Some(chunk) = reader.get().await? {
                writer.put(chunk).await?;
            }
            writer.finish().await?;
            connection.closed().await;
            Ok(())
        })
    };
    let client = move |at| {
        block_on(async {
            let client = peer.client(task.suite).await?;
            let mut connection = P::connect(&client, at).await?;
            let (mut writer, mut reader) = connection.open().await?;
            let mut times = Times::new(task.pings);
            while times.wants_more() {
                let begun = Instant::now();
                writer.put(Bytes::copy_from_slice(&PING)).await?;
                pong(&mut reader).await?;
                times.add(begun.elapsed());
            }
            writer.finish().await?;
            // The server has to see the end before the connection is closed.
            while reader.get().await?.is_some() {}
            connection.close();
            connection.closed().await;
            Ok(times)
        })
    };
    let ((), times) = sides::run(true, server, client)?;
    Ok(times.record())
}

/// Waits for the whole answer.
async fn pong<R: Reader>(reader: &mut R) -> Result<(), Failure> {
    let mut whole = BytesMut::new();
    while whole.len() < PING.len() {
        whole.extend_from_slice(&reader.get().await?.ok_or("the answers end early")?);
    }
    if whole == PING[..] { Ok(()) } else { Err("an answer is wrong".into()) }
}
