//! Bulk: one stream, client to server, as fast as it goes.

use bytes::Bytes;

use super::{Connection, Peer, Reader, Writer, accept_one, block_on};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task, complete};

/// What the client hands over in one write. The buffer is shared, not copied, by each write.
const WRITE: usize = 1 << 20;

/// Moves the bytes once. The clock runs from the first write until the last byte is read.
pub fn bulk<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving) = (*task, peer.clone());
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (mut server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            let mut connection = accept_one::<P>(&mut server).await?;
            let (writer, mut reader) = connection.accept().await.ok_or("no stream came")?;
            let mut received = 0;
            while let Some(chunk) = reader.get().await? {
                received += chunk.len() as u64;
            }
            let end = Mark::now();
            complete("bytes", received, task.bytes)?;
            drop((writer, reader));
            connection.close();
            // The close has to reach the client; what drives it runs on this thread.
            connection.closed().await;
            Ok(end)
        })
    };
    let client = move |at| {
        block_on(async {
            let client = peer.client(task.suite).await?;
            let mut connection = P::connect(&client, at).await?;
            let block = Bytes::from(vec![0x5a; WRITE]);
            let (mut writer, _reader) = connection.open().await?;
            let begun = Mark::now();
            let mut left = task.bytes;
            while left > 0 {
                let size = left.min(WRITE as u64) as usize;
                writer.put(block.slice(..size)).await?;
                left -= size as u64;
            }
            writer.finish().await?;
            connection.closed().await;
            Ok(begun)
        })
    };
    let (end, begun) = sides::run(task.pin, server, client)?;
    Ok(Record::of_bytes(task.bytes, begun, end))
}
