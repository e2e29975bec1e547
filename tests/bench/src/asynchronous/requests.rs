//! Requests: many connections, one stream on each, length-prefixed requests, echoed. Pipelined, as
//! fast as credit allows, written in batches or one by one; or un-batched, the next one when the
//! last is answered.

use bytes::{Bytes, BytesMut};

use super::connects::connect_all;
use super::{Connection, Gate, Over, Peer, Reader, Writer, block_on, serve_all};
use crate::meter::Mark;
use crate::script::{Frames, Script, echo};
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Bytes of requests that a client collects before it writes them.
const BATCH: usize = 8 << 10;

/// How requests and answers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Many with each call, as who collects them does.
    Batches,
    /// Each with a call of its own.
    Each,
    /// The next request once the last is answered.
    InTurn,
}

/// Pipelined requests.
pub fn requests<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    run(peer, task, Way::Batches)
}

/// Pipelined requests with a call for each, and for each answer.
pub fn requests_each<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    run(peer, task, Way::Each)
}

/// One request outstanding on each connection.
pub fn unbatched<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    run(peer, task, Way::InTurn)
}

fn run<P: Peer>(peer: P, task: &Task, way: Way) -> Result<Record, Failure> {
    let (task, serving, over) = (*task, peer.clone(), Over::default());
    let at_server = over.clone();
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            serve_all::<P, _>(server, &at_server, move |connection| serve(connection, way)).await
        })
    };
    let client = move |at| {
        block_on(async {
            let client = peer.client(task.suite).await?;
            let (_client, mut connections) = connect_all::<P>(client, at, task.connections).await?;
            let gate = Gate::default();
            let begun = Mark::now();
            for connection in &mut connections {
                let (writer, reader) = connection.open().await?;
                let script = Script::new(task.requests);
                if way == Way::InTurn {
                    gate.spawn(ask_in_turn(writer, reader, task.requests));
                    continue;
                }
                gate.spawn(ask_all(writer, script.clone(), way));
                gate.spawn(hear_all(reader, script));
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

/// Answers the requests on the one stream of a connection.
async fn serve<C: Connection>(mut connection: C, way: Way) -> Result<(), Failure> {
    let (mut writer, mut reader) = connection.accept().await.ok_or("no stream came")?;
    let (mut frames, mut chunk) = (Frames::default(), Vec::new());
    while reader.fill(&mut chunk).await? {
        let answer = echo(&mut frames, &chunk)?;
        chunk.clear();
        put(&mut writer, answer, way).await?;
    }
    writer.finish().await?;
    connection.closed().await;
    Ok(())
}

/// Writes framed messages, all at once or one by one.
async fn put<W: Writer>(writer: &mut W, mut framed: Bytes, way: Way) -> Result<(), Failure> {
    while let Some((length, rest)) = framed.split_first_chunk().filter(|_| way == Way::Each) {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let whole = framed.len() - rest.len() + length;
        writer.put(framed.split_to(whole)).await?;
    }
    if framed.is_empty() { Ok(()) } else { writer.put(framed).await }
}

/// Asks and checks the answers one by one.
async fn ask_in_turn<W: Writer, R: Reader>(
    mut writer: W,
    mut reader: R,
    count: u64,
) -> Result<(), Failure> {
    let mut script = Script::new(count);
    let (mut frames, mut chunk) = (Frames::default(), Vec::new());
    while !script.done() {
        let mut request = BytesMut::with_capacity(128);
        script.ask_framed(&mut request);
        writer.put(request.freeze()).await?;
        while script.outstanding() > 0 {
            if !reader.fill(&mut chunk).await? {
                return Err("the answers end early".into());
            }
            frames.cut(&chunk, |answer| script.answer(answer))?;
            chunk.clear();
        }
    }
    writer.finish().await?;
    // To drop a stream that has not ended would be to refuse the rest, an error at the server.
    while reader.fill(&mut chunk).await? {}
    if chunk.is_empty() { Ok(()) } else { Err("there are too many answers".into()) }
}

/// Asks everything, as fast as the stream takes it.
async fn ask_all<W: Writer>(mut writer: W, mut script: Script, way: Way) -> Result<(), Failure> {
    let mut batch = BytesMut::with_capacity(BATCH + 128);
    while script.ask_framed(&mut batch) {
        if batch.len() >= BATCH || script.left() == 0 {
            put(&mut writer, batch.split().freeze(), way).await?;
            batch.reserve(BATCH + 128);
        }
    }
    writer.finish().await
}

/// Checks all answers.
async fn hear_all<R: Reader>(mut reader: R, mut script: Script) -> Result<(), Failure> {
    let (mut frames, mut chunk) = (Frames::default(), Vec::new());
    while reader.fill(&mut chunk).await? {
        frames.cut(&chunk, |answer| script.answer(answer))?;
        chunk.clear();
    }
    if script.done() { Ok(()) } else { Err("the answers end early".into()) }
}
