//! Requests on a stream each: how protocols with cheap streams are often used.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::connects::connect_all;
use super::{Connection, Gate, Over, Peer, Reader, Writer, block_on, serve_all};
use crate::meter::Mark;
use crate::script::Script;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Streams that one connection has open at a time: a peer allows a hundred by default.
const AT_ONCE: u64 = 64;

/// The requests workload, a stream for each request.
pub fn requests_on_streams<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving, over) = (*task, peer.clone(), Over::default());
    let at_server = over.clone();
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            serve_all::<P, _>(server, &at_server, serve).await
        })
    };
    let client = move |at| {
        block_on(async {
            let client = peer.client(task.suite).await?;
            let (_client, connections) = connect_all::<P>(client, at, task.connections).await?;
            let (gate, back) = (Gate::default(), Rc::new(RefCell::new(Vec::new())));
            let begun = Mark::now();
            for mut connection in connections {
                let back = Rc::clone(&back);
                gate.spawn(async move {
                    ask(&mut connection, task.requests).await?;
                    // Kept until all are done: closing is not what is measured.
                    back.borrow_mut().push(connection);
                    Ok(())
                });
            }
            gate.until(0).await?;
            let end = Mark::now();
            over.set();
            Ok((begun, end))
        })
    };
    let ((), (begun, end)) = sides::run(task.pin, server, client)?;
    Ok(Record::of(task.connections * task.requests, begun, end))
}

/// Echoes what comes on each stream.
async fn serve<C: Connection>(mut connection: C) -> Result<(), Failure> {
    let gate = Gate::default();
    while let Some((mut writer, mut reader)) = connection.accept().await {
        gate.spawn(async move {
            while let Some(chunk) = reader.get().await? {
                writer.put(chunk).await?;
            }
            writer.finish().await
        });
    }
    gate.until(0).await
}

/// All requests of one connection; answers are checked against the request of their stream.
async fn ask<C: Connection>(connection: &mut C, count: u64) -> Result<(), Failure> {
    let (mut script, gate) = (Script::new(count), Gate::default());
    while script.left() > 0 {
        let (writer, reader) = connection.open().await?;
        let mut request = BytesMut::new();
        script.ask(&mut request);
        gate.spawn(exchange(writer, reader, request.freeze()));
        gate.until(AT_ONCE - 1).await?;
    }
    gate.until(0).await
}

/// One request and its answer.
async fn exchange<W: Writer, R: Reader>(
    mut writer: W,
    mut reader: R,
    request: Bytes,
) -> Result<(), Failure> {
    writer.put(request.clone()).await?;
    writer.finish().await?;
    let mut seen = 0;
    while let Some(chunk) = reader.get().await? {
        if !request[seen..].starts_with(&chunk) {
            return Err("an answer is wrong".into());
        }
        seen += chunk.len();
    }
    if seen == request.len() { Ok(()) } else { Err("an answer is too short".into()) }
}
